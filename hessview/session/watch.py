"""Following a job without asking it for anything."""

import os
import pathlib

from hessview.session.session import Session
from hessview.transport.watching import WatchingChannel


def watch(run_dir: str | os.PathLike[str]) -> Session:
    """Follow the record of a run directory, live, without attaching to its job.

    Any number of kernels may watch a job, beside the one that is attached; the job does not
    notice. Neither torch nor RPC is loaded.

    Args:
        run_dir: Run directory of the job, wherever it can be read from.

    Returns:
        A session whose runs arrive as the job records them, and which asks for none.

    Raises:
        RunDirectoryError: It is no run directory; those below it are named.
        JobStartingError: Its job is still starting, and has recorded nothing yet.
        JobNotFoundError: It holds no record.
        RecordError: Its record is of another version.
    """
    return Session(WatchingChannel(pathlib.Path(run_dir)))
