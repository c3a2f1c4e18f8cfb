"""Starting a job on this machine and attaching to it."""

import contextlib
import dataclasses
import importlib.util
import os
import pathlib
import signal
import subprocess
import sys
import time
from typing import Any

import psutil

from hessview.errors import HessviewError, InputError, JobError
from hessview.session.attach import attach_to
from hessview.session.session import Session
from hessview.transport.failure import blame
from hessview.transport.run_directory import RunDirectory

_GRACE = 20.0  # seconds for a job to end by itself; a product that is being computed ends first
_LOOK = 0.1
_TAIL = 15  # lines of the job's output that an error quotes


def launch(
    model: str,
    *,
    ranks: int = 2,
    run_dir: str | os.PathLike[str] | None = None,
    timeout: float = 600.0,
    **options: Any,
) -> Session:
    """Start torchrun on this machine and attach to its job.

    The job ends with the session, and with this process whatever becomes of it.

    Args:
        model: "smollm2", "tiny", a Hugging Face name or folder, or "package.module:function".
        ranks: How many processes share the model.
        run_dir: Where the record goes; None makes runs/<model>-<time> in the current folder.
        timeout: Seconds until the job must be ready.
        **options: Further options of the job: text, tokens, length, batch, dtype, seed.

    Returns:
        The session; close it to end the job.

    Raises:
        InputError: An argument is outside what is allowed, or the job refused it.
        JobError: torchrun is missing, or the job did not start.
    """
    arguments = job_arguments(model, ranks=ranks, **options)
    path = pathlib.Path(run_dir if run_dir is not None else _fresh(model)).absolute()
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (path / "job.log").open("wb") as log:
        process = subprocess.Popen(
            [*arguments, "--run-dir", str(path)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # an interrupt of this process is not one of the job
            env=_environment(),
        )
    job = _Launched(process, path)
    try:
        job.wait_until_ready(timeout)
        return attach_to(RunDirectory.open(path), stop=job.stop)
    except BaseException:
        job.stop()
        raise


def job_arguments(model: str, *, ranks: int, **options: Any) -> list[str]:
    """Command line that starts a job, without its run directory.

    Args:
        model: As in `launch`.
        ranks: How many processes.
        **options: Further options of the job.

    Raises:
        InputError: An argument is outside what is allowed.
        JobError: torchrun is missing.
    """
    if not isinstance(model, str):
        raise InputError(
            f"model is a {type(model).__name__}; torchrun needs a name: give "
            '"package.module:function" that returns the Objective, or use hessview.local.'
        )
    if isinstance(ranks, bool) or not isinstance(ranks, int) or ranks < 1:
        raise InputError(f"ranks={ranks!r} is not allowed; use a whole number >= 1.")
    if importlib.util.find_spec("torch") is None:
        raise JobError("torchrun is missing; install torch in this environment.")
    allowed = ("text", "tokens", "length", "batch", "dtype", "seed")
    if unknown := sorted(set(options) - set(allowed)):
        raise InputError(f"launch has no {unknown}; its options are {sorted(allowed)}.")
    arguments = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    arguments += ["--nproc-per-node", str(ranks), "-m", "hessview.job", "--model", model]
    for name, value in options.items():
        if value is not None:
            arguments += [f"--{name}", str(value)]
    return arguments


@dataclasses.dataclass
class _Launched:
    """A torchrun process and its run directory."""

    process: subprocess.Popen[bytes]
    path: pathlib.Path

    def wait_until_ready(self, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise self._why_it_ended()
            with contextlib.suppress(JobError):
                job = RunDirectory.open(self.path).read_job()
                if job.state != "ended" and job.process.life() != "gone":
                    return
            time.sleep(_LOOK)
        raise JobError(
            f"the job was not ready after {timeout:g} s; raise timeout, or see "
            f"{self.path / 'job.log'}."
        )

    def stop(self) -> None:
        """End the job: politely, then surely. No process of it is left."""
        children = self._children()
        if not self._end_by_rank_0():
            self.process.terminate()
            try:
                self.process.wait(_GRACE)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        for child in children:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        psutil.wait_procs(children, timeout=5)

    def _end_by_rank_0(self) -> bool:
        """Let rank 0 close the record and tell the other ranks; whether all of it ended."""
        try:
            os.kill(RunDirectory.open(self.path).read_job().process.pid, signal.SIGTERM)
            self.process.wait(_GRACE)
        except (JobError, ProcessLookupError, subprocess.TimeoutExpired):
            return self.process.poll() is not None
        return True

    def _children(self) -> list[psutil.Process]:
        try:
            return list(psutil.Process(self.process.pid).children(recursive=True))
        except psutil.NoSuchProcess:
            return []

    def _why_it_ended(self) -> HessviewError:
        failures = RunDirectory.open(self.path).failures()
        if failures:
            text = blame(failures, {})
            kind = InputError if "InputError" in text else JobError
            return kind(f"the job did not start: {text}")
        tail = (self.path / "job.log").read_text(errors="replace").splitlines()[-_TAIL:]
        return JobError(
            f"the job ended with code {self.process.returncode} before it was ready; the end of "
            f"{self.path / 'job.log'}:\n" + "\n".join(tail)
        )


def _environment() -> dict[str, str]:
    own = psutil.Process()
    environment = {**os.environ, "HESSVIEW_OWNER": f"{own.pid} {own.create_time()}"}
    environment.setdefault("OMP_NUM_THREADS", "1")
    environment.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    if sys.platform == "linux":
        environment.setdefault("GLOO_SOCKET_IFNAME", "lo")  # all ranks are on this machine
    return environment


def _fresh(model: str) -> pathlib.Path:
    name = pathlib.PurePath(model.replace(":", "-")).name
    return pathlib.Path("runs") / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"
