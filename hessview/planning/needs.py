"""What a run needs, counted from one gradient that was gone through."""

import math
from typing import TYPE_CHECKING

from hessview.commands import Density

if TYPE_CHECKING:
    from hessview.job.rehearsal import Rehearsal

_ANEW = (3, 5)  # products along an extreme Ritz vector: at the step, twice and half, and beyond
_LADDER = (3, 17)  # products to calibrate the step with: the fewest and the most
# Shards at once: those of a product (saved parameters, the product before, the product, and the
# second one that measures D) and of the first one, which calibrates (saved, product, five steps).
_VECTORS, _SECOND, _CALIBRATING = 3, 1, 7
_KEPT = {"hessian_fourth_order": 1, "hessian_forward": 1}  # half a step's product, home's gradient
# How many forward passes alone, and whole gradients, a product by differences goes through.
_PRODUCTS = {
    "hessian": (0, 2),
    "hessian_one_reduction": (0, 2),
    "hessian_fourth_order": (0, 4),
    "hessian_forward": (0, 1),
    "gauss_newton": (2, 1),
    "fisher": (2, 1),
}


def rows_kept(density: Density) -> int:
    """How many vectors the Lanczos basis holds at its largest."""
    kept = {"full": density.steps, "none": 2}.get(str(density.reorthogonalize))
    return min(density.steps, kept or max(2, int(density.reorthogonalize)))


def _differs(seen: "Rehearsal") -> bool:
    """Whether products are differences at a step, which D and calibration are about."""
    from hessview.operators.differences import Differences

    return isinstance(seen.operator, Differences)


def memory_of(density: Density, seen: "Rehearsal") -> dict[str, int]:
    """Bytes of the largest rank at its peak, by kind."""
    vectors = _VECTORS - 1
    if _differs(seen):
        vectors = _VECTORS + _SECOND * (density.error_every > 0)
        if density.epsilon == "auto":
            vectors = max(vectors, _CALIBRATING)
        vectors += _KEPT.get(density.operator, 0)
    row = seen.shard * seen.itemsize
    return {
        **seen.memory,
        "basis": rows_kept(density) * row,
        "vectors": vectors * row,
        "operator": seen.asked,
    }


def gradients_of(density: Density, seen: "Rehearsal") -> tuple[float, float]:
    """How many gradients a run takes, at the least and at the most."""
    products = density.steps * density.probes
    anew = density.probes * min(2, density.steps) if rows_kept(density) == density.steps else 0
    least, most = 0, 0
    if density.error_every and not _differs(seen):
        products += anew
    elif density.error_every:
        # At steps 1 and 2, and from there at every so many.
        products += density.probes * (1 + math.ceil((density.steps - 1) / density.error_every))
        least, most = _ANEW[0] * anew, _ANEW[1] * anew
    if _differs(seen) and density.epsilon == "auto":
        least, most = least + _LADDER[0], most + _LADDER[1]
    cost = float(getattr(seen.operator, "gradients", math.nan))
    return 1 + cost * (products + least), 1 + cost * (products + most)


def moved_by(
    density: Density, seen: "Rehearsal"
) -> tuple[dict[str, int] | None, dict[str, int] | None]:
    """Collectives of a product, and bytes that a rank receives by them, by kind."""
    if density.operator not in _PRODUCTS:
        return None, None
    forwards, gradients = _PRODUCTS[density.operator]

    def of_a_product(forward: dict[str, int], whole: dict[str, int]) -> dict[str, int]:
        found = {
            kind: seen.passes * (forwards * forward[kind] + gradients * number)
            for kind, number in whole.items()
        }
        if density.operator == "hessian_one_reduction":
            found["reduce_scatter"] = whole["reduce_scatter"]
        return found

    calls = of_a_product(*seen.counts)
    calls["all_reduce"] += 1  # the product's norm
    return calls, of_a_product(*seen.received)
