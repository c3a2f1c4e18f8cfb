"""This process's RPC agent, open only while a kernel and a job talk; and what it may unpickle.

At most one, in a group of two. On one host the two share memory. Between hosts the job listens on
the interface that its user named; the kernel only calls, and its own end, which TensorPipe wants,
is on the loopback. This is the only file that names torch.distributed.rpc, public or private.

The RPC layer itself does not ask who calls. What protects the job is the run directory, which
only its user can read; the token and the unpickler's list (nothing but the few objects which calls
between kernel and job need) are a second line of defence, and stop no one who can already write to
the job's shared memory, or reach its port.
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
import urllib.parse
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import torch.distributed.rpc

from hessview.errors import JobError
from hessview.transport.interface import Interface, check_route, loopback
from hessview.transport.mailbox import Desk, refusal


class AllowlistUnpickler(pickle.Unpickler):
    """Refuses every global that is not on its list, so that no pickle runs foreign code.

    Subclasses set `allowed`.
    """

    allowed: ClassVar[Mapping[tuple[str, str], Any]] = {}
    """Objects by module and qualified name."""

    def find_class(self, module: str, name: str) -> Any:
        """The object of this name.

        Raises:
            pickle.UnpicklingError: It is not on the list.
        """
        try:
            return self.allowed[module, name]
        except KeyError:
            raise pickle.UnpicklingError(
                f"{module}.{name} is not allowed between kernel and job"
            ) from None


dist: Any = torch.distributed  # their types leave out much of what is needed here
rpc: Any = torch.distributed.rpc

_JOB, _KERNEL = ("job", 0), ("kernel", 1)
_THREADS = 8  # interrupted calls occupy one each until their wait is over
_PATIENCE = 20.0  # seconds to meet; rank 0 may hold Python's lock while it loads a model
_ERROR = 2  # of torch's C++ log levels
_BIND = "TP_SOCKET_IFNAME"

TURN = threading.RLock()
"""Held for as long as this process talks; a process has one agent at a time."""

_open = contextlib.ExitStack()  # what ends with the agent
_desk: Desk | None = None  # who answers calls that come into this process
_job_url = ""  # where TensorPipe finds the job


def open_agent(
    store_path: pathlib.Path, desk: Desk | None = None, *, interface: Interface | None = None
) -> None:
    """Open an agent, without waiting for the other one, which the job's must precede.

    Args:
        store_path: File through which the two meet; nobody has used it before.
        desk: Who answers calls, on the job's side; None on the kernel's.
        interface: Where to listen for calls over TCP; None talks in shared memory, where there
            is some, and nowhere listens.

    Raises:
        JobError: The process has an agent, or TensorPipe cannot listen there.
        RuntimeError: The RPC layer cannot start, or there is no job.
    """
    global _desk, _job_url
    refuse_second_agent()
    if interface is None and sys.platform != "linux":  # no shared memory
        interface = loopback()
    store = dist.FileStore(str(store_path), -1)
    store.set_timeout(datetime.timedelta(seconds=_PATIENCE))
    options = rpc.TensorPipeRpcBackendOptions(
        num_worker_threads=_THREADS,
        rpc_timeout=_PATIENCE,
        _transports=["shm"] if interface is None else ["uv"],
        _channels=["cma", "basic"] if interface is None else ["basic"],
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
        # Less than init_rpc does: that numbers groups by process, and lets members call each other
        # to agree on devices, which we do not use, while nobody can interrupt it.
        with _listening_on(interface):
            agent = rpc.TensorPipeAgent(store, name, identity, None, options, {}, [])
            rpc.api._init_rpc_states(agent)
        addresses = dist.PrefixStore("addrs", store)
        _check_address(addresses.get(name).decode(), interface)
        _job_url = addresses.get(_JOB[0]).decode()
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
        has_agent = rpc.api._is_current_rpc_agent_set()
    if has_agent:
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
        RuntimeError: There is no link, or this host knows no way to the job's.
    """
    if _job_url.startswith("uv:"):
        check_route(_job_url)
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
    """Lets our own call through, and nothing else."""

    allowed: ClassVar[Mapping[tuple[str, str], Any]] = {
        (entry.__module__, entry.__qualname__): entry for entry in (_answer, rpc.internal.PythonUDF)
    }


@contextlib.contextmanager
def _listening_on(interface: Interface | None) -> Iterator[None]:
    """Tell TensorPipe which interface to bind; an environment variable is the only way."""
    before = os.environ.pop(_BIND, None)
    if interface is not None:
        os.environ[_BIND] = interface.name
    try:
        yield
    finally:
        os.environ.pop(_BIND, None)
        if before is not None:
            os.environ[_BIND] = before


def _check_address(url: str, interface: Interface | None) -> None:
    """Refuse to listen elsewhere: TensorPipe keeps the address that it bound first for good."""
    expected = "shm" if interface is None else interface.address
    address = urllib.parse.urlsplit(url)
    if expected not in (address.scheme, address.hostname):
        raise JobError(
            f"this process already uses TensorPipe at {address.hostname} and cannot use {expected} "
            "as well; start a new process for it."
        )


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
