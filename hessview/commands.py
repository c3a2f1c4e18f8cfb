"""What a kernel can ask for: commands, which refuse what makes no sense when they are made."""

import dataclasses
import itertools
import math
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Literal

from hessview.errors import InputError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Command:
    """What every command says.

    Attributes:
        probes: Random probe vectors; with one there is no spread to report.
        seed: Seed of the probes; the same seed draws the same vectors on any number of ranks.
        epsilon: Step along a unit-norm vector, or "auto" for the rule of `operators.step_size`.
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
        _whole("probes", self.probes, 1)
        _whole("seed", self.seed, 0)
        if self.epsilon != "auto":
            _positive("epsilon", self.epsilon, ', the step along a unit-norm vector, or "auto"')
        if not isinstance(self.operator, str) or not self.operator:
            raise InputError(f"operator={self.operator!r} is not allowed; use a name.")
        given: object = self.subset
        patterns = (given,) if isinstance(given, str) else self.subset
        object.__setattr__(self, "subset", tuple(patterns))
        if not self.subset or not all(isinstance(p, str) and p for p in self.subset):
            raise InputError(
                f"subset={patterns!r} is not allowed; use patterns of parameter names."
            )

    def check(self, parameters: int) -> None:
        """Refuse what a model of this size cannot give.

        Args:
            parameters: Number of parameters that the objective differentiates.

        Raises:
            InputError: More steps than parameters.
        """

    @property
    def total(self) -> int:
        """Number of readings that a full run gives."""
        return self.probes


@dataclasses.dataclass(frozen=True, kw_only=True)
class LanczosCommand(Command):
    """Commands that run Lanczos from every probe.

    Attributes:
        steps: Lanczos steps per probe, at most the number of parameters.
        reorthogonalize: "full" (against all earlier vectors), "none", or how many of the
            latest vectors (a window).
        error_every: A second product at twice the step measures D, the error of the first, at
            Lanczos steps 1, 2, 2 + error_every, 2 + 2 error_every, ...; 0 measures none.
    """

    steps: int = 64
    reorthogonalize: int | Literal["full", "none"] = "full"
    error_every: int = 16

    def __post_init__(self) -> None:
        super().__post_init__()
        _whole("steps", self.steps, 1)
        _whole("error_every", self.error_every, 0)
        if self.reorthogonalize not in ("full", "none"):
            window: object = self.reorthogonalize
            if isinstance(window, bool) or not isinstance(window, int) or window < 1:
                raise InputError(
                    f'reorthogonalize={window!r} is not allowed; use "full", "none", or the '
                    "number of latest vectors (>= 1)."
                )

    def check(self, parameters: int) -> None:
        """See `Command.check`."""
        if self.steps > parameters:
            raise InputError(
                f"steps={self.steps} exceeds the {parameters:,} parameters; "
                f"use steps <= {parameters}."
            )

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
        _one_of("quantity", self.quantity, ("trace", "frobenius_norm", "largest", "smallest"))
        if self.tolerance is not None:
            _positive("tolerance", self.tolerance, ", or None")
            if self.probes < 2:
                raise InputError(
                    f"tolerance={self.tolerance} with probes={self.probes} has no spread to judge "
                    "by; use probes >= 2, the most that may be drawn."
                )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Accuracy(Command):
    """Ask how accurate products are, over the finite-difference step: the V.

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
        object.__setattr__(self, "epsilons", _ascending("epsilons", self.epsilons))
        _one_of("reference", self.reference, ("auto", "exact", "richardson"))

    @property
    def total(self) -> int:
        """Number of readings that a full run gives."""
        return (self.probes + self.top) * (len(self.epsilons) + 1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class EpsilonSweep(LanczosCommand):
    """Ask for the spectrum at each of several steps, with the same probes.

    Attributes:
        epsilons: Steps along unit vectors, ascending.
    """

    name: ClassVar[str] = "epsilon_sweep"
    probes: int = 1
    epsilons: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "epsilons", _ascending("epsilons", self.epsilons))

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
        fractions = _ascending("fractions", self.fractions)
        if fractions[-1] > 1:
            raise InputError(
                f"fractions={list(fractions)!r} is not allowed; use numbers in (0, 1], the parts "
                "of the data set."
            )
        object.__setattr__(self, "fractions", fractions)

    @property
    def total(self) -> int:
        """Number of readings that a full run gives."""
        return self.steps * self.probes * len(self.fractions)


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
        given: object = self.blocks
        pairs: Any = tuple(given.items()) if isinstance(given, Mapping) else given
        words = isinstance(pairs, tuple) and all(
            isinstance(pair, tuple)
            and len(pair) == 2
            and all(w and isinstance(w, str) for w in pair)
            for pair in pairs
        )
        if not words or len(dict(pairs)) < len(pairs):
            raise InputError(
                f"blocks={given!r} is not allowed; use a mapping from names to patterns of "
                'parameter names, such as {"attention": "*attn*", "mlp": "*mlp*"}.'
            )
        object.__setattr__(self, "blocks", pairs)
        if len(self.blocks) == 1:
            raise InputError(
                f"blocks={dict(self.blocks)!r} is one block, which is coupled to nothing; use two "
                "or more."
            )


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
        super().__post_init__()
        for depth in self.depths:
            _whole("depths", depth, 1)
        object.__setattr__(self, "operators", tuple(self.operators))
        object.__setattr__(self, "depths", tuple(sorted(set(self.depths))))


COMMANDS: dict[str, type[Command]] = {
    cls.name: cls for cls in (Density, Accuracy, EpsilonSweep, FractionSweep, Coupling, Benchmark)
}


def command_to_json(command: Command) -> dict[str, Any]:
    """Command as a JSON object, with its name under "command"."""
    fields = dataclasses.asdict(command)
    return {"command": command.name, **{key: _listed(value) for key, value in fields.items()}}


def command_from_json(data: Mapping[str, Any]) -> Command:
    """Command from its JSON object.

    Raises:
        InputError: Unknown command or field, or a value outside what is allowed.
    """
    fields = dict(data)
    name = fields.pop("command", None)
    if name not in COMMANDS:
        raise InputError(f"command {name!r} is unknown; use one of {sorted(COMMANDS)}.")
    cls = COMMANDS[name]
    known = {field.name for field in dataclasses.fields(cls)}
    if unknown := sorted(set(fields) - known):
        raise InputError(f"{name} has no {unknown}; its fields are {sorted(known)}.")
    return cls(**{key: _tupled(value) for key, value in fields.items()})


def _listed(value: Any) -> Any:
    return [_listed(entry) for entry in value] if isinstance(value, tuple) else value


def _tupled(value: Any) -> Any:
    return tuple(_tupled(entry) for entry in value) if isinstance(value, list) else value


def _whole(name: str, value: object, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise InputError(f"{name}={value!r} is not allowed; use a whole number >= {least}.")


def _positive(name: str, value: object, rest: str = "") -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or value <= 0:  # type: ignore[arg-type, operator]
        raise InputError(f"{name}={value!r} is not allowed; use a finite number > 0{rest}.")


def _one_of(name: str, value: object, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise InputError(f"{name}={value!r} is not allowed; use one of {list(allowed)}.")


def _ascending(name: str, values: Iterable[float]) -> tuple[float, ...]:
    numbers = tuple(float(value) for value in values)
    for number in numbers:
        _positive(name, number)
    if not numbers or any(b <= a for a, b in itertools.pairwise(numbers)):
        raise InputError(
            f"{name}={list(numbers)!r} is not allowed; use one or more numbers, ascending and "
            "each once."
        )
    return numbers
