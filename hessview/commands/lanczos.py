"""What commands with Lanczos say besides."""

import dataclasses
from typing import Literal

from hessview.commands.allowed import whole
from hessview.commands.command import Command
from hessview.errors import InputError


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
        self._keep(
            steps=whole("steps", self.steps, 1),
            error_every=whole("error_every", self.error_every, 0),
        )
        if self.reorthogonalize not in ("full", "none"):
            try:
                window = whole("reorthogonalize", self.reorthogonalize, 1)
            except InputError:
                raise InputError(
                    f'reorthogonalize={self.reorthogonalize!r} is not allowed; use "full", "none", '
                    "or the number of latest vectors (>= 1)."
                ) from None
            self._keep(reorthogonalize=window)

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
