"""Asking for spectra over the step, or over the data."""

import dataclasses
from typing import ClassVar

from hessview.checked import shown
from hessview.commands.allowed import ascending, few
from hessview.commands.lanczos import LanczosCommand
from hessview.errors import InputError


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
