"""A job that answers notebooks: from a script of its own, or from inside a training loop.

`Job` is polled by all ranks, takes commands, runs them by the `worker` and writes the record;
`_Schedule` holds what is measured without being asked, and `turn` lets one job at a time move the
parameters of a module.
"""

import contextlib
import logging
import pathlib
import signal
import sys
import threading
import time
import uuid
import weakref
from collections.abc import Callable, Generator, Mapping
from types import TracebackType
from typing import Any

from torch import nn

from hessview import interrupts
from hessview.errors import HessviewError, InputError, JobError, NotRestoredError, RecordError
from hessview.job import meeting
from hessview.job.control import Control, agree
from hessview.job.meeting import in_words
from hessview.job.objective import Objective
from hessview.job.status import end_of_all, forget
from hessview.job.worker import Worker
from hessview.record.commands import Command
from hessview.record.events import JobEnded, JobStarted, Payload, RunEnded
from hessview.record.log import EventLog
from hessview.record.measurements import MEASUREMENTS, command_from_json
from hessview.transport.files import Failure, blame
from hessview.transport.host import RpcHost
from hessview.transport.interface import Interface
from hessview.transport.mailbox import Mailbox, Queued
from hessview.transport.run_directory import RunDirectory


class _Schedule:
    """Commands, each due at every so many training steps.

    Args:
        accept: Raises InputError for commands that the job cannot carry out.
    """

    def __init__(self, accept: Callable[[Command], None]) -> None:
        self._accept = accept
        self._entries: list[tuple[int, Command]] = []
        self._measured_at: int | None = None

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, every: int, commands: Mapping[str, Command | Mapping[str, Any]]) -> None:
        """Put commands on the schedule.

        Args:
            every: Training steps from one measurement to the next.
            commands: By name, what is measured: a command, or its arguments.

        Raises:
            InputError: An argument is outside what is allowed; nothing was added.
        """
        if isinstance(every, bool) or not isinstance(every, int) or every < 1:
            raise InputError(f"every={every!r} is not allowed; use a whole number >= 1.")
        if not commands:
            raise InputError(
                f"there is nothing to record; name one or more of {sorted(MEASUREMENTS)}, such as "
                "density={'steps': 32, 'probes': 2}."
            )
        entries = []
        for name, arguments in commands.items():
            if isinstance(arguments, Mapping):
                arguments = command_from_json({**arguments, "command": name})
            if not isinstance(arguments, Command) or arguments.name != name:
                raise InputError(
                    f"{name}={arguments!r} is not allowed; give the arguments of {name} as a dict, "
                    f"or the command itself; names are {sorted(MEASUREMENTS)}."
                )
            self._accept(arguments)
            entries.append((every, arguments))
        self._entries += entries

    def due(self, training_step: int | None) -> list[Command]:
        """What is due at a training step; asked again at the same one, nothing.

        Raises:
            InputError: There is a schedule, and no training step.
        """
        if not self._entries:
            return []
        if training_step is None:
            raise InputError(
                "job.record counts training steps, and poll was not told one; call "
                "job.poll(training_step=step)."
            )
        if training_step == self._measured_at:
            return []
        self._measured_at = training_step
        return [command for every, command in self._entries if training_step % every == 0]


_TURNS: "weakref.WeakKeyDictionary[nn.Module, threading.Lock]" = weakref.WeakKeyDictionary()


def turn(module: nn.Module) -> threading.Lock:
    """The lock to hold while a module's parameters may move.

    Two sessions of `hessview.local` on one module have a thread each; a product of one would be
    made at the parameters that the other has displaced.

    Args:
        module: Any module; those within it, and around it, have locks of their own.
    """
    return _TURNS.setdefault(module, threading.Lock())


_SETTLE = 1.0  # seconds until what broke a link shows: a dying process closes it before it is gone
_ALIKE = 10.0  # seconds, beyond four passes, in which ranks meet an error that all meet
_TICK = 0.2  # seconds that rank 0 waits for a command before it gives a sign of life

_log = logging.getLogger(__name__)


