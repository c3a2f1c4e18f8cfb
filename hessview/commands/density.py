"""Asking for a spectral density."""

import dataclasses
from typing import ClassVar

from hessview.commands.allowed import one_of, positive
from hessview.commands.lanczos import LanczosCommand
from hessview.errors import InputError


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
