"""What every command says."""

import dataclasses
from typing import Any, ClassVar, Literal

from hessview.commands.allowed import (
    LARGEST,
    MOST_PROBES,
    MOST_READINGS,
    at_most,
    few,
    patterns,
    positive,
    whole,
    word,
)
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
