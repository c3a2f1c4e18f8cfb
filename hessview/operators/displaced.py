"""Moving the parameters, and bringing them back bit by bit."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from hessview.interrupts import borrowed
from hessview.operators.base import LossSurface
from hessview.operators.perturbation import Rounding

Move = Callable[[Tensor, float], None]


@contextmanager
def displaced(surface: LossSurface, rounding: Rounding | None = None) -> Iterator[Move]:
    """Lend the parameters out for displacement; the only place that changes them.

    A saved copy of the local shards is written back on the way out, whatever happened inside:
    subtracting what was added would drift by one rounding a product (6e-8 in float32, 15 % in
    100 products in bfloat16). Interrupts wait until it is written back (`interrupts.held`).

    Args:
        surface: The loss whose parameters are moved.
        rounding: How they are rounded; None for to nearest.

    Yields:
        move(direction, distance), which sets each shard to saved + distance * direction;
        direction has shape (local_size,).
    """
    shards = surface.shards()
    home = [shard.clone() for shard in shards]
    rounding = rounding or Rounding(surface, to_nearest=True)

    def move(direction: Tensor, distance: float) -> None:
        parts = surface.space.split(direction)
        for index, (shard, saved, part) in enumerate(zip(shards, home, parts, strict=True)):
            shard.copy_(rounding.displaced(index, saved, part, distance))
        surface.refresh()

    def give_back() -> None:
        with torch.no_grad():
            for shard, saved in zip(shards, home, strict=True):
                shard.copy_(saved)
        surface.refresh()

    with borrowed(give_back):
        yield move
