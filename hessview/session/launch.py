"""Starting a job on this machine and attaching to it."""

import contextlib
import dataclasses
import importlib.util
import json
import os
import pathlib
import subprocess
import sys
import time
import weakref
from typing import Any, BinaryIO

import psutil

from hessview import errors
from hessview.errors import HessviewError, InputError, JobError, RunDirectoryError
from hessview.record.files import create_regular, read_end
from hessview.record.job_options import RANKS, job_options
from hessview.record.validation import one_line, whole
from hessview.session.connect import attach_to
from hessview.session.session import Session
from hessview.transport.files import Starting, blame
from hessview.transport.liveness import Process
from hessview.transport.run_directory import RunDirectory

_GRACE = 20.0  # seconds for a job to end by itself; a product that is being computed ends first
_LOOK = 0.1
_TORCHRUN = "torch.distributed.run"
_LOG = "job.log"
_SAYS = "hessview: "  # how rank 0 begins the line that says why there is no job
_DOING = "..."  # how it ends those that say what it is doing
_READ = 1 << 20  # bytes at the end of the job's output that are looked through
_LONGEST = 2_000  # characters of a line that says why there is no job
_WIDTH = 150  # and of others that are quoted
_TAIL = 15  # lines of the job's output that an error quotes

_launched: weakref.WeakValueDictionary[tuple[str, ...], Session] = weakref.WeakValueDictionary()
"""Sessions that `launch` gave, by the real path of their run directory and torchrun's arguments."""


