"""The best step along one direction, from what products at several steps say of each other.

A product at step h errs by rounding, sigma / h, and by truncation, c h^p (theorem 3.1 of
Granziol & Juarev, arXiv 2602.00816, with p = 2 and c = T / 6, T the third derivative of the
gradient). Both are read off the changes between neighbouring products on a ladder of steps, so
that no exact product is needed.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor

RUNG = 4.0
"""Factor between neighbouring steps; rounding changes by it, truncation by its square or more."""

# Rounding is not quite 1 / h: from rung to rung it may rise by a third, where truncation rises
# by 16. So a rise by less than this is not yet the end of the ladder.
_RISE = 2.0
# Where the gradient is bounded, far out, products fall like 1 / h, and so do their changes: the
# quietest of all would be those of the longest steps. Such products keep their direction, and
# lose as much length as they change, where rounding, which falls alike, changes by 1.37 times that.
# So does a jump within the step, or rounding to few digits; but nearer by there are no better
# products, then: changes are passed over where there are.
_SHRINKS, _KEEPS_DIRECTION = 0.6, 1.2
_OUTWARD = 5  # rungs; where products only fade, it is more often for rounding than for distance
_MOST_PRODUCTS = 16  # enough for a factor of a hundred million between |g| and what it should be

ProductAt = Callable[[float], Tensor | None]
Norm = Callable[[Tensor], float]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Errors:
    """What a product's error is made of along one direction: noise / h + bend h^order.

    Attributes:
        noise: sigma, in units of the gradient; NaN where it could not be told.
        bend: c, in units of the product over step^order; NaN where it could not be told.
        order: Order of the truncation.
        step: The best step.
        products: How many products this took.
    """

    noise: float
    bend: float
    order: int
    step: float
    products: int


def calibrate(
    product_at: ProductAt, norm: Norm, start: float, *, least: float, most: float, order: int = 2
) -> Errors:
    """Walk a ladder of steps to where rounding and truncation meet, and fit both.

    All that is decided here follows from norms over all ranks, so that they stay in step.

    Args:
        product_at: The product at a step, None where it is not finite.
        norm: Norm of a vector over all ranks.
        start: Step to start from, > 0.
        least: Smallest step to try.
        most: Largest step to try.
        order: Order of the truncation in the step.

    Returns:
        The fit; its step minimises noise / h + bend h^order.
    """
    bottom, top = product_at(start), product_at(start * RUNG)
    seen = {0: _change(norm, bottom, top)}  # between start * RUNG^i and start * RUNG^(i + 1)
    products = 2
    while products < _MOST_PRODUCTS and max(change.size for change in seen.values()) > 0:
        changes = _counted(seen)
        lowest, highest = min(changes), max(changes)
        quietest = min(changes, key=lambda rung: (changes[rung], rung))
        nearer, farther = start * RUNG ** (lowest - 1), start * RUNG ** (highest + 2)
        lost = all(change.fades for change in seen.values())
        rises = changes[highest] > _RISE * changes[quietest]
        outward = lost and highest < _OUTWARD and farther <= most
        if not outward and (lost or quietest == lowest) and nearer >= least:
            bottom, above = product_at(nearer), bottom
            seen[lowest - 1] = _change(norm, bottom, above)
        elif outward or (farther <= most and not rises):
            top, below = product_at(farther), top
            seen[highest + 1] = _change(norm, below, top)
        else:
            break
        products += 1
    changes = _counted(seen)
    quietest = min(changes, key=lambda rung: (changes[rung], rung))
    middle = start * RUNG ** (quietest + 0.5)
    low, high = changes.get(quietest - 1, math.nan), changes.get(quietest + 1, math.nan)
    noise, bend = _fit(low, high, start * RUNG ** (quietest - 1), order)
    step = (noise / (order * bend)) ** (1 / (order + 1)) if noise * bend > 0 else middle
    return Errors(
        noise=noise,
        bend=bend,
        order=order,
        step=min(max(step, middle / RUNG, least), middle * RUNG, most),
        products=products,
    )


class _Change(NamedTuple):
    """How much a product changes from one step to the next, and whether it only fades."""

    size: float
    fades: bool


def _change(norm: Norm, near: Tensor | None, far: Tensor | None) -> _Change:
    if near is None or far is None:
        return _Change(math.inf, False)
    change, lost = norm(far - near), norm(near) - norm(far)
    fades = lost > (1 - _SHRINKS) * norm(near) and change < _KEEPS_DIRECTION * lost
    return _Change(change, fades)


def _counted(seen: dict[int, _Change]) -> dict[int, float]:
    """Changes by rung; infinite where a product fades and there are others nearer by."""
    steady = [rung for rung, change in seen.items() if not change.fades]
    first = min(steady, default=math.inf)
    return {
        rung: math.inf if change.fades and rung > first else change.size
        for rung, change in seen.items()
    }


def _fit(low: float, high: float, step: float, order: int) -> tuple[float, float]:
    """Both errors, sigma and c, from changes of the products: that above h, and two rungs up.

    Rounding at two steps is independent, truncation is not: the squared change above h is
    (sigma / h)^2 (1 + 1 / RUNG^2) + (c h^p)^2 (RUNG^p - 1)^2.
    """
    if not math.isfinite(low + high):
        return math.nan, math.nan
    falls, rises = RUNG**-4, RUNG ** (4 * order)
    truncation = (high**2 - falls * low**2) / (rises - falls)
    rounding = low**2 - truncation
    if truncation <= 0 or rounding <= 0:
        return math.nan, math.nan
    noise = step * math.sqrt(rounding / (1 + RUNG**-2))
    return noise, math.sqrt(truncation) / (step**order * (RUNG**order - 1))
