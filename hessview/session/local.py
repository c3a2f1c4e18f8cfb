"""The same worker, in this process: one device, no torchrun, no RPC."""

import os
import pathlib
import threading
import weakref
from typing import TYPE_CHECKING

from hessview.errors import InputError
from hessview.session.attach import keep
from hessview.session.session import Session
from hessview.transport.channel import LocalChannel

if TYPE_CHECKING:
    from hessview.job.objective import Objective

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
