"""The extreme Ritz vectors of a probe, measured anew by products of their own.

D is measured at some Lanczos steps only, and an extreme Ritz vector y may lean on others. Hy by
one more product, with its D, asks all of them at once: y'Hy has to be the Ritz value, and |Hy -
(y'Hy) y| its residual, errors of the products included.
"""

import dataclasses
import math
import time
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import torch
from scipy.linalg import eigh_tridiagonal
from torch import Tensor

from hessview.errors import ObjectiveError
from hessview.job.estimators.base import located, operator_of
from hessview.operators.base import LossSurface, Operator
from hessview.operators.finite_difference import Differences
from hessview.record.events import Reading
from hessview.spectral.bounds import Pair
from hessview.spectral.lanczos import combine

GROWS = 2.0  # a change that grows so much from step to step is truncation
FAR = 1.0
"""The most that the gradient may change, over its norm, at a step to be tried: farther out,
products agree with each other where they have nothing to do with the derivative any more."""
ENDS = (-1, 0)  # the largest Ritz value is the last, the smallest the first


def pairs(
    name: str,
    operator: Operator,
    surface: LossSurface,
    basis: Tensor,
    found: dict[str, list[float]],
    probe: int,
) -> tuple[Reading, list[Pair]]:
    """Measure the Ritz vectors of the largest and of the smallest Ritz value.

    Args:
        name: The operator's name, to make it anew at twice epsilon.
        operator: Whose products the coefficients are made of.
        surface: The loss whose curvature is asked for.
        basis: Lanczos vectors, shape (step, local_size); they are overwritten.
        found: alpha and beta of the probe, among others.
        probe: Index of the probe.

    Returns:
        A reading of the probe, of y'Hy and what its products say, at both ends; and the same as
        `spectral.bounds` takes it.
    """
    alpha, beta = found["alpha"], found["beta"]
    _, vectors = eigh_tridiagonal(alpha, beta[:-1])
    chosen = ENDS[: len(alpha)]
    wanted = torch.from_numpy(vectors[:, list(chosen)].copy())
    measured = []
    for row, end in zip(combine(basis, wanted), ("largest", "smallest"), strict=False):
        with located(probe=probe, ritz_vector=end):
            free = iter(basis[len(chosen) :])
            measured.append(_pair(name, operator, surface, row, free))
    if len(measured) < len(ENDS):  # one step has one Ritz vector, which costs once
        measured.append({**measured[0], "pair_gradients": 0.0, "pair_seconds": 0.0})
    values: dict[str, float | list[float]] = {
        key: [one[key] for one in measured] for key in measured[0]
    }
    values["pair_steps"] = [float(len(alpha))] * len(ENDS)
    fields = [field.name for field in dataclasses.fields(Pair)]
    anew = [Pair(**{name: one[f"pair_{name}"] for name in fields}) for one in measured]
    return Reading(index={"probe": probe}, values=values), anew


def _pair(
    name: str, operator: Operator, surface: LossSurface, vector: Tensor, rows: Iterator[Tensor]
) -> dict[str, float]:
    started = time.perf_counter()
    space = surface.space
    if isinstance(operator, Differences):
        ladder = _Ladder(name, operator, surface, vector, rows)
        found = ladder.best()
        product, gradients = found.product, ladder.gradients
    else:
        made = operator.matvec(vector, measure_error=True)
        unknown = math.nan, math.nan, math.nan
        found = _Found(made.vector, made.error, *unknown, made.epsilon, made.rho)
        product, gradients = made.vector, float(made.gradients)
    value = space.dot(vector, product)
    left = product.sub_(vector, alpha=value)
    return {
        "pair_value": value,
        "pair_residual": space.norm(left),
        "pair_error": found.error,
        "pair_doubt": found.doubt,
        "pair_change": found.change,
        "pair_spread": found.spread,
        "pair_epsilon": found.epsilon,
        "pair_rho": found.rho,
        "pair_gradients": gradients,
        "pair_seconds": time.perf_counter() - started,
    }


class _Found(NamedTuple):
    """The best product that was had, and what the others say of it.

    Attributes:
        product: Along the vector.
        error: D, the change from the operator's own epsilon to twice it, over the product's norm.
        doubt: Norm of the change that bounds the product's error; NaN without a step.
        change: The size of its part along the vector, and of those at nearer steps.
        spread: The size of that part, if the elements of the product change independently.
        epsilon: The step of the product, the nearer one of a combination.
        rho: Relative change of the gradient at that step.
    """

    product: Tensor
    error: float
    doubt: float
    change: float
    spread: float
    epsilon: float
    rho: float


class Estimate(NamedTuple):
    """A combination of the products at several steps, and the change that bounds its error.

    Attributes:
        weights: Of the products, nearest step first; they add up to 1.
        change: Weights of the products in the change; they add up to 0.
        place: Place of the nearest step with a weight.
    """

    weights: tuple[float, ...]
    change: tuple[float, ...]
    place: int


