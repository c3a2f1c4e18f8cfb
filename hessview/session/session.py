"""A session: what can be asked of a job, and what it measured.

What a session can be asked for: a method for each command.

A kernel's handle on a job.
"""

import abc
import contextlib
import functools
import inspect
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Literal, ParamSpec

from hessview.errors import HessviewError, InputError, JobLostError, RecordError
from hessview.extensions import look
from hessview.record.collect import Collector
from hessview.record.commands import (
    Accuracy,
    Benchmark,
    Command,
    Coupling,
    Density,
    EpsilonSweep,
    FractionSweep,
    LanczosCommand,
)
from hessview.record.events import JobEnded, JobStarted
from hessview.record.measurements import MEASUREMENTS, command_from_json
from hessview.record.operator_facts import OPERATORS, OperatorTable, facts_of
from hessview.record.validation import ascending, did_you_mean, patterns, several, shown, words
from hessview.session.run import Run, call_all
from hessview.transport.channel import Channel
from hessview.wording import counted

P = ParamSpec("P")


def _asked(method: Callable[P, Run]) -> Callable[P, Run]:
    """Have a question that cannot be called as it was say what it takes."""
    signature = inspect.signature(method)
    names = list(signature.parameters)[1:]

    @functools.wraps(method)
    def ask(*args: P.args, **keywords: P.kwargs) -> Run:
        question = method.__name__
        if unknown := [name for name in keywords if name not in names]:
            hints = "".join(did_you_mean(name, names) for name in unknown)
            raise InputError(f"{question} has no argument {unknown[0]!r}{hints}; use {names}.")
        if len(args) > 1:
            raise InputError(
                f"{question} takes its arguments by name, and was given {args[1]!r} without one; "
                f"use one of {names}, such as {question}({names[0]}=...)."
            )
        needed = {name for name, each in signature.parameters.items() if each.default is each.empty}
        if missing := sorted(needed - {"self", *keywords}):
            raise InputError(f"{question} needs {missing[0]}; see help(session.{question}).")
        return method(*args, **keywords)

    return ask


