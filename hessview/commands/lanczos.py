"""What commands with Lanczos say besides."""

import dataclasses
from typing import Literal

from hessview.checked import shown
from hessview.commands.allowed import LARGEST, MOST_STEPS, at_most, whole
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
    def total(self) -> int:
        """Number of readings that a full run gives."""
        return self.steps * self.probes
