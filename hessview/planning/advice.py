"""Whether a plan fits, and what would."""

import math
from typing import TYPE_CHECKING

from hessview.commands import Density
from hessview.counted import counted

if TYPE_CHECKING:
    from hessview.job.rehearsal import Rehearsal

GIB = 2**30
_MOST_RANKS = 1 << 16


def advise(
    density: Density, seen: "Rehearsal", held: dict[str, int], available: int, ranks: int
) -> str:
    """Whether a plan fits, and what to change if not."""
    size, row = available / GIB, seen.shard * seen.itemsize
    rest = sum(held.values()) - held["basis"]
    most = min((available - rest) // row, seen.parameters)
    if rest + held["basis"] <= available:
        what = "steps" if density.reorthogonalize == "full" else "vectors kept"
        return f"fits in {size:g} GiB a rank, with up to {most:,} {what}."
    cures = []
    if most >= 2:
        cures = [f"steps <= {most:,}", f"reorthogonalize={most} (a window)"]
    if (enough := _enough_ranks(seen, held, available, ranks)) is not None:
        cures.append(counted(enough, "rank"))
    if not cures:
        cures = ["a smaller batch or length: what is not shared by ranks is too much by itself"]
    return f"does not fit in {size:g} GiB a rank; use {', or '.join(cures)}."


def _enough_ranks(
    seen: "Rehearsal", held: dict[str, int], available: int, ranks: int
) -> int | None:
    """Smallest number of ranks that suffices if only what is sharded shrinks."""
    fixed = sum(held[kind] for kind in ("gathered", "gradients", "activations", "operator"))
    shards = (sum(held.values()) - fixed) / seen.shard

    def fits(number: int) -> bool:
        # fully_shard cuts along the first dimension; the first rank has most.
        shard = sum(
            math.ceil(shape[0] / number) * math.prod(shape[1:]) for shape in seen.shapes if shape
        )
        return fixed + shards * shard <= available

    low, high = ranks, ranks
    while not fits(high):
        low, high = high, 2 * high
        if high > _MOST_RANKS:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if fits(middle) else (middle, high)
    return high
