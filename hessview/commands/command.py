"""What every command says."""

import dataclasses
from typing import ClassVar, Literal

from hessview.commands.allowed import positive, whole
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
        whole("probes", self.probes, 1)
        whole("seed", self.seed, 0)
        if self.epsilon != "auto":
            positive("epsilon", self.epsilon, ', the step along a unit-norm vector, or "auto"')
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
