"""What can be asked of a job: commands, which refuse what makes no sense when they are made.

A command crosses the wire, and lies in the record, as a JSON object. Which commands there are, and
what belongs to each, says `record.measurements`.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from hessview.errors import InputError
from hessview.record.validation import (
    LARGEST,
    MOST_NUMBERS,
    MOST_PROBES,
    MOST_READINGS,
    MOST_STEPS,
    ascending,
    at_most,
    few,
    one_of,
    patterns,
    positive,
    several,
    shown,
    truth,
    whole,
    word,
    words,
)

__all__ = [
    "Accuracy",
    "Benchmark",
    "Command",
    "Coupling",
    "Density",
    "EpsilonSweep",
    "FractionSweep",
    "LanczosCommand",
    "command_to_json",
]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Command:
    """What every command says.

    Attributes:
        probes: Random probe vectors; with one there is no spread to report.
        seed: Seed of the probes; the same seed draws the same vectors on any number of ranks.
        epsilon: Finite-difference step along a unit-norm vector, or "auto" for the rule of
            `operators.step_size`.
        operator: Name in `operators.OPERATORS`, or "package.module:name".
        subset: Patterns of parameter names ("*" any text, "?" any character); the operator is
            restricted to the parameters that match one.
    """

    name: ClassVar[str]
    probes: int = 4
    seed: int = 0
    epsilon: float | Literal["auto"] = "auto"
    operator: str = "hessian"
    subset: tuple[str, ...] = ("*",)

    def __post_init__(self) -> None:
        self._keep(probes=whole("probes", self.probes, 1), seed=whole("seed", self.seed, 0))
        if not isinstance(self.epsilon, str) or self.epsilon != "auto":
            rest = ', the step along a unit-norm vector, or "auto"'
            self._keep(epsilon=positive("epsilon", self.epsilon, rest))
        self._keep(operator=word("operator", self.operator), subset=patterns(self.subset))

    def _keep(self, **values: Any) -> None:
        """Set fields while the command is made; it is frozen afterwards."""
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def check(self, parameters: int, blocks: int = 0) -> None:
        """Refuse what a model of this size cannot give, and what nobody could hold.

        Args:
            parameters: Number of parameters that the objective differentiates.
            blocks: Number of the job's blocks, 0 where that is not known.

        Raises:
            InputError: More steps than parameters, or of a size that `check_size` refuses.
        """
        self.check_size()

    def check_size(self) -> None:
        """Refuse what makes sense, but is more than any reader could hold or anybody wait for.

        Not when a command is made: records of earlier versions hold such commands, and what was
        measured of them stays readable.

        Raises:
            InputError: Too many probes, steps, readings or entries, or a seed beyond 63 bits.
        """
        few("subset", self.subset)
        few("operator", (self.operator,))
        if self.seed > LARGEST:
            raise InputError(f"seed has {self.seed.bit_length()} bits; use a seed < 2**63.")
        at_most("probes", self.probes, MOST_PROBES)
        if self.total > MOST_READINGS:
            raise InputError(
                f"this asks for {self.total:,} readings, and a run may have {MOST_READINGS:,}; "
                "use fewer probes, or steps."
            )

    @property
    def total(self) -> int:
        """Number of readings that a full run gives."""
        return self.probes

    @property
    def operator_names(self) -> tuple[str, ...]:
        """Names of the operators whose products it takes."""
        return (self.operator,)


@dataclasses.dataclass(frozen=True, kw_only=True)
class LanczosCommand(Command):
    """Commands that run Lanczos from every probe.

    Attributes:
        steps: Lanczos steps per probe, at most the number of parameters.
        reorthogonalize: "full" (against all earlier vectors), "none", or how many of the
            latest vectors (a window).
        error_every: A second product at twice epsilon measures D, the error of the first, at
            Lanczos steps 1, 2, 2 + error_every, 2 + 2 error_every, ...; 0 measures none.
    """

    steps: int = 64
    reorthogonalize: int | Literal["full", "none"] = "full"
    error_every: int = 16

    def __post_init__(self) -> None:
        super().__post_init__()
        self._keep(
            steps=whole("steps", self.steps, 1),
            error_every=whole("error_every", self.error_every, 0),
        )
        if not isinstance(self.reorthogonalize, str) or (
            self.reorthogonalize not in ("full", "none")
        ):
            try:
                window = whole("reorthogonalize", self.reorthogonalize, 1)
            except InputError:
                raise InputError(
                    f"reorthogonalize={shown(self.reorthogonalize)} is not allowed; use "
                    '"full", "none", or the number of latest vectors (>= 1).'
                ) from None
            self._keep(reorthogonalize=window)

    def check(self, parameters: int, blocks: int = 0) -> None:
        """See `Command.check`."""
        if self.steps > parameters:
            raise InputError(
                f"steps={shown(self.steps)} exceeds the {parameters:,} parameters; "
                f"use steps <= {parameters}."
            )
        super().check(parameters, blocks)

    def check_size(self) -> None:
        """See `Command.check_size`."""
        at_most("steps", self.steps, MOST_STEPS)
        at_most("error_every", self.error_every, LARGEST)
        if not isinstance(self.reorthogonalize, str):
            at_most("reorthogonalize", self.reorthogonalize, LARGEST)
        super().check_size()

    @property
    def vectors_kept(self) -> int:
        """How many Lanczos vectors are held at the most; a step needs the two latest."""
        kept = {"full": self.steps, "none": 2}.get(str(self.reorthogonalize))
        return min(self.steps, kept or max(2, int(self.reorthogonalize)))

    @property
    def total(self) -> int:
        """Number of readings that a full run gives."""
        return self.steps * self.probes


@dataclasses.dataclass(frozen=True, kw_only=True)
class Density(LanczosCommand):
    """Ask for a spectral density by stochastic Lanczos quadrature.

    Attributes:
        tolerance: End the run once the relative standard error of `quantity` over probes is
            below this; None runs all probes.
        quantity: What has to settle: "trace", "frobenius_norm", "largest" or "smallest".
    """

    name: ClassVar[str] = "density"
    tolerance: float | None = None
    quantity: str = "trace"

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of("quantity", self.quantity, ("trace", "frobenius_norm", "largest", "smallest"))
        if self.tolerance is not None:
            self._keep(tolerance=positive("tolerance", self.tolerance, ", or None"))
            if self.probes < 2:
                raise InputError(
                    f"tolerance={self.tolerance} with probes={self.probes} has no spread to judge "
                    "by; use probes >= 2, the most that may be drawn."
                )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Coupling(Command):
    """Ask how strongly blocks of parameters are coupled by the operator.

    Attributes:
        blocks: Pairs of a block's name and the pattern of its parameters' names; () takes the
            job's blocks. Parameters that match none are left alone.
    """

    name: ClassVar[str] = "coupling"
    blocks: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        blocks: object = self.blocks
        pairs: Any = tuple(blocks.items()) if isinstance(blocks, Mapping) else blocks
        shape = isinstance(pairs, tuple) and all(
            isinstance(pair, tuple) and len(pair) == 2 for pair in pairs
        )
        try:
            if not shape:
                raise InputError("no pairs")
            pairs = tuple((word("name", name), word("pattern", text)) for name, text in pairs)
            if len(dict(pairs)) < len(pairs):
                raise InputError("a name comes twice")
        except InputError:
            raise InputError(
                f"blocks={shown(blocks)} is not allowed; use a mapping from names to patterns of "
                'parameter names, such as {"attention": "*attn*", "mlp": "*mlp*"}.'
            ) from None
        self._keep(blocks=pairs)
        if len(self.blocks) == 1:
            raise InputError(
                f"blocks={shown(dict(self.blocks))} is one block, which is coupled to nothing; "
                "use two or more."
            )

    def check(self, parameters: int, blocks: int = 0) -> None:
        """See `Command.check`."""
        super().check(parameters, blocks)
        self._check_numbers(len(self.blocks) or blocks)

    def check_size(self) -> None:
        """See `Command.check_size`."""
        few("blocks", self.blocks)
        for pair in self.blocks:
            few("blocks", pair)
        self._check_numbers(len(self.blocks))
        super().check_size()

    def _check_numbers(self, blocks: int) -> None:
        """A probe gives three numbers for each pair of blocks."""
        most = MOST_NUMBERS // (4 * max(blocks, 1) ** 2)
        if self.probes > most:
            raise InputError(
                f"probes={shown(self.probes)} between {blocks:,} blocks are more than can be "
                "held; use " + (f"probes <= {most:,}." if most else "fewer blocks.")
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class EpsilonSweep(LanczosCommand):
    """Ask for the spectrum at each of several epsilons, with the same probes.

    Attributes:
        epsilons: Steps along unit vectors, ascending.
    """

    name: ClassVar[str] = "epsilon_sweep"
    probes: int = 1
    epsilons: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        self._keep(epsilons=ascending("epsilons", self.epsilons))

    def check_size(self) -> None:
        """See `Command.check_size`."""
        few("epsilons", self.epsilons)
        super().check_size()

    @property
    def total(self) -> int:
        """Number of readings that a full run gives."""
        return self.steps * self.probes * len(self.epsilons)


@dataclasses.dataclass(frozen=True, kw_only=True)
class FractionSweep(LanczosCommand):
    """Ask for the spectrum on growing parts of the data, with the same probes.

    Attributes:
        fractions: Parts of the batches, from the first on, ascending, in (0, 1].
    """

    name: ClassVar[str] = "fraction_sweep"
    probes: int = 1
    fractions: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        fractions = ascending("fractions", self.fractions)
        if fractions[-1] > 1:
            raise InputError(
                f"fractions={shown(list(fractions))} is not allowed; use numbers in (0, 1], "
                "the parts of the data set."
            )
        self._keep(fractions=fractions)

    def check_size(self) -> None:
        """See `Command.check_size`."""
        few("fractions", self.fractions)
        super().check_size()

    @property
    def total(self) -> int:
        """Number of readings that a full run gives."""
        return self.steps * self.probes * len(self.fractions)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Accuracy(Command):
    """Ask how accurate products are, over epsilon: the V.

    Attributes:
        epsilons: Steps along unit vectors, ascending; the automatic one is measured besides.
        top: Whether to measure the top eigenvector's direction besides the random probes.
        reference: "exact" (double backward, small models), "richardson" (extrapolated finite
            differences), or "auto" (exact where it fits).
    """

    name: ClassVar[str] = "accuracy"
    probes: int = 2
    epsilons: tuple[float, ...] = ()
    top: bool = True
    reference: Literal["auto", "exact", "richardson"] = "auto"

    def __post_init__(self) -> None:
        super().__post_init__()
        self._keep(epsilons=ascending("epsilons", self.epsilons), top=truth("top", self.top))
        one_of("reference", self.reference, ("auto", "exact", "richardson"))

    def check_size(self) -> None:
        """See `Command.check_size`."""
        few("epsilons", self.epsilons)
        super().check_size()

    @property
    def total(self) -> int:
        """Number of readings that a full run gives."""
        return (self.probes + self.top) * (len(self.epsilons) + 1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Benchmark(Command):
    """Ask what gradients, products and Lanczos steps cost here.

    Attributes:
        probes: Repetitions of every measurement.
        operators: Names of the operators to time.
        depths: Lanczos steps at which a step is timed.
        COLLECTIVES: Kinds of collectives that are counted.
    """

    name: ClassVar[str] = "benchmark"
    COLLECTIVES: ClassVar[tuple[str, ...]] = ("all_gather", "reduce_scatter", "all_reduce")
    probes: int = 3
    operators: tuple[str, ...] = ("hessian",)
    depths: tuple[int, ...] = (1, 10, 50)

    def __post_init__(self) -> None:
        whole("repetitions", self.probes, 1)  # as whoever asks calls them
        super().__post_init__()
        depths = several("depths", self.depths, "whole numbers >= 1")
        self._keep(
            operators=words("operators", self.operators, "names of operators"),
            depths=tuple(sorted({whole("depths", depth, 1) for depth in depths})),
        )

    def check_size(self) -> None:
        """See `Command.check_size`."""
        few("operators", self.operators)
        few("depths", self.depths)
        at_most("depths", max(self.depths, default=1), LARGEST)
        super().check_size()

    @property
    def total(self) -> int:
        """Number of pieces of work that a full run times."""
        return self.probes * (1 + len(self.operators) + len(self.depths))

    @property
    def operator_names(self) -> tuple[str, ...]:
        """Names of the operators whose products it takes."""
        return self.operators


def command_to_json(command: Command) -> dict[str, Any]:
    """Command as a JSON object, with its name under "command"."""
    fields = dataclasses.asdict(command)
    return {"command": command.name, **{key: _listed(value) for key, value in fields.items()}}


def _listed(value: Any) -> Any:
    return [_listed(entry) for entry in value] if isinstance(value, tuple) else value
