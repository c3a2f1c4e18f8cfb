"""A session: a kernel's handle on a job, with the runs that were asked of it."""

import contextlib
import threading
import uuid
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any

from hessview.errors import HessviewError, JobLostError, RecordError
from hessview.extensions import look
from hessview.record.collect import Collector
from hessview.record.commands import Command
from hessview.record.events import JobEnded, JobStarted
from hessview.record.operator_facts import OPERATORS, OperatorTable, facts_of
from hessview.record.validation import did_you_mean, shown
from hessview.session.asking import Asking
from hessview.session.run import Run, call_all
from hessview.transport.channel import Channel
from hessview.wording import counted

_POLL = 2.0  # seconds that the job may hold a request for events
_FIRST = 30.0  # seconds for the first events, which a job has before it can be attached to


class Session(Asking):
    """Asks a job for curvature and collects what arrives.

    Made by `hessview.attach`, `launch`, `local` or `watch`. Earlier runs of the job
    are replayed from its record; `session["3f2a90c1b7de"]` is the run of that identity.

    Args:
        channel: The line to the job.
        stop: Ends the job, for a session that started it; None where the job goes on alone.
    """

    def __init__(self, channel: Channel, *, stop: Callable[[], None] | None = None) -> None:
        self.collector = Collector()
        self.changed = threading.Condition()
        self.lost: JobLostError | None = None
        self._channel = channel
        self._stop = stop
        self._runs: dict[str, Run] = {}
        self._callbacks: list[Callable[[], None]] = []
        self._last_seq = 0
        self._closing = threading.Event()
        self._ended: JobEnded | None = None
        try:
            self._fetch(_FIRST)
        except BaseException:
            channel.close()
            raise
        self._thread = threading.Thread(target=self._follow, name="hessview-events", daemon=True)
        self._thread.start()

    @property
    def job(self) -> JobStarted:
        """What the job differentiates, and where."""
        job = self.collector.job
        if job is None:
            raise JobLostError("the job's record does not say what it holds; start it anew.")
        return job

    @property
    def state(self) -> str:
        """Whether the job can be asked: "attached", "watching", "detached", or why it is lost."""
        if self.lost is not None:
            return str(self.lost)
        return "detached" if self._closing.is_set() else self._channel.state

    @property
    def read_only(self) -> bool:
        """Whether it follows the job without being able to ask it."""
        return self._channel.state == "watching"

    @property
    def runs(self) -> list[Run]:
        """All runs of the job's record, the oldest first."""
        return [self._run(run) for run in self.collector.runs]

    @property
    def operators(self) -> OperatorTable:
        """The operators that this job can be asked for, by name, and what is known of each.

        Those of the job's own installation, less those that its objective cannot give; of a job
        of an earlier version, which does not say, hessview's. `operator="package.module:name"`
        asks for others.
        """
        names = self.job.operators or OPERATORS
        return OperatorTable({name: facts_of(name) for name in names})

    def __getitem__(self, run: str) -> Run:
        if run not in (runs := self.collector.runs):
            raise RecordError(
                f"run {shown(run)} is not in the job's record{did_you_mean(str(run), runs)}; its "
                f"runs are {runs}."
            )
        return self._run(run)

    __iter__ = None  # by identity only, not by number; `runs` has them in order

    def _ipython_key_completions_(self) -> list[str]:
        return self.collector.runs

    def submit(self, command: Command) -> Run:
        """Send a command to the job.

        Args:
            command: What to measure.

        Returns:
            The run, once the job has recorded it.

        Raises:
            InputError: The model cannot give what is asked for; nothing was sent.
            JobLostError: The job is gone.
        """
        command.check(self.job.parameters, len(self.job.blocks))
        identity = uuid.uuid4().hex[:12]
        with self._attached():
            self._channel.submit(identity, command)
        with self.changed:
            # The job acknowledged it, so that its event is on its way.
            while identity not in self.collector.runs:
                self._check_attached()
                if reason := self.collector.why_left_out(identity):
                    raise RecordError(f"{reason} Nothing of it can be shown here: cancel it.")
                self.changed.wait(0.1)
        return self._run(identity)

    def cancel(self, run: str) -> None:
        """Stop a run at the next safe point.

        Args:
            run: Identity of the run.
        """
        with self._attached():
            self._channel.cancel(run)

    def on_change(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call back after each change of the job, its runs, or the line to it.

        Args:
            callback: Called without arguments, from another thread; it must return soon.

        Returns:
            Call it to end this.
        """
        self._callbacks.append(callback)
        return lambda: self._callbacks.remove(callback) if callback in self._callbacks else None

    def dashboard(self) -> Any:
        """All runs of the job on one page, which later ones join by themselves.

        Returns:
            A widget (`page.dashboard.Dashboard`): display it, or let a cell end with it.
        """
        return look("session's dashboard")(self)

    def detach(self) -> None:
        """Leave the job, which goes on if it was not started by this session."""
        self.close()

    def close(self) -> None:
        """Leave the job, and end it if this session started it; closing twice is allowed."""
        if self._closing.is_set():
            return
        if self._stop is not None:
            self._stop()
            # The job's last event is its end: then all that it recorded has arrived.
            self._thread.join(timeout=_POLL)
        self._closing.set()
        self._channel.close()
        self._thread.join(timeout=_POLL)
        if self.lost is None:
            self._lose(JobLostError("this session is closed; attach again, or use open_runs()."))

    def __enter__(self) -> "Session":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        job, runs = self.job, len(self.collector.runs)
        return (
            f"<hessview.Session {job.model}: {job.parameters:,} parameters on "
            f"{counted(job.world_size, 'rank')}, {counted(runs, 'run')}, {self.state}>"
        )

    def _repr_html_(self) -> str:
        return str(look("session as HTML")(self.job, self.state))

    def _ipython_display_(self) -> None:
        look("session")(self)._ipython_display_()

    def _follow(self) -> None:
        while not self._closing.is_set() and self.lost is None:
            try:
                self._fetch(_POLL)
            except HessviewError as error:
                if not self._closing.is_set():
                    self._lose(JobLostError(str(error)))
            except Exception as error:  # otherwise whoever waits for a run would do so for ever
                self._lose(JobLostError(f"events cannot be read ({error!r}); attach again."))

    def _fetch(self, wait: float) -> None:
        events = self._channel.events(self._last_seq, wait)
        if not events:
            return
        with self.changed:
            for event in events:
                self.collector.add(event)
                if isinstance(event.payload, JobStarted | JobEnded):
                    self._ended = event.payload if isinstance(event.payload, JobEnded) else None
            self._last_seq = events[-1].seq
            self.changed.notify_all()
        for run in dict.fromkeys(event.run for event in events):
            if run in self._runs:
                self._runs[run].tell()
        call_all(self._callbacks, "the session")
        if self._ended is not None:
            self._lose(
                JobLostError(
                    f"the job has ended ({self._ended.reason}); its record stays: read it with "
                    "hessview.open_runs, or start the job again and attach."
                )
            )

    def _lose(self, error: JobLostError) -> None:
        with self.changed:
            self.lost = error
            self.changed.notify_all()
        with contextlib.suppress(HessviewError):
            self._channel.close()
        for run in list(self._runs.values()):
            run.tell()
        call_all(self._callbacks, "the session")

    def _run(self, identity: str) -> Run:
        return self._runs.setdefault(identity, Run(self, identity))

    @contextlib.contextmanager
    def _attached(self) -> Iterator[None]:
        """Ask the job something; raises the reason if the job is lost, also meanwhile."""
        self._check_attached()
        try:
            yield
        except JobLostError as error:
            raise (self.lost or error) from error.__cause__

    def _check_attached(self) -> None:
        if self.lost is not None:
            raise self.lost
        if self._closing.is_set():
            raise JobLostError("this session is closed; attach again.")
