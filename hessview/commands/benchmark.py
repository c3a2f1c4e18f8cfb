"""Asking what things cost."""

import dataclasses
from typing import ClassVar

from hessview.commands.allowed import LARGEST, at_most, few, several, whole, words
from hessview.commands.command import Command


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
        whole("repetitions", self.probes, 1)  # as whoever asks calls them
        super().__post_init__()
        depths = several("depths", self.depths, "whole numbers >= 1")
        self._keep(
            operators=words("operators", self.operators, "names of operators"),
            depths=tuple(sorted({whole("depths", depth, 1) for depth in depths})),
        )

    def check_size(self) -> None:
        """See `Command.check_size`."""
        few("operators", self.operators)
        few("depths", self.depths)
        at_most("depths", max(self.depths, default=1), LARGEST)
        super().check_size()

    @property
    def total(self) -> int:
        """Number of pieces of work that a full run times."""
        return self.probes * (1 + len(self.operators) + len(self.depths))
