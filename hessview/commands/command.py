"""What every command says."""

import dataclasses
from typing import Any, ClassVar, Literal

from hessview.commands.allowed import patterns, positive, whole
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
        self._keep(probes=whole("probes", self.probes, 1), seed=whole("seed", self.seed, 0))
        if self.epsilon != "auto":
            rest = ', the step along a unit-norm vector, or "auto"'
            self._keep(epsilon=positive("epsilon", self.epsilon, rest))
        if not isinstance(self.operator, str) or not self.operator:
            raise InputError(f"operator={self.operator!r} is not allowed; use a name.")
        self._keep(subset=patterns(self.subset))

    def _keep(self, **values: Any) -> None:
        """Set fields while the command is made; it is frozen afterwards."""
        for name, value in values.items():
            object.__setattr__(self, name, value)

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
