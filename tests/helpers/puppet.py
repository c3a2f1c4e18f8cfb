"""Processes of their own that do what a test tells them: kernels, and a job without ranks."""

import contextlib
import itertools
import multiprocessing
import os
import signal
import threading
import time
import traceback
from typing import Any

from hessview import errors

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["hessview.transport.rpc"])


class Puppet:
    """A process that runs pieces of code in one namespace, in its main thread."""

    def __init__(self) -> None:
        self._pipe, theirs = _CONTEXT.Pipe()
        self.process = _CONTEXT.Process(target=_obey, args=(theirs,), daemon=True)
        self.process.start()
        theirs.close()

    @property
    def pid(self) -> int:
        return self.process.pid

    def do(self, code: str, timeout: float = 30.0) -> Any:
        """Run code and return its value, or raise what it raised."""
        self.start(code)
        return self.result(timeout)

    def start(self, code: str) -> None:
        self._pipe.send(code)

    def result(self, timeout: float = 30.0) -> Any:
        assert self._pipe.poll(timeout), "no answer in time"
        value, error = self._pipe.recv()
        if error is not None:
            raise error
        return value

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        """End it without a word and wait until it is gone."""
        with contextlib.suppress(ProcessLookupError):
            self.signal(signal.SIGKILL)
        self.process.join(10)
        self._pipe.close()


def _obey(pipe: Any) -> None:
    namespace: dict[str, Any] = {}
    exec("import os, signal, threading, time", namespace)
    while True:
        try:
            code = pipe.recv()
        except EOFError:
            return
        try:
            try:
                value = eval(compile(code, "<test>", "eval"), namespace)
            except SyntaxError:
                exec(compile(code, "<test>", "exec"), namespace)
                value = None
            pipe.send((value, None))
        except errors.HessviewError as error:
            pipe.send((None, error))
        except BaseException:
            pipe.send((None, AssertionError(traceback.format_exc())))


class Job:
    """A job without ranks: each step of a command gives a reading whose alpha is the step."""

    def __init__(
        self, path: str, name: str = "job", pause: float = 0.0, listen: Any = None
    ) -> None:
        from hessview.record.log import EventLog
        from hessview.transport.host import RpcHost
        from hessview.transport.mailbox import Mailbox
        from hessview.transport.run_directory import RunDirectory

        self.directory = RunDirectory.create(path)
        self.log = EventLog(name, self.directory.events_path)
        self.mailbox = Mailbox(self.log)
        self.host = RpcHost(self.directory, self.mailbox, job=name, listen=listen)
        self.pause = pause
        threading.Thread(target=self._compute, daemon=True).start()

    def _compute(self) -> None:
        from hessview.record.events import Reading, RunEnded, RunStarted

        while True:
            taken = self.mailbox.take(1.0)
            if taken is None:
                continue
            run, command, _ = taken
            self.mailbox.append(RunStarted(training_step=None, loss=1.0, gradient_norm=1.0), run)
            for probe, step in itertools.product(range(command.probes), range(command.steps)):
                time.sleep(self.pause)
                if self.mailbox.is_cancelled(run):
                    self.mailbox.append(RunEnded(state="cancelled"), run)
                    break
                index = {"probe": probe, "step": step}
                self.mailbox.append(Reading(index=index, values={"alpha": float(step)}), run)
            else:
                self.mailbox.append(RunEnded(state="done"), run)


def attach(path: str, *, force: bool = False) -> Any:
    from hessview.transport.rpc import RpcChannel
    from hessview.transport.run_directory import RunDirectory

    return RpcChannel(RunDirectory.open(path), force=force)


def until_ended(channel: Any, run: str, timeout: float = 10.0) -> list[Any]:
    """All events, as soon as a run has ended."""
    events: list[Any] = []
    deadline = time.monotonic() + timeout
    while not any(event.run == run and event.payload.kind == "run_ended" for event in events):
        assert time.monotonic() < deadline, "the run does not end"
        events += channel.events(events[-1].seq if events else 0, 1.0)
    return events


def belongings() -> dict[str, int]:
    """How many threads and files this process holds."""
    return {
        "threads": len(os.listdir("/proc/self/task")),
        "files": len(os.listdir("/proc/self/fd")),
    }