def launch(
    model: str,
    *,
    ranks: int = RANKS,
    run_dir: str | os.PathLike[str] | None = None,
    timeout: float = 600.0,
    **options: Any,
) -> Session:
    """Start torchrun on this machine and attach to its job.

    The job ends with the session, and with this process whatever becomes of it. Called again
    with the same arguments and run directory, as when a notebook's cells are run again, it
    gives the session that is there.

    Args:
        model: "smollm2", "tiny", a Hugging Face name or local folder of a causal language model,
            or "package.module:function", which returns a `hessview.Objective`.
        ranks: How many processes share the model, >= 1; one a GPU where there are GPUs.
        run_dir: Where the record goes, a folder that is new or holds an earlier job's; None makes
            runs/<model>-<time> in the current folder.
        timeout: Seconds until the job must be ready, after which it is stopped.
        **options: Further options of a language model's job, by name: text (a UTF-8 text file;
            None for prose that ships with Python), tokens (of the data set over all ranks, 4096),
            length (tokens per sequence, >= 2, 256), batch (sequences per batch, 4), dtype
            ("float32", "float64", or "bfloat16" over float32 shards) and seed (of whatever is
            random in making the model, 0).

    Returns:
        The session; close it to end the job.

    Raises:
        InputError: An argument is outside what is allowed, or the job refused it.
        ObjectiveError: The objective cannot be differentiated as it is.
        RunDirectoryError: The run directory is not safe.
        JobError: torchrun is missing, another job lives in the run directory, this process is
            attached to a job already, or the job did not start.
    """
    arguments = job_arguments(model, ranks=ranks, **options)
    _refuse_in_a_rank(model)
    if (
        run_dir is not None
        and (session := _own_session(pathlib.Path(run_dir), arguments)) is not None
    ):
        return session
    owner = json.dumps(dataclasses.asdict(Process.current()))
    directory = _vacant(pathlib.Path(run_dir if run_dir is not None else _fresh(model)).absolute())
    with _open_log(directory) as log:
        process = subprocess.Popen(
            [sys.executable, "-m", _TORCHRUN, *arguments, "--run-dir", str(directory.path)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # an interrupt of this process is not one of the job
            env={**os.environ, **job_environment(), "HESSVIEW_OWNER": owner},
        )
    job = _Launched(process, directory)
    try:
        # Imported here: it loads torch, and meanwhile so do the ranks.
        from hessview.transport.agent import refuse_second_agent

        refuse_second_agent()
        job.wait_until_ready(timeout)
        session = attach_to(directory, stop=job.stop)
    except BaseException:
        job.stop()
        raise
    _launched[os.path.realpath(directory.path), *arguments] = session
    return session


def _open_log(directory: RunDirectory) -> BinaryIO:
    path = directory.path / _LOG
    try:
        return create_regular(path)
    except OSError as error:
        raise RunDirectoryError(
            f"the job's output cannot go to {path} ({error}); remove it, or choose another run "
            "directory."
        ) from error


def _refuse_in_a_rank(model: str) -> None:
    """Refuse to start a job while a rank of another one imports the script that asks for it."""
    if "RANK" not in os.environ or "TORCHELASTIC_RUN_ID" not in os.environ:
        return
    script = model.partition(":")[0] if ":" in model else "the script"
    raise InputError(
        f"hessview.launch({model!r}) is called by rank {os.environ['RANK']} of a job that torchrun "
        f"started, so that jobs would start jobs: a job imports {script} to build its objective, "
        'and runs whatever stands at its top level; put the launch under if __name__ == "__main__":'
        ", or use hessview.serve in a script for torchrun."
    )


def _own_session(path: pathlib.Path, arguments: list[str]) -> Session | None:
    """The session that this process launched into a run directory by the same arguments."""
    session = _launched.get((os.path.realpath(path), *arguments))
    return session if session is not None and session.state == "attached" else None


def job_arguments(model: str, *, ranks: int, **options: Any) -> list[str]:
    """What torchrun is given to start a job, without its run directory.

    Args:
        model: As in `launch`.
        ranks: How many processes.
        **options: Further options of the job.

    Raises:
        InputError: An argument is outside what is allowed.
        JobError: torchrun is missing.
    """
    parsed = job_options(model, options, asked="launch")
    ranks = whole("ranks", ranks, 1)
    if importlib.util.find_spec("torch") is None:
        raise JobError("torchrun is missing; install torch in this environment.")
    torchrun = ["--standalone", "--nproc-per-node", str(ranks)]
    return [*torchrun, "-m", "hessview.job", *parsed.arguments()]


def job_environment() -> dict[str, str]:
    """Environment variables that suit a job on this machine, where the user set none."""
    suited = {"OMP_NUM_THREADS": "1", "TORCH_CPP_LOG_LEVEL": "ERROR"}
    if sys.platform == "linux":
        suited["GLOO_SOCKET_IFNAME"] = "lo"  # all ranks are on this machine
    return {name: os.environ.get(name, value) for name, value in suited.items()}


@dataclasses.dataclass
class _Launched:
    """A torchrun process and its run directory."""

    process: subprocess.Popen[bytes]
    directory: RunDirectory

    def wait_until_ready(self, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        printed_phase = ""
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise self._why_it_ended()
            if self._rank_0() is not None:
                return
            starting = Starting.read(self.directory.path)
            if starting is not None and starting.phase != printed_phase:
                printed_phase = starting.phase
                print(f"hessview: {printed_phase} ...", flush=True)
            time.sleep(_LOOK)
        raise JobError(
            f"the job was not ready after {timeout:g} s, at {printed_phase or 'loading torch'}; "
            f"raise timeout, or see {self.directory.path / _LOG}."
        )

    def stop(self) -> None:
        """End the job: by SIGTERM first, then by SIGKILL. No process of it is left."""
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
            if (rank_0 := self._rank_0()) is not None:
                rank_0.terminate()
                self.process.wait(_GRACE)
        except (psutil.NoSuchProcess, subprocess.TimeoutExpired):
            pass
        return self.process.poll() is not None

    def _rank_0(self) -> psutil.Process | None:
        """The process that serves the job, None before it does; never one of another job."""
        try:
            pid = self.directory.read_job().process.pid
        except JobError:
            return None
        return next((child for child in self._children() if child.pid == pid), None)

    def _children(self) -> list[psutil.Process]:
        try:
            return list(psutil.Process(self.process.pid).children(recursive=True))
        except psutil.NoSuchProcess:
            return []

    def _why_it_ended(self) -> HessviewError:
        failures = self.directory.failures()
        for failure in failures:
            name, _, text = failure.error.partition(": ")
            kind = getattr(errors, name, None)
            if isinstance(kind, type) and issubclass(kind, HessviewError):
                return kind(text)  # as if it had been raised in this process
        if failures:
            return JobError(f"the job did not start: {blame(failures, {})}")
        log = self.directory.path / _LOG
        try:
            lines = [one_line(line, _LONGEST) for line in read_end(log, _READ).splitlines()]
        except OSError as error:
            lines = [f"it cannot be read: {error}"]
        for line in lines:
            if line.startswith(_SAYS) and not line.endswith(_DOING):
                words = line.removeprefix(_SAYS)
                return JobError(f"the job ended before it was ready, saying: {words} (see {log})")
        return JobError(
            f"the job ended with code {self.process.returncode} before it was ready; the end of "
            f"{log}:\n" + "\n".join(one_line(line, _WIDTH) for line in lines[-_TAIL:])
        )


def _vacant(path: pathlib.Path) -> RunDirectory:
    """The run directory, made if it is not there; before minutes go into loading a model."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except FileExistsError as error:
        raise RunDirectoryError(
            f"run directory {path} is not a directory; choose another path."
        ) from error
    except OSError as error:
        raise RunDirectoryError(
            f"run directory {path} cannot be made ({error}); choose another."
        ) from error
    directory = RunDirectory.open(path)
    directory.refuse_second_job()
    return directory


def _fresh(model: str) -> pathlib.Path:
    name = pathlib.PurePath(model.replace(":", "-")).name
    return pathlib.Path("runs") / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"
