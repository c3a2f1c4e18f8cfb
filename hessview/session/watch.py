"""Following a job without asking it for anything."""

import os
import pathlib

from hessview.errors import RunDirectoryError
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
        RunDirectoryError: No such directory.
        JobNotFoundError: It holds no record.
        RecordError: Its record is of another version.
    """
    path = pathlib.Path(run_dir)
    if not path.is_dir():
        raise RunDirectoryError(f"{path} is not a directory; pass the run directory of a job.")
    return Session(WatchingChannel(path))
