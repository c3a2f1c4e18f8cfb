"""What a session can be asked for: a method for each command."""

import abc
import functools
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal, ParamSpec

from hessview.commands import (
    Accuracy,
    Benchmark,
    Command,
    Coupling,
    Density,
    EpsilonSweep,
    FractionSweep,
    LanczosCommand,
)
from hessview.commands.allowed import ascending, did_you_mean, patterns, several, words
from hessview.errors import InputError
from hessview.messages import JobStarted
from hessview.session.run import Run

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
        """Ask for a spectral density; see `commands.Density` for the arguments.

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
        """Ask what gradients, products and Lanczos steps cost; see `data.benchmark`.

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

        A product per probe and block, and one with the whole probe. `data.coupling` and
        `views.coupling` say what came out, and how far noise lets it be trusted.

        Args:
            blocks: Pattern of parameter names of each block, such as {"attention": "*attn*",
                "mlp": "*mlp*"}; None takes the job's blocks.
            probes: See `commands.Coupling`, as for the other arguments.
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
        if not blocks and len(self.job.blocks) < 2:
            raise InputError(
                f"the job has the blocks {list(self.job.blocks)}, and coupling needs two or more; "
                'give blocks by pattern, such as blocks={"attention": "*attn*", "mlp": "*mlp*"}.'
            )
        return self.submit(
            Coupling(
                blocks=blocks or (),  # type: ignore[arg-type]  # it takes mappings too
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
            probes: See `commands.Accuracy`, as for the other arguments.
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
            steps: See `commands.LanczosCommand`, as for the other arguments.
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
