"""Reaching a job: attach to one that was started, watch its record, or run one in this process."""

import os
import pathlib
import threading
import time
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING

from hessview.errors import HessviewError, InputError, JobNotFoundError, JobStartingError
from hessview.record.validation import positive
from hessview.session.session import Session
from hessview.transport.channel import LocalChannel, WatchingChannel
from hessview.transport.diagnosis import living_job
from hessview.transport.files import Starting, blame
from hessview.transport.run_directory import RunDirectory
from hessview.transport.trust import check_run_directory, is_run_directory

if TYPE_CHECKING:
    from hessview.job.objective import Objective


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
        return _own_session(directory) or attach_to(directory, force=force)


def attach_to(
    directory: RunDirectory, *, force: bool = False, stop: Callable[[], None] | None = None
) -> Session:
    """Attach to the job of a directory that was found safe; see `attach`.

    Args:
        directory: The run directory.
        force: As in `attach`.
        stop: Ends the job when the session is closed.
    """
    # Imported here: it loads torch, which a missing directory need not wait for.
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


def _own_session(directory: RunDirectory) -> Session | None:
    """The session that this kernel has with the living job of a directory, if it has one."""
    session = _attached.get((os.path.realpath(directory.path), living_job(directory).job))
    return session if session is not None and session.state == "attached" else None


def _wait_for_job(path: pathlib.Path, seconds: float) -> None:
    """Wait until a job can be attached to; print what it is doing meanwhile.

    Raises:
        JobNotFoundError: It failed while this waited, or was not there in time.
    """
    deadline = time.monotonic() + seconds
    printed_phase, was_starting = "", False
    while True:
        try:
            if is_run_directory(path):
                living_job(RunDirectory.open(path))
                return
            check_run_directory(path)
        except JobStartingError as error:
            reason: HessviewError = error
            starting = Starting.read(path)
            if starting is not None and starting.phase != printed_phase:
                printed_phase, was_starting = starting.phase, True
                print(f"hessview: the job of {path} is {printed_phase} ...", flush=True)
        except JobNotFoundError as error:
            reason = error
            if was_starting and (cause := blame(RunDirectory.open(path).failures(), {})):
                raise JobNotFoundError(f"the job of {path} did not start: {cause}") from error
        except HessviewError as error:
            if is_run_directory(path):
                raise  # no wait would cure it
            reason = error
        if time.monotonic() > deadline:
            raise type(reason)(f"{reason} (waited {seconds:g} s)")
        time.sleep(_LOOK)


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


_served: weakref.WeakValueDictionary[str, Session] = weakref.WeakValueDictionary()
"""Sessions of this process that `local` gave, by the real path of their run directory."""


def local(objective: "Objective", *, run_dir: str | os.PathLike[str] | None = None) -> Session:
    """Serve an objective to this very process, from a thread.

    Called again with the same run directory, as when a notebook's cells are run again, it ends
    the session that it gave before, whose record the new one goes on with.

    Args:
        objective: What is differentiated. Its parameters move while a product is computed:
            leave the module alone while a run is on.
        run_dir: Where the record goes; None keeps it in memory.

    Returns:
        The session; closing it ends the thread.

    Raises:
        InputError: The process belongs to a group of several ranks.
        ObjectiveError: The objective cannot be differentiated as it is.
    """
    import torch.distributed as dist

    from hessview.job.job import Job
    from hessview.job.serve import serve

    if dist.is_initialized() and dist.get_world_size() > 1:
        raise InputError(
            f"this process is one of {dist.get_world_size()} ranks; use hessview.serve, which "
            "all ranks call together, and attach from another process."
        )
    if run_dir is not None and (earlier := _served.get(os.path.realpath(run_dir))) is not None:
        earlier.close()
    job = Job(objective) if run_dir is None else serve(objective, run_dir)
    assert job.mailbox is not None, "the only rank is rank 0"
    closing = threading.Event()

    def serve_until_closed() -> None:
        job.run(until=lambda: "it was asked to stop" if closing.is_set() else "")

    thread = threading.Thread(target=serve_until_closed, name="hessview-job", daemon=True)
    thread.start()

    def stop() -> None:
        closing.set()
        thread.join()

    session = Session(LocalChannel(job.mailbox), stop=stop)
    if run_dir is not None:
        _served[os.path.realpath(run_dir)] = session
        keep(pathlib.Path(run_dir), job.identity, session)
    return session