def estimates(count: int, order: int) -> list[Estimate]:
    """What products at so many steps, each twice the one before, can be combined to.

    A product at a step, and its change from half of it. An error s / h (rounding), J / 2 h (a
    jump of the gradient within half the step) or c h^p (truncation) at the step is at most 2^p /
    (2^p - 1) times that change. And Richardson's combination, which has no error of order p, with
    its change from that of half the steps: of truncation of order 2 p it errs by 16/15 of it, of
    rounding by 0.43, of a jump by 1.0.

    Args:
        count: Steps, at least 2.
        order: p of the operator, 1 or 2.

    Returns:
        All, plain ones first.
    """

    def row(entries: dict[int, float]) -> tuple[float, ...]:
        return tuple(entries.get(place, 0.0) for place in range(count))

    over = 1 / (2.0**order - 1)
    found = [
        Estimate(row({place: 1.0}), row({place: 1.0, place - 1: -1.0}), place)
        for place in range(1, count)
    ]
    for place in range(1, count - 1):
        own = {place: 1 + over, place + 1: -over}
        half = {place - 1: 1 + over, place: -over}
        change = {each: own.get(each, 0.0) - half.get(each, 0.0) for each in own | half}
        found.append(Estimate(row(own), row(change), place))
    return found


class _Ladder:
    """Products along a vector at steps of which each is twice the one before."""

    def __init__(
        self,
        name: str,
        operator: Differences,
        surface: LossSurface,
        vector: Tensor,
        rows: Iterator[Tensor],
    ) -> None:
        self._name, self._operator, self._surface = name, operator, surface
        self._vector, self._rows = vector, rows
        self.gradients = 0.0
        own = operator.matvec(vector)
        self.gradients += float(own.gradients)
        self._step, self._rho, self._norm = own.epsilon, own.rho, own.norm
        self._products = [self._keep(own.vector)]
        self._steps = [own.epsilon]
        del own  # its vector is kept in a row of the basis
        self._climb()

    def _climb(self) -> None:
        """Go to twice and half the step, and on to that side where products still change less."""
        self._farther()
        self._nearer()
        if len(self._steps) < 3:
            return
        near, far = self._size({1: 1.0, 0: -1.0}), self._size({2: 1.0, 1: -1.0})
        if far < near and self._rho * 4 <= FAR:
            self._farther()
            again = len(self._steps) == 4 and self._rho * 8 <= FAR
            if again and self._size({3: 1.0, 2: -1.0}) < far:
                self._farther()
        elif far > GROWS * near:
            self._nearer()

    def _farther(self) -> None:
        if (product := self._at(2 * self._steps[-1])) is not None:
            self._products.append(product)
            self._steps.append(2 * self._steps[-1])

    def _nearer(self) -> None:
        if (product := self._at(self._steps[0] / 2)) is not None:
            self._products.insert(0, product)
            self._steps.insert(0, self._steps[0] / 2)

    def _at(self, step: float) -> Tensor | None:
        """The product at a step; None where it is not finite, which all ranks meet alike."""
        self.gradients += self._operator.facts.cost
        try:
            made = operator_of(self._name, self._surface, step).matvec(self._vector).vector
        except ObjectiveError:
            return None
        return self._keep(made)

    def _keep(self, product: Tensor) -> Tensor:
        """The product in a row of the basis that is not needed any more, if one is left."""
        row = next(self._rows, None)
        return product if row is None else row.copy_(product)

    def _sum(self, weights: Mapping[int, float]) -> Tensor:
        total = torch.zeros_like(self._vector)
        for place, weight in weights.items():
            if weight:
                total.add_(self._products[place], alpha=weight)
        return total

    def _size(self, weights: Mapping[int, float]) -> float:
        space = self._surface.space
        return space.norm(self._sum(weights))

    def _scaled(self, chosen: Estimate) -> list[float]:
        """Changes along the vector at nearer steps, as rounding has them at the chosen one.

        One number may be small by chance, and is the more often so where it was chosen for that.
        """
        space = self._surface.space
        found = []
        for place in range(1, chosen.place):
            moved = self._sum({place: 1.0, place - 1: -1.0})
            share = self._steps[place] / self._steps[chosen.place]
            found.append(abs(space.dot(self._vector, moved)) * share)
        return found

    def best(self) -> _Found:
        """The combination of the products whose own change is the least."""
        if len(self._steps) < 2:  # at no other step is it finite
            return _Found(
                self._products[0], math.inf, math.inf, math.nan, math.nan, self._step, self._rho
            )
        order = self._operator.facts.order
        sizes = {
            estimate: self._size(dict(enumerate(estimate.change)))
            for estimate in estimates(len(self._steps), order)
        }
        chosen = min(sizes, key=lambda each: sizes[each])
        space = self._surface.space
        delta = self._sum(dict(enumerate(chosen.change)))
        along = abs(space.dot(self._vector, delta))
        change = max([along, *self._scaled(chosen)])
        spread = space.norm(delta.mul_(self._vector))
        del delta
        own = self._steps.index(self._step)
        other = own + 1 if own + 1 < len(self._steps) else own - 1
        moved = self._size({own: 1.0, other: -1.0})
        error = moved / self._norm if self._norm > 0 else math.inf if moved > 0 else 0.0
        step = self._steps[chosen.place]
        return _Found(
            self._sum(dict(enumerate(chosen.weights))),
            error,
            sizes[chosen],
            change,
            spread,
            step,
            self._rho * step / self._step,
        )