class Job:
    """The torchrun side: all ranks hold one, and call `poll` (or `run`) together.

    Args:
        objective: What is differentiated.
        directory: Run directory, made by rank 0 and opened by the others; None for a job within
            one process that keeps its record in memory and answers no other process.
        evaluation: Whether to put the module into evaluation mode for each measurement.
        listen: Interface on which rank 0 takes calls from kernels on other hosts; None: on none.
    """

    def __init__(
        self,
        objective: Objective,
        directory: RunDirectory | None = None,
        *,
        evaluation: bool = False,
        listen: Interface | None = None,
    ) -> None:
        self._rank = meeting.rank()
        if directory is not None:
            directory.record_rank(self._rank)
        self._turn = turn(objective.module)
        self.mailbox: Mailbox | None = None
        self.identity = ""
        self._log: EventLog | None = None
        self._host: RpcHost | None = None
        self._owed: list[tuple[RunEnded, str]] = []
        self._directory = directory
        self._listen = listen
        self._ranks = meeting.ranks()
        self._until: Callable[[], str] = lambda: ""
        self._interrupted = False  # whether a rank was in the latest run
        self.closed = False
        # It is checked by gradients, some at displaced parameters.
        with interrupts.held(stops=(signal.SIGINT,)), self._turn:
            self.worker = Worker(objective, evaluation=evaluation)
            self._schedule = _Schedule(self.worker.accept)
            self._control = Control()
            description = self.worker.describe()
            with agree():
                if self._rank == 0:
                    self._open_record(description)

    def poll(
        self,
        training_step: int | None = None,
        *,
        wait: float = 0.0,
        step: int | None = None,
    ) -> None:
        """Run whatever notebooks asked for, at the present weights; all ranks call it together.

        Args:
            training_step: Step of the surrounding training loop, for the record. Several ranks
                that train must tell it, and poll from one place of the script, or nothing is
                measured: it shows that all are at the same moment of the training.
            wait: Seconds that rank 0 waits for a command, if there is none yet.
            step: The name that training_step had in 0.1.0; it goes with the next version.

        Whatever a measurement raises ends that run alone, as long as all ranks meet it. Interrupts
        (Ctrl-C, and other signals with a handler of yours) stop a run at its next safe point, and
        come when all is as it was, as this returns.

        Raises:
            JobError: The job is closed, or a rank left a poll out: told at that rank's next
                poll, with a warning after 30 s of waiting for it, and at last after half an hour.
            InputError: There is a schedule (see `record`), and no training step; or it was given
                by both names.
            NotRestoredError: Parameters could not be brought back, as where a device has failed.
            Exception: What some ranks met in a run while the others wait for them in a collective:
                the job has ended, and said why in its record.
        """
        with interrupts.held():
            if self.closed:
                raise JobError("this job is closed; call hessview.serve for a new one.")
            if step is not None:
                if training_step is not None:
                    raise InputError(
                        f"poll was given training_step={training_step!r} and step={step!r}, which "
                        "is its old name; use training_step alone."
                    )
                training_step = step
            frame = sys._getframe(1)
            caller = f"{pathlib.Path(frame.f_code.co_filename).name}:{frame.f_lineno}"
            try:
                self._poll(training_step, wait, caller)
            except HessviewError:
                raise
            except BaseException as error:
                if self._ranks > 1:
                    self._fail(error)
                raise

    def _poll(self, training_step: int | None, wait: float, caller: str) -> None:
        patient = wait > 0
        self._write_owed()
        for command in self._schedule.due(training_step):
            if self.mailbox is not None:
                try:
                    self.mailbox.submit(uuid.uuid4().hex[:12], command)
                except RecordError as error:  # no reason to end a training
                    _log.warning(
                        "nothing is measured at training step %s: %s", training_step, error
                    )
        while not self.closed:
            message: dict[str, Any] = {}
            queued: Queued | None = None
            wish = self._until()
            if self.mailbox is not None and wish:
                message = {"close": wish}
            elif self.mailbox is not None and (queued := self._next_command(wait)):
                message = {"run": queued.run, "command": queued.text}
            message = self._control.hear(message, training_step, patient=wait > 0, wish=wish)
            if not message:
                return
            if "close" in message:
                self._part(message["close"])
                return
            self._interrupted = False
            command = message["command"] if queued is None else queued.command
            readings = self._readings(command, training_step, caller, patient)
            if self._await_turn(message["run"]):
                try:
                    self._execute(message["run"], readings)
                finally:
                    self._turn.release()
            if self._interrupted:  # on any rank; what else is queued shall not suffer
                return
            wait = 0.0

    def record(self, *, every: int, **commands: Command | Mapping[str, Any]) -> None:
        """Measure by itself at every so many training steps; all ranks call it together.

        Args:
            every: Training steps from one measurement to the next; `poll` must be given it.
            **commands: What to measure, by the command's name: a command, or its arguments, such
                as density={"steps": 32, "probes": 2}.

        Raises:
            InputError: An argument is outside what is allowed; nothing will be recorded.
        """
        self._schedule.add(every, commands)

    def run(self, *, until: Callable[[], str] = lambda: "") -> None:
        """Poll until the job is closed.

        Args:
            until: Asked on each rank why the job shall end, "" as long as it shall not. Where one
                has a reason, a run is cancelled on all, and the job closes.
        """
        self._until = until
        while not self.closed:
            self.poll(wait=_TICK)

    def close(self, reason: str = "the job's script left the block of hessview.serve") -> None:
        """Close the record and let attached kernels know; all ranks call it together.

        Closing twice is allowed.

        Args:
            reason: Why, in words, for the record and for whoever is attached.
        """
        with interrupts.held():
            if not self.closed:
                try:
                    self._control.hear_end(reason)
                except BaseException as error:
                    self._end(str(error) if isinstance(error, JobError) else self._blame(error))
                    raise
                self._part(reason)

    def __enter__(self) -> "Job":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with interrupts.held():
            if error is None:
                self.close()
            else:
                self._fail(error)

    def _fail(self, error: BaseException) -> None:
        """Record the error that ends this rank, and end the job here; the others cannot go on."""
        if not self.closed:
            self._leave_word(error)
            self._end(self._blame(error))

    def _leave_word(self, error: BaseException) -> None:
        """Record in the run directory the error that ends this rank."""
        if self._directory is not None:
            with contextlib.suppress(OSError, JobError):  # a full disk, say; the error counts
                self._directory.record_failure(self._rank, in_words(error))

    def _open_record(self, description: JobStarted) -> None:
        self.identity = uuid.uuid4().hex[:12]
        self._log = EventLog(
            self.identity, self._directory.events_path if self._directory else None
        )
        self._finish_cut_off_runs(self._log)
        self._log.append(description)
        self.mailbox = Mailbox(self._log, self.worker.accept)
        if self._directory is not None:
            self._host = RpcHost(
                self._directory, self.mailbox, job=self.identity, listen=self._listen
            )

    def _next_command(self, wait: float) -> Queued | None:
        """The next command, waited for as long as nobody is interrupted."""
        assert self.mailbox is not None, "only rank 0 takes commands"
        deadline = time.monotonic() + wait
        while not interrupts.wanted():
            remaining = deadline - time.monotonic()
            queued = self.mailbox.take(max(0.0, min(remaining, _TICK)))
            if queued or remaining <= _TICK:
                return queued
        return None

    def _readings(
        self, command: Command | str, training_step: int | None, caller: str, patient: bool
    ) -> Generator[Payload, None, None]:
        """The command's readings, unless ranks may be at different moments of the training."""
        try:
            self._control.check_moment(training_step, caller, patient=patient)
        except JobError as error:
            yield RunEnded(state="failed", error=str(error))
        else:
            yield from self.worker.execute(
                command, training_step=training_step, conclude=self._conclude
            )

    def _conclude(self, end: RunEnded, error: Exception | None) -> RunEnded:
        """How a run ended on all ranks; raises an error that only some met during a pass."""
        spent, alike = time.monotonic() - self.worker.reduction.met, True
        try:
            ends, self._interrupted = self._control.conclude(end, limit=_ALIKE + 4 * spent)
            result = end_of_all(ends)
            if result.state != "done":
                self.worker.surface.settle()
        except (JobError, RuntimeError) as apart:
            if error is None:
                raise
            error.add_note(f"hessview: {apart}")
            alike = False
        if not alike:
            assert error is not None, "else it was raised above"
            raise error
        if result.state == "failed" and error is not None:
            already_logged = any(earlier.error == end.error for earlier in ends[: self._rank])
            if not (already_logged or isinstance(error, HessviewError)):
                _log.warning("a run failed, and nothing else: %s", result.error, exc_info=error)
            forget(error)
        return result

    def _await_turn(self, run: str) -> bool:
        """Wait for other jobs of this process on the same module, unless the run is cancelled."""
        while not self._turn.acquire(timeout=_TICK):
            interrupted = self._until() or interrupts.wanted()
            if interrupted or (self.mailbox is not None and self.mailbox.is_cancelled(run)):
                text = "the run was cancelled while it waited for another session's on its module."
                self._write(RunEnded(state="cancelled", error=text), run)
                return False
        return True

    def _execute(self, run: str, readings: Generator[Payload, None, None]) -> None:
        """Run a command on all ranks; rank 0 writes the record."""
        mailbox = self.mailbox
        broken: Exception | None = None
        ended = False
        if mailbox is not None:
            self.worker.reduction.wants_stop = lambda: (
                bool(broken) or mailbox.is_cancelled(run) or bool(self._until())
            )
        else:
            self.worker.reduction.wants_stop = lambda: bool(self._until())
        try:
            with contextlib.closing(readings):
                for payload in readings:
                    if broken is not None:
                        payload = RunEnded(state="failed", error=_unwritten(broken))
                    try:
                        self._write(payload, run)
                        ended = ended or isinstance(payload, RunEnded)
                    except Exception as error:  # no room on the disk, or what is no number
                        broken = error
                        if isinstance(payload, RunEnded):
                            self._owed.append((payload, run))
                            ended = True
                            _log.warning("run %s cannot be ended for now: %s", run, error)
        except BaseException as error:
            fatal = self._ranks > 1 or isinstance(error, NotRestoredError)
            if fatal:
                self._leave_word(error)
            if not ended:
                self._owed.append((RunEnded(state="failed", error=self._blame(error)), run))
                self._write_owed()
            if fatal:
                self._fail(error)
            raise
        finally:
            self.worker.reduction.wants_stop = lambda: False

    def _write_owed(self) -> None:
        """Write the ends of runs for which the disk had no room."""
        with contextlib.suppress(RecordError):
            while self._owed:
                self._write(*self._owed[0])
                del self._owed[0]

    def _write(self, payload: Payload, run: str) -> None:
        if self.mailbox is not None:
            self.mailbox.append(payload, run)

    def _blame(self, error: BaseException) -> str:
        """The first cause: this rank's own error, or that of a rank which it was waiting for."""
        own_failure = Failure.of(self._rank, in_words(error))
        if self._directory is None:
            return blame([own_failure], {})
        deadline = time.monotonic() + _SETTLE
        while True:
            failures, dead_ranks = self._directory.failures(), self._directory.ranks("gone")
            cause_known = dead_ranks or any(
                not failure.lost_peer for failure in [*failures, own_failure]
            )
            if cause_known or time.monotonic() > deadline:
                return blame([*failures, own_failure], dead_ranks)
            time.sleep(0.02)

    @staticmethod
    def _finish_cut_off_runs(log: EventLog) -> None:
        """Say of runs that an earlier job left open that they ended with it."""
        ended = {event.run for event in log.events if isinstance(event.payload, RunEnded)}
        for run in dict.fromkeys(event.run for event in log.events if event.run):
            if run not in ended:
                log.append(RunEnded(state="failed", error="its job ended before it did"), run)

    def _part(self, reason: str) -> None:
        self._end(reason)
        self._control.part()

    def _end(self, reason: str) -> None:
        self.closed = True
        self._write_owed()
        if self.mailbox is not None and self._log is not None:
            try:
                self._finish_cut_off_runs(self._log)
                self.mailbox.append(JobEnded(reason=reason))
            except RecordError as error:
                _log.warning("the end of the job is not recorded: %s", error)
        if self._host is not None:
            self._host.close(reason)
        if self._log is not None:
            self._log.close()
        if self._directory is not None:
            self._directory.close()


def _unwritten(error: Exception) -> str:
    """Why a run cannot go on whose readings could not be written."""
    if isinstance(error, RecordError):
        return str(error)
    return (
        f"what it found cannot be recorded ({type(error).__name__}: {error}); an operator's "
        "numbers and texts must be plain ones."
    )
