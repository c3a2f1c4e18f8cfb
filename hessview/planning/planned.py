"""What a spectral density needs, as numbers and as a table."""

import dataclasses
import json

from hessview.commands import Density
from hessview.planning.table import table


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """What a spectral density needs; `print` it for a table.

    Attributes:
        model: Name of the model.
        ranks: How many ranks share it.
        density: What is measured.
        parameters: Number of differentiated parameters, tied ones counted once.
        blocks: Number of parameters by block.
        shard: Elements of the largest rank's shard.
        memory: Bytes of the largest rank at its peak by kind; the basis grows with the steps.
        gradients: How many gradients the run takes, at the least and at the most; one more for
            each product whose step is tried again, which is rare, times those of a product.
        batches: Batches of the data set, which the ranks share out.
        collectives: Calls of a product by kind, None where it is not known.
        received: Bytes of a product that a rank gets from others, by kind; None likewise.
        gradient_seconds: Time of a gradient on these ranks, None if it was not given.
        available: Bytes that a rank has, None if it was not given.
        advice: Whether it fits, and what to change if not; "" without `available`.
        notes: What the numbers leave out.
    """

    model: str
    ranks: int
    density: Density
    parameters: int
    blocks: dict[str, int]
    shard: int
    memory: dict[str, int]
    gradients: tuple[float, float]
    batches: int
    collectives: dict[str, int] | None
    received: dict[str, int] | None
    gradient_seconds: float | None
    available: int | None
    advice: str
    notes: tuple[str, ...]

    @property
    def total(self) -> int:
        """Bytes of the largest rank at its peak."""
        return sum(self.memory.values())

    @property
    def seconds(self) -> tuple[float, float] | None:
        """Time of all gradients, at the least and at the most; None without that of one."""
        if self.gradient_seconds is None:
            return None
        least, most = self.gradients
        return least * self.gradient_seconds, most * self.gradient_seconds

    def to_json(self) -> str:
        """All of it as JSON, sizes in bytes."""
        derived = {"total": self.total, "seconds": self.seconds}
        return json.dumps(dataclasses.asdict(self) | derived, indent=1)

    def __str__(self) -> str:
        return table(self)
