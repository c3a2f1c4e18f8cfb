"""What a session can be asked for: a method for each command, documented where it is called."""

import abc
import functools
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, ParamSpec

from hessview.errors import InputError
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
from hessview.record.events import JobStarted
from hessview.record.measurements import MEASUREMENTS, command_from_json
from hessview.record.validation import ascending, did_you_mean, patterns, several, words
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
        required = {
            name
            for name, parameter in signature.parameters.items()
            if parameter.default is parameter.empty
        }
        if missing := sorted(required - {"self", *keywords}):
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
        """Ask for the spectral density of the Hessian, or of another matrix, by Lanczos quadrature.

        `hessview.summary` and `views.density` say what came out.

        Args:
            steps: Lanczos steps per probe, from 1 to the number of parameters, at most 100,000.
                More steps resolve more of the spectrum; each costs a product and, with full
                reorthogonalisation, memory of one vector.
            probes: Random probe vectors, from 1 to 100,000. Each gives a spectrum of its own; their
                spread is the error bar, so that one has none.
            epsilon: Finite-difference step along a unit-norm vector, > 0, or "auto" for one that
                balances rounding against truncation; not used by operator "exact".
            seed: Seed of the probes, a whole number from 0 to 2**63 - 1; the same seed draws the
                same vectors on any number of ranks.
            reorthogonalize: Against which earlier Lanczos vectors each new one is made orthogonal:
                "full" (all, which are kept in memory), "none" (copies of eigenvalues appear, and
                are counted as such), or how many of the latest, >= 1.
            error_every: At Lanczos steps 1, 2, 2 + error_every, 2 + 2 error_every, ... a second
                product at twice epsilon measures D, the error of the first; 0 measures none.
            operator: Name of the matrix, one of `session.operators` (such as "hessian",
                "gauss_newton", "fisher", "exact"), or "package.module:name" of one's own.
            subset: Patterns of parameter names, one or several ("*" any text, "?" any character);
                the matrix is restricted to the parameters that match one.
            tolerance: End the run once the relative standard error of `quantity` over the probes is
                below this, > 0; it needs probes >= 2, the most that may be drawn. None runs all
                probes.
            quantity: What has to settle for `tolerance`: "trace", "frobenius_norm", "largest" or
                "smallest".

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
        """Ask what gradients, products and Lanczos steps cost here: time, memory, collectives.

        `hessview.summary` gives everything as a ratio to a gradient of the same run.

        Args:
            operators: Names of the operators whose products are timed, one or several of
                `session.operators`, or "package.module:name".
            depths: Lanczos steps at which the time of a step beside its product is measured: whole
                numbers >= 1, which say how many vectors are kept.
            repetitions: How often everything is timed in turn, >= 1; with one there is no spread.
            epsilon: Finite-difference step along a unit-norm vector, > 0, or "auto" for one that
                balances rounding against truncation; not used by operator "exact".

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
            blocks: Pattern of parameter names of each block, by the block's name, such as
                {"attention": "*attn*", "mlp": "*mlp*"}; two or more that do not overlap, and
                parameters that match none are left alone. None takes the job's blocks.
            probes: Random probe vectors, >= 1, so many that four times probes times the square of
                the number of blocks stays within 2**25; their spread is the error bar. Each costs
                two products per block.
            epsilon: Finite-difference step along a unit-norm vector, > 0, or "auto" for one that
                balances rounding against truncation; not used by operator "exact".
            seed: Seed of the probes, a whole number from 0 to 2**63 - 1; the same seed draws the
                same vectors on any number of ranks.
            operator: Name of the matrix, one of `session.operators` (such as "hessian",
                "gauss_newton", "fisher", "exact"), or "package.module:name" of one's own.
            subset: Patterns of parameter names, one or several ("*" any text, "?" any character);
                the matrix is restricted to the parameters that match one.

        Returns:
            The run, at once; its dataset fills up while the ranks compute.

        Raises:
            InputError: An argument is outside what is allowed, or the job has one block only;
                nothing was sent.
            JobLostError: The job is gone.
        """
        blocks_of_job = blocks is None or (isinstance(blocks, Mapping) and not blocks)
        if blocks_of_job and len(self.job.blocks) < 2:
            raise InputError(
                f"the job has the blocks {list(self.job.blocks)}, and coupling needs two or more; "
                'give blocks by pattern, such as blocks={"attention": "*attn*", "mlp": "*mlp*"}.'
            )
        return self.submit(
            Coupling(
                blocks=() if blocks_of_job else blocks,  # type: ignore[arg-type]  # it takes mappings too
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
        """Ask how accurate products are over epsilon: the V of `views.accuracy`.

        Args:
            epsilons: Finite-difference steps along unit vectors at which products are measured:
                finite numbers > 0, ascending, such as np.logspace(-6, 0, 13), at most 1,000. The
                automatic one is measured besides.
            probes: Random directions, >= 1.
            top: Whether to measure the direction of the top eigenvector besides the random ones,
                which a few Lanczos steps approach.
            reference: What products are held against: "exact" (double backward, of small models),
                "richardson" (finite differences, extrapolated to epsilon 0), or "auto" (exact where
                it fits).
            seed: Seed of the probes, a whole number from 0 to 2**63 - 1; the same seed draws the
                same vectors on any number of ranks.
            operator: Name of the matrix, one of `session.operators` (such as "hessian",
                "gauss_newton", "fisher", "exact"), or "package.module:name" of one's own. It must
                take an epsilon.
            subset: Patterns of parameter names, one or several ("*" any text, "?" any character);
                the matrix is restricted to the parameters that match one.

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
        """Ask for spectra from the same probes, over epsilon or over parts of the data.

        Args:
            epsilons: Finite-difference steps along unit vectors, one for each spectrum: finite
                numbers > 0, ascending, at most 1,000. Either these or `fractions`.
            fractions: Parts of the data set, from its first batch on, one for each spectrum:
                ascending, in (0, 1]. Either these or `epsilons`.
            steps: Lanczos steps per probe, from 1 to the number of parameters, at most 100,000.
                More steps resolve more of the spectrum; each costs a product and, with full
                reorthogonalisation, memory of one vector.
            probes: Random probe vectors of each spectrum, the same at every setting, >= 1; with one
                a distance has no interval.
            seed: Seed of the probes, a whole number from 0 to 2**63 - 1; the same seed draws the
                same vectors on any number of ranks.
            reorthogonalize: Against which earlier Lanczos vectors each new one is made orthogonal:
                "full" (all, which are kept in memory), "none" (copies of eigenvalues appear, and
                are counted as such), or how many of the latest, >= 1.
            error_every: At Lanczos steps 1, 2, 2 + error_every, 2 + 2 error_every, ... a second
                product at twice epsilon measures D, the error of the first; 0 measures none.
            operator: Name of the matrix, one of `session.operators` (such as "hessian",
                "gauss_newton", "fisher", "exact"), or "package.module:name" of one's own.
            subset: Patterns of parameter names, one or several ("*" any text, "?" any character);
                the matrix is restricted to the parameters that match one.

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
