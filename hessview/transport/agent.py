"""This process's RPC agent: at most one, in a group of two, open only while they talk.

This is the only file that names torch.distributed.rpc, public or private.

The RPC layer itself does not ask who calls. What protects the job is the run directory, which
only its user can read; the token and the unpickler's list are a second line of defence, and
stop no one who can already write to the job's shared memory.
"""

import concurrent.futures
import contextlib
import ctypes
import datetime
import os
import pathlib
import pickle
import sys
import threading
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import torch.distributed.rpc

from hessview.errors import JobError
from hessview.transport.desk import Desk, refusal
from hessview.transport.unpickler import AllowlistUnpickler

dist: Any = torch.distributed  # their types leave out much of what is needed here
rpc: Any = torch.distributed.rpc

_JOB, _KERNEL = ("job", 0), ("kernel", 1)
_THREADS = 8  # interrupted calls occupy one each until their wait is over
_PATIENCE = 20.0  # seconds to join; rank 0 may hold Python's lock while it loads a model
_ERROR = 2  # of torch's C++ log levels

TURN = threading.RLock()
"""Held for as long as this process talks; a process has one agent at a time."""

_open = contextlib.ExitStack()  # what ends with the agent
_desk: Desk | None = None  # who answers calls that come into this process


def open_agent(store_path: pathlib.Path, desk: Desk | None = None) -> None:
    """Join a group of the dynamic kind, which opens without waiting for the other member.

    Args:
        store_path: File through which the two members meet; nobody has used it before.
        desk: Who answers calls, on the job's side; None on the kernel's.

    Raises:
        JobError: The process has an agent.
        RuntimeError: The RPC layer cannot start, or the other member does not answer.
    """
    global _desk
    refuse_second_agent()
    if sys.platform == "linux":
        transports, channels = ["shm"], ["cma", "basic"]
    else:  # no shared memory: a socket, but on the loopback interface
        transports, channels = ["uv"], ["basic"]
        os.environ["TP_SOCKET_IFNAME"] = "lo0"
    store = dist.FileStore(str(store_path), -1)
    store.set_timeout(datetime.timedelta(seconds=_PATIENCE))
    options = rpc.TensorPipeRpcBackendOptions(
        num_worker_threads=_THREADS,
        rpc_timeout=_PATIENCE,
        _transports=transports,
        _channels=channels,
    )
    name, identity = _KERNEL if desk is None else _JOB
    _desk = desk
    _open.enter_context(_guarded())
    _open.callback(_shut_down)
    try:
        # It keeps the identity of the first time for good, and minds another one; only distributed
        # autograd would need it, and no tensor is ever sent.
        with contextlib.suppress(RuntimeError):
            dist.autograd._init(identity)
        # What init_rpc does, with our store: its own takes a URL, and numbers groups by process.
        rpc._init_rpc_backend(
            rpc.backend_registry.BackendType.TENSORPIPE, store, name, identity, None, options
        )
    except BaseException:
        close_agent()
        raise


def close_agent() -> None:
    """Hang up and put everything back; closing twice is allowed."""
    _open.close()


def refuse_second_agent() -> None:
    """Check that this process can open an agent.

    Raises:
        JobError: It has one.
    """
    with TURN:  # by then a talk of ours is over
        taken = rpc.api._is_current_rpc_agent_set()
    if taken:
        raise JobError(
            "this process already has an RPC agent of its own, and can have only one; end yours "
            "with rpc.shutdown() first."
        )


def call(
    token: str, operation: str, body: str, *, timeout: float
) -> concurrent.futures.Future[str]:
    """Call the job's desk.

    Args:
        token: As for `Desk.answer`, and so are the next two.
        operation: What to do.
        body: Its arguments.
        timeout: Seconds until the call fails.

    Returns:
        The answer to come; unlike the RPC layer's own, waiting for it can be interrupted. It
        fails with RuntimeError where the link breaks.

    Raises:
        RuntimeError: There is no link.
    """
    answer: concurrent.futures.Future[str] = concurrent.futures.Future()

    def pass_on(reply: Any) -> None:
        try:
            answer.set_result(reply.value())
        except Exception as error:  # whatever it is, who waits must learn of it
            answer.set_exception(error)

    reply = rpc.rpc_async(_JOB[0], _answer, args=(token, operation, body), timeout=timeout)
    reply.add_done_callback(pass_on)
    return answer


def _answer(token: str, operation: str, body: str) -> str:
    """The one function of ours that may be called from the other side."""
    if _desk is None:
        return refusal("JobError", "there is no job in this process.")
    return _desk.answer(token, operation, body)


class _Unpickler(AllowlistUnpickler):
    """Lets our own call through, and the two by which a member joins its group."""

    allowed: ClassVar[Mapping[tuple[str, str], Any]] = {
        (entry.__module__, entry.__qualname__): entry
        for entry in (
            _answer,
            rpc.internal.PythonUDF,
            rpc.WorkerInfo,
            rpc.backend_registry._get_device_infos,
            rpc._utils._update_group_membership,
        )
    }


def _shut_down() -> None:
    if rpc.api._is_current_rpc_agent_set():
        rpc.shutdown(graceful=False)


@contextlib.contextmanager
def _guarded() -> Iterator[None]:
    """As long as an agent is open: no foreign pickles, and no warnings of peers that leave.

    TORCH_CPP_LOG_LEVEL would silence TensorPipe too, but is only read when torch is imported.
    """
    try:
        level = ctypes.c_int.in_dll(ctypes.CDLL(torch._C.__file__), "FLAGS_caffe2_log_level")
    except ValueError:  # a build of torch that names it otherwise; it will warn
        level = ctypes.c_int(_ERROR)
    before = level.value
    level.value = max(before, _ERROR)
    rpc.internal._unpickler = _Unpickler
    try:
        yield
    finally:
        rpc.internal._unpickler = pickle.Unpickler
        level.value = before
