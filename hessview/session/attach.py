"""Attaching to a job that somebody started."""

import os
import pathlib
import threading
import time
import weakref
from collections.abc import Callable

from hessview.commands.allowed import positive
from hessview.errors import HessviewError, JobNotFoundError, JobStartingError
from hessview.session.session import Session
from hessview.transport.failure import blame
from hessview.transport.lost import living_job
from hessview.transport.recognise import check_run_directory, is_run_directory
from hessview.transport.run_directory import RunDirectory
from hessview.transport.starting import Starting

_LOOK = 0.2  # seconds between looks at a job that is starting

_attached: weakref.WeakValueDictionary[tuple[str, str], Session] = weakref.WeakValueDictionary()
"""This kernel's sessions, by the real path of their run directory and their job's identity."""
_attaching = threading.RLock()


def attach(
    run_dir: str | os.PathLike[str], *, force: bool = False, wait: float | None = None
) -> Session:
    """Attach this kernel to the job of a run directory, over torch.distributed.rpc.

    A job serves one kernel at a time; a kernel may attach to several jobs. What the job measured
    before is replayed from its record. A kernel that is attached to the job already gets the
    session that it has, so that a notebook's cells can be run again.

    Args:
        run_dir: Run directory of the job, on a file system that this host sees.
        force: Take the job over from another kernel that holds it.
        wait: Seconds to wait for a job that is starting, or has yet to be started; what it is
            doing is printed. None waits for nothing.

    Returns:
        The session.

    Raises:
        InputError: `wait` is no finite number > 0.
        RunDirectoryError: The path is no run directory (those below it are named), or not safe.
        JobStartingError: The job is still starting, and `wait` is not set or over.
        JobNotFoundError: There is no living job.
        JobBusyError: Another kernel holds the job, and `force` is not set.
        JobError: The job cannot be reached from here, or speaks another protocol.
    """
    path = pathlib.Path(run_dir)
    if wait is not None:
        _wait_for_job(path, positive("wait", wait, ", in seconds, or None"))
    check_run_directory(path)
    directory = RunDirectory.open(path)
    with _attaching:
        return _own(directory) or attach_to(directory, force=force)


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

    channel = RpcChannel(directory, force=force)
    session = Session(channel, stop=stop)
    keep(directory.path, channel.job.job, session)
    return session


def keep(path: pathlib.Path, job: str, session: Session) -> None:
    """Have `attach` give this session to whoever attaches to its job again.

    Args:
        path: The run directory.
        job: Identity of the job.
        session: The session.
    """
    with _attaching:
        _attached[os.path.realpath(path), job] = session


def _own(directory: RunDirectory) -> Session | None:
    """The session that this kernel has with the living job of a directory, if it has one."""
    session = _attached.get((os.path.realpath(directory.path), living_job(directory).job))
    return session if session is not None and session.state == "attached" else None


def _wait_for_job(path: pathlib.Path, seconds: float) -> None:
    """Wait until a job can be attached to; print what it is doing meanwhile.

    Raises:
        JobNotFoundError: It failed while this waited, or was not there in time.
    """
    deadline = time.monotonic() + seconds
    told, seen = "", False
    while True:
        try:
            if is_run_directory(path):
                living_job(RunDirectory.open(path))
                return
            check_run_directory(path)
        except JobStartingError as error:
            reason: HessviewError = error
            starting = Starting.read(path)
            if starting is not None and starting.phase != told:
                told, seen = starting.phase, True
                print(f"hessview: the job of {path} is {told} ...", flush=True)
        except JobNotFoundError as error:
            reason = error
            if seen and (cause := blame(RunDirectory.open(path).failures(), {})):
                raise JobNotFoundError(f"the job of {path} did not start: {cause}") from error
        except HessviewError as error:
            if is_run_directory(path):
                raise  # no wait would cure it
            reason = error
        if time.monotonic() > deadline:
            raise type(reason)(f"{reason} (waited {seconds:g} s)")
        time.sleep(_LOOK)
