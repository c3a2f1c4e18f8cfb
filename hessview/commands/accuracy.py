"""Asking how accurate products are."""

import dataclasses
from typing import ClassVar, Literal

from hessview.commands.allowed import ascending, few, one_of, truth
from hessview.commands.command import Command


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
