"""What a kernel can ask for: commands, which refuse what makes no sense when they are made."""

import dataclasses
import math
from collections.abc import Mapping
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
        parameters: Patterns of parameter names ("*" any text, "?" any character); the operator
            is restricted to those that match one.
    """

    name: ClassVar[str]
    probes: int = 4
    seed: int = 0
    epsilon: float | Literal["auto"] = "auto"
    operator: str = "hessian"
    parameters: tuple[str, ...] = ("*",)

    def __post_init__(self) -> None:
        _whole("probes", self.probes, 1)
        _whole("seed", self.seed, 0)
        if self.epsilon != "auto":
            _positive("epsilon", self.epsilon, ', the step along a unit-norm vector, or "auto"')
        if not isinstance(self.operator, str) or not self.operator:
            raise InputError(f"operator={self.operator!r} is not allowed; use a name.")
        given: object = self.parameters
        patterns = (given,) if isinstance(given, str) else self.parameters
        object.__setattr__(self, "parameters", tuple(patterns))
        if not self.parameters or not all(isinstance(p, str) and p for p in self.parameters):
            raise InputError(
                f"parameters={patterns!r} is not allowed; use patterns of parameter names."
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
    """Ask for a spectral density by stochastic Lanczos quadrature."""

    name: ClassVar[str] = "density"


COMMANDS: dict[str, type[Command]] = {cls.name: cls for cls in (Density,)}


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
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()}
    return cls(**values)


def _listed(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _whole(name: str, value: object, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise InputError(f"{name}={value!r} is not allowed; use a whole number >= {least}.")


def _positive(name: str, value: object, rest: str = "") -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or value <= 0:  # type: ignore[arg-type, operator]
        raise InputError(f"{name}={value!r} is not allowed; use a finite number > 0{rest}.")
