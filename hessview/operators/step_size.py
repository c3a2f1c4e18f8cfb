"""Step size, which is epsilon: the rule that keeps the gradient's change where it is best.

The finite-difference step along a unit-norm vector is called epsilon in code and h in formulas; the
literature calls it the step size.

The best epsilon h differs by factors of 60 to 500 between directions v of one model; what the best
ones share, within a factor of two, is how far the gradient changes, h |Hv|. How far is best is
calibrated along the first direction (`calibration`), and starts from rho = h |Hv| / |g| = tau =
eps_m^(1/3), which is good as long as |g| is not small: on the way to a minimum the best rho
rises to thousands of tau.

That holds where |Hv| is large. Along a direction of little curvature the gradient's change would
be kept by an epsilon that grows without bound, while truncation, which is made of third
derivatives, does not care how small |Hv| is: products were up to 970 times worse than at the best.
So no epsilon is longer than the one that was best along the first direction, a random one in all
estimators; products of less curvature than usual then have the absolute error of a usual one.

Along one direction the best is found from what products at several epsilons say of each other. A
product at h errs by rounding, sigma / h, and by truncation, c h^p (theorem 3.1 of Granziol &
Juarev, arXiv 2602.00816, with p = 2 and c = T / 6, T the third derivative of the gradient). Both
are read off the changes between neighbouring products on a ladder of epsilons, so that no exact
product is needed.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from hessview.operators.base import LossSurface

_RUNG = 4.0
"""Factor between neighbours on the ladder; rounding changes by it, truncation by its square or
more."""

# Rounding is not quite 1 / h: from rung to rung it may rise by a third, where truncation rises
# by 16. So a rise by less than this is not yet the end of the ladder.
_RISE = 2.0
# Where the gradient is bounded, far out, products fall like 1 / h, and so do their changes: the
# quietest of all would be those of the longest epsilons. Such products keep their direction, and
# lose as much length as they change, where rounding, which falls alike, changes by 1.37 times that.
# So does a jump within epsilon, or rounding to few digits; but nearer by there are no better
# products, then: changes are passed over where there are.
_SHRINKS, _KEEPS_DIRECTION = 0.6, 1.2
_OUTWARD = (
    5  # rungs; where products only fade, it is more often for rounding than for being far out
)
_MOST_PRODUCTS = 16  # enough for a factor of a hundred million between |g| and what it should be

ProductAt = Callable[[float], Tensor | None]
Norm = Callable[[Tensor], float]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Errors:
    """What a product's error is made of along one direction: noise / h + bend h^order.

    Attributes:
        noise: sigma, in units of the gradient; NaN where it could not be told.
        bend: c, in units of the product over epsilon^order; NaN where it could not be told.
        order: Order of the truncation.
        epsilon: The best one.
        products: How many products this took.
    """

    noise: float
    bend: float
    order: int
    epsilon: float
    products: int


def calibrate(
    product_at: ProductAt, norm: Norm, start: float, *, least: float, most: float, order: int = 2
) -> Errors:
    """Walk a ladder of epsilons to where rounding and truncation meet, and fit both.

    All that is decided here follows from norms over all ranks, so that all ranks decide alike.

    Args:
        product_at: The product at an epsilon, None where it is not finite.
        norm: Norm of a vector over all ranks.
        start: Epsilon to start from, > 0.
        least: Smallest epsilon to try.
        most: Largest epsilon to try.
        order: Order of the truncation in epsilon.

    Returns:
        The fit; its epsilon minimises noise / h + bend h^order.
    """
    bottom, top = product_at(start), product_at(start * _RUNG)
    changes_by_rung = {
        0: _change(norm, bottom, top)
    }  # between start * _RUNG^i and start * _RUNG^(i + 1)
    products = 2
    while products < _MOST_PRODUCTS and max(change.size for change in changes_by_rung.values()) > 0:
        changes = _sizes_by_rung(changes_by_rung)
        lowest, highest = min(changes), max(changes)
        quietest = min(changes, key=lambda rung: (changes[rung], rung))
        nearer, farther = start * _RUNG ** (lowest - 1), start * _RUNG ** (highest + 2)
        lost = all(change.fades for change in changes_by_rung.values())
        rises = changes[highest] > _RISE * changes[quietest]
        outward = lost and highest < _OUTWARD and farther <= most
        if not outward and (lost or quietest == lowest) and nearer >= least:
            bottom, above = product_at(nearer), bottom
            changes_by_rung[lowest - 1] = _change(norm, bottom, above)
        elif outward or (farther <= most and not rises):
            top, below = product_at(farther), top
            changes_by_rung[highest + 1] = _change(norm, below, top)
        else:
            break
        products += 1
    changes = _sizes_by_rung(changes_by_rung)
    quietest = min(changes, key=lambda rung: (changes[rung], rung))
    middle = start * _RUNG ** (quietest + 0.5)
    low, high = changes.get(quietest - 1, math.nan), changes.get(quietest + 1, math.nan)
    noise, bend = _fit(low, high, start * _RUNG ** (quietest - 1), order)
    epsilon = (noise / (order * bend)) ** (1 / (order + 1)) if noise * bend > 0 else middle
    return Errors(
        noise=noise,
        bend=bend,
        order=order,
        epsilon=min(max(epsilon, middle / _RUNG, least), middle * _RUNG, most),
        products=products,
    )


class _Change(NamedTuple):
    """How much a product changes from one epsilon to the next, and whether it only fades."""

    size: float
    fades: bool


def _change(norm: Norm, nearer: Tensor | None, farther: Tensor | None) -> _Change:
    if nearer is None or farther is None:
        return _Change(math.inf, False)
    change, lost = norm(farther - nearer), norm(nearer) - norm(farther)
    fades = lost > (1 - _SHRINKS) * norm(nearer) and change < _KEEPS_DIRECTION * lost
    return _Change(change, fades)


def _sizes_by_rung(changes: dict[int, _Change]) -> dict[int, float]:
    """Changes by rung; infinite where a product fades and there are others nearer by."""
    steady = [rung for rung, change in changes.items() if not change.fades]
    first = min(steady, default=math.inf)
    return {
        rung: math.inf if change.fades and rung > first else change.size
        for rung, change in changes.items()
    }


def _fit(low: float, high: float, epsilon: float, order: int) -> tuple[float, float]:
    """Both errors, sigma and c, from changes of the products: that above h, and two rungs up.

    Rounding at two epsilons is independent, truncation is not: the squared change above h is
    (sigma / h)^2 (1 + 1 / _RUNG^2) + (c h^p)^2 (_RUNG^p - 1)^2.
    """
    if not math.isfinite(low + high):
        return math.nan, math.nan
    falls, rises = _RUNG**-4, _RUNG ** (4 * order)
    truncation = (high**2 - falls * low**2) / (rises - falls)
    rounding = low**2 - truncation
    if truncation <= 0 or rounding <= 0:
        return math.nan, math.nan
    noise = epsilon * math.sqrt(rounding / (1 + _RUNG**-2))
    return noise, math.sqrt(truncation) / (epsilon**order * (_RUNG**order - 1))


ATTEMPTS = 6
# Accept rho from tau/3 to 2 tau. Truncation grows with rho squared and rounding with 1/rho: for
# SmolLM2's second Krylov vector the error was 0.3 % at 1.3 tau and 0.9 % at 2.5 tau.
_LEAST, _MOST = 1 / 3, 2.0
_LARGEST_CHANGE = 64.0  # of epsilon, from one attempt to the next
_COLD = 1e-3  # first epsilon, as a fraction of tau |theta|
_STATIONARY = 0.01  # see `gradient_scale`


class StepSize:
    """Chooses epsilon along unit vectors, warm from one product to the next.

    Args:
        surface: The loss to be differentiated.
        epsilon: "auto" for the rule, or the one to use for every product.
        order: Order of the truncation error in epsilon; rounding is inverse to it, so
            that the two are equal near rho = tau = eps_m^(1 / (order + 1)).
    """

    def __init__(
        self, surface: LossSurface, epsilon: float | Literal["auto"] = "auto", *, order: int = 2
    ) -> None:
        self._surface = surface
        self._order = order
        self._fixed = None if epsilon == "auto" else float(epsilon)
        self._latest = math.nan
        self._typical = math.nan
        self._change = math.nan
        self._longest = math.inf
        self.tau = math.pow(surface.machine_epsilon, 1 / (order + 1))

    def first(self) -> float:
        """Epsilon for the first attempt at a product."""
        if self._fixed is not None:
            return self._fixed
        if self._latest > 0:
            return self._epsilon_for(self._latest)
        return _COLD * self.tau * (self._surface.least_norm or 1.0)

    def rho(self, epsilon: float, norm: float) -> float:
        """Relative gradient change of a product of this norm at this epsilon."""
        gradient_norm = self._surface.gradient_norm
        return epsilon * norm / gradient_norm if gradient_norm > 0 else math.inf

    def next(self, epsilon: float, norm: float) -> float | None:
        """Epsilon for another attempt, or None where this product is to be taken.

        Args:
            epsilon: The one that was tried.
            norm: Norm of the product that it gave; NaN or infinite where it overflowed.
        """
        if self._fixed is not None:
            return None
        if not math.isfinite(norm):
            return epsilon / _LARGEST_CHANGE
        self._latest = norm
        if math.isnan(self._typical):
            self._typical = norm
        if not self.change() > 0:
            return None
        factor = self._epsilon_for(norm) / epsilon
        if 1 / _MOST <= factor <= 1 / _LEAST:
            return None
        factor = min(max(factor, 1 / _LARGEST_CHANGE), _LARGEST_CHANGE)
        changed = self._bounded(epsilon * factor)
        return None if changed == epsilon else changed

    @property
    def fixed(self) -> bool:
        """Whether every product is to be taken at the epsilon that was given."""
        return self._fixed is not None

    @property
    def calibrated(self) -> bool:
        """Whether nothing is left to be learnt about epsilon."""
        return self._fixed is not None or self._change > 0

    def calibrate(self, product_at: ProductAt, norm: Norm, epsilon: float) -> Errors:
        """Find the best epsilon along one direction; `settle` then takes it as the measure of all.

        Args:
            product_at: The product at an epsilon, None where it is not finite.
            norm: Norm of a vector over all ranks.
            epsilon: One that `next` took.

        Returns:
            The fit, with the epsilon to use along this direction.
        """
        least, most = self.bounds()
        return calibrate(product_at, norm, epsilon, least=least, most=most, order=self._order)

    def settle(self, epsilon: float, speed: float) -> None:
        """Learn from one direction how far the gradient should change, for all of them.

        Args:
            epsilon: The best one along it.
            speed: Norm of the change over epsilon there.
        """
        self._change, self._longest = epsilon * speed, epsilon

    def change(self) -> float:
        """How far the gradient should change on either side, h |Hv|."""
        return self._change if self._change > 0 else self.tau * self.gradient_scale()

    def gradient_scale(self) -> float:
        """The |g| to start from, which does not vanish at a stationary point.

        Where the gradient does, rounding of the parameters is what is left of the noise: it
        moves the gradient by eps_m |theta| times the typical |Hv|, the one of the first, random
        direction. The factor keeps this out of the way wherever |g| is not small, and the norm is
        `least_norm`, since a layer that outweighs the others may well have no curvature.
        """
        floor = _STATIONARY * self._surface.least_norm * self._typical
        return max(self._surface.gradient_norm, 0.0 if math.isnan(floor) else floor)

    def _epsilon_for(self, norm: float) -> float:
        """The epsilon along a direction of such a product, within bounds."""
        epsilon = self.change() / norm if norm > 0 else math.inf
        return self._bounded(min(epsilon, self._longest))

    def _bounded(self, epsilon: float) -> float:
        least, most = self.bounds()
        return min(max(epsilon, least), most)

    def bounds(self) -> tuple[float, float]:
        """Least epsilon, which the smallest parameters still resolve, and greatest, their norm."""
        least = torch.finfo(self._surface.space.dtype).eps * (self._surface.least_norm or 1.0)
        return least, self._surface.parameter_norm or 1.0