class Asking(abc.ABC):
    """The questions; `Session` knows whom to ask."""

    @property
    @abc.abstractmethod
    def job(self) -> JobStarted:
        """What the job differentiates, and where."""

    @abc.abstractmethod
    def submit(self, command: Command) -> Run:
        """Send a command to the job."""

    def __getattr__(self, name: str) -> Any:
        """The question of another package's measurement, by its command's name."""
        if name.startswith("_") or name not in MEASUREMENTS:
            raise AttributeError(f"{type(self).__name__!r} has no attribute {name!r}")
        command = MEASUREMENTS[name].command

        def ask(**arguments: Any) -> Run:
            return self.submit(command_from_json({**arguments, "command": name}))

        ask.__name__, ask.__doc__ = name, command.__doc__
        ask.__signature__ = inspect.signature(command)  # type: ignore[attr-defined]
        return ask

    def __dir__(self) -> Iterable[str]:
        return [*super().__dir__(), *MEASUREMENTS]

    @_asked
    def density(
        self,
        *,
        steps: int = Density.steps,
        probes: int = Density.probes,
        epsilon: float | Literal["auto"] = Density.epsilon,
        seed: int = Density.seed,
        reorthogonalize: int | Literal["full", "none"] = Density.reorthogonalize,
        error_every: int = Density.error_every,
        operator: str = Density.operator,
        subset: str | Sequence[str] = Density.subset,
        tolerance: float | None = Density.tolerance,
        quantity: str = Density.quantity,
    ) -> Run:
        """Ask for a spectral density; see `record.commands.Density` for the arguments.

        Returns:
            The run, at once; its dataset fills up while the ranks compute.

        Raises:
            InputError: An argument is outside what is allowed; nothing was sent.
            JobLostError: The job is gone.
        """
        return self.submit(
            Density(
                steps=steps,
                probes=probes,
                epsilon=epsilon,
                seed=seed,
                reorthogonalize=reorthogonalize,
                error_every=error_every,
                operator=operator,
                subset=patterns(subset),
                tolerance=tolerance,
                quantity=quantity,
            )
        )

    @_asked
    def benchmark(
        self,
        *,
        operators: str | Sequence[str] = Benchmark.operators,
        depths: Sequence[int] = Benchmark.depths,
        repetitions: int = Benchmark.probes,
        epsilon: float | Literal["auto"] = Benchmark.epsilon,
    ) -> Run:
        """Ask what gradients, products and Lanczos steps cost; see `analysis.benchmark`.

        Args:
            operators: Names of the operators whose products are timed.
            depths: Lanczos steps at which a step is timed.
            repetitions: How often everything is timed.
            epsilon: Step along a unit-norm vector.

        Returns:
            The run, at once.

        Raises:
            InputError: An argument is outside what is allowed; nothing was sent.
            JobLostError: The job is gone.
        """
        return self.submit(
            Benchmark(
                operators=words("operators", operators, "names of operators"),
                depths=several("depths", depths, "whole numbers >= 1"),
                probes=repetitions,
                epsilon=epsilon,
            )
        )

    @_asked
    def coupling(
        self,
        *,
        blocks: Mapping[str, str] | None = None,
        probes: int = Coupling.probes,
        epsilon: float | Literal["auto"] = Coupling.epsilon,
        seed: int = Coupling.seed,
        operator: str = Coupling.operator,
        subset: str | Sequence[str] = Coupling.subset,
    ) -> Run:
        """Ask how strongly blocks of parameters are coupled.

        A product per probe and block, and one with the whole probe. `analysis.coupling` and
        `views.coupling` say what came out, and how far noise lets it be trusted.

        Args:
            blocks: Pattern of parameter names of each block, such as {"attention": "*attn*",
                "mlp": "*mlp*"}; None takes the job's blocks.
            probes: See `record.commands.Coupling`, as for the other arguments.
            epsilon: Step along a unit-norm vector.
            seed: Seed of the probes.
            operator: Name of the operator.
            subset: Patterns of the parameters that it is restricted to.

        Returns:
            The run, at once; its dataset fills up while the ranks compute.

        Raises:
            InputError: An argument is outside what is allowed, or the job has one block only;
                nothing was sent.
            JobLostError: The job is gone.
        """
        own = blocks is None or (isinstance(blocks, Mapping) and not blocks)
        if own and len(self.job.blocks) < 2:
            raise InputError(
                f"the job has the blocks {list(self.job.blocks)}, and coupling needs two or more; "
                'give blocks by pattern, such as blocks={"attention": "*attn*", "mlp": "*mlp*"}.'
            )
        return self.submit(
            Coupling(
                blocks=() if own else blocks,  # type: ignore[arg-type]  # it takes mappings too
                probes=probes,
                epsilon=epsilon,
                seed=seed,
                operator=operator,
                subset=patterns(subset),
            )
        )

    @_asked
    def accuracy(
        self,
        *,
        epsilons: Iterable[float],
        probes: int = Accuracy.probes,
        top: bool = Accuracy.top,
        reference: Literal["auto", "exact", "richardson"] = Accuracy.reference,
        seed: int = Accuracy.seed,
        operator: str = Accuracy.operator,
        subset: str | Sequence[str] = Accuracy.subset,
    ) -> Run:
        """Ask how accurate products are, over the step: the V of `views.accuracy`.

        Args:
            epsilons: Steps along unit vectors, ascending, such as np.logspace(-6, 0, 13); the
                automatic step is measured besides.
            probes: See `record.commands.Accuracy`, as for the other arguments.
            top: Whether to measure the top eigenvector's direction besides the random ones.
            reference: What products are held against.
            seed: Seed of the probes.
            operator: Name of the operator.
            subset: Patterns of the parameters that it is restricted to.

        Returns:
            The run, at once; its dataset fills up while the ranks compute.

        Raises:
            InputError: An argument is outside what is allowed; nothing was sent.
            JobLostError: The job is gone.
        """
        return self.submit(
            Accuracy(
                epsilons=ascending("epsilons", epsilons),
                probes=probes,
                top=top,
                reference=reference,
                seed=seed,
                operator=operator,
                subset=patterns(subset),
            )
        )

    @_asked
    def sweep(
        self,
        *,
        epsilons: Iterable[float] | None = None,
        fractions: Iterable[float] | None = None,
        steps: int = LanczosCommand.steps,
        probes: int = EpsilonSweep.probes,
        seed: int = LanczosCommand.seed,
        reorthogonalize: int | Literal["full", "none"] = LanczosCommand.reorthogonalize,
        error_every: int = LanczosCommand.error_every,
        operator: str = LanczosCommand.operator,
        subset: str | Sequence[str] = LanczosCommand.subset,
    ) -> Run:
        """Ask for spectra from the same probes, over steps or over parts of the data.

        Args:
            epsilons: Steps along unit vectors, ascending; or
            fractions: parts of the data set, ascending, in (0, 1]. One of the two.
            steps: See `record.commands.LanczosCommand`, as for the other arguments.
            probes: Random probes of each spectrum.
            seed: Seed of the probes.
            reorthogonalize: Against which of the earlier vectors.
            error_every: How often D is measured.
            operator: Name of the operator.
            subset: Patterns of the parameters that it is restricted to.

        Returns:
            The run, at once; its dataset fills up while the ranks compute.

        Raises:
            InputError: An argument is outside what is allowed; nothing was sent.
            JobLostError: The job is gone.
        """
        if (epsilons is None) == (fractions is None):
            raise InputError(
                "sweep takes either epsilons or fractions, and one of them; use epsilons=[1e-4, "
                "1e-3, 1e-2] or fractions=[0.25, 0.5, 1]."
            )
        lanczos = {
            "steps": steps,
            "probes": probes,
            "seed": seed,
            "reorthogonalize": reorthogonalize,
            "error_every": error_every,
            "operator": operator,
            "subset": patterns(subset),
        }
        if epsilons is not None:
            return self.submit(EpsilonSweep(epsilons=ascending("epsilons", epsilons), **lanczos))  # type: ignore[arg-type]
        return self.submit(FractionSweep(fractions=ascending("fractions", fractions), **lanczos))  # type: ignore[arg-type]


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
        self._seen = 0
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
        if run not in (known := self.collector.runs):
            raise RecordError(
                f"run {shown(run)} is not in the job's record{did_you_mean(str(run), known)}; its "
                f"runs are {known}."
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
            # The job says good-bye last: then all that it recorded has arrived.
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
        events = self._channel.events(self._seen, wait)
        if not events:
            return
        with self.changed:
            for event in events:
                self.collector.add(event)
                if isinstance(event.payload, JobStarted | JobEnded):
                    self._ended = event.payload if isinstance(event.payload, JobEnded) else None
            self._seen = events[-1].seq
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
        """Ask the job something; says why it is lost, also where that comes out meanwhile."""
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
