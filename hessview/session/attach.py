"""Attaching to a job that somebody started."""

import os
from collections.abc import Callable

from hessview.session.session import Session
from hessview.transport.run_directory import RunDirectory


def attach(run_dir: str | os.PathLike[str], *, force: bool = False) -> Session:
    """Attach this kernel to the job of a run directory, over torch.distributed.rpc.

    A kernel can be attached to one job at a time, and a job serves one kernel at a time. What
    the job measured before is replayed from its record.

    Args:
        run_dir: Run directory of the job, on this host.
        force: Take the job over from a kernel that holds it.

    Returns:
        The session.

    Raises:
        JobNotFoundError: There is no living job.
        JobBusyError: Another kernel holds the job, and `force` is not set.
        JobError: The job cannot be reached from here, or speaks another protocol.
        RunDirectoryError: The run directory is not safe.
    """
    return attach_to(RunDirectory.open(run_dir), force=force)


def attach_to(
    directory: RunDirectory, *, force: bool = False, stop: Callable[[], None] | None = None
) -> Session:
    """Attach to the job of a directory that was found safe; see `attach`.

    Args:
        directory: The run directory.
        force: As in `attach`.
        stop: Ends the job when the session is closed.
    """
    # Here, not above: it loads torch, which a missing directory need not wait for.
    from hessview.transport.rpc import RpcChannel

    return Session(RpcChannel(directory, force=force), stop=stop)
