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

_GROWS = 2.0  # a change that grows so much from one epsilon to the next is truncation
_FAR = 1.0
"""The most that the gradient may change, over its norm, at an epsilon to be tried: farther out,
products agree with each other where they have nothing to do with the derivative any more."""
ENDS = (-1, 0)  # the largest Ritz value is the last, the smallest the first


def pairs(
    name: str,
    operator: Operator,
    surface: LossSurface,
    basis: Tensor,
    columns: dict[str, list[float]],
    probe: int,
) -> tuple[Reading, list[Pair]]:
    """Measure the Ritz vectors of the largest and of the smallest Ritz value.

    Args:
        name: The operator's name, to make it anew at twice epsilon.
        operator: Whose products the coefficients are made of.
        surface: The loss whose curvature is asked for.
        basis: Lanczos vectors, shape (step, local_size); they are overwritten.
        columns: alpha and beta of the probe, among others.
        probe: Index of the probe.

    Returns:
        A reading of the probe, of y'Hy and what its products say, at both ends; and the same as
        `spectral.bounds` takes it.
    """
    alpha, beta = columns["alpha"], columns["beta"]
    _, vectors = eigh_tridiagonal(alpha, beta[:-1])
    chosen = ENDS[: len(alpha)]
    coefficients = torch.from_numpy(vectors[:, list(chosen)].copy())
    measured = []
    for row, end in zip(combine(basis, coefficients), ("largest", "smallest"), strict=False):
        with located(probe=probe, ritz_vector=end):
            free = iter(basis[len(chosen) :])
            measured.append(_pair(name, operator, surface, row, free))
    if len(measured) < len(ENDS):  # one step has one Ritz vector, which costs once
        measured.append({**measured[0], "pair_gradients": 0.0, "pair_seconds": 0.0})
    values: dict[str, float | list[float]] = {
        key: [of_pair[key] for of_pair in measured] for key in measured[0]
    }
    values["pair_steps"] = [float(len(alpha))] * len(ENDS)
    fields = [field.name for field in dataclasses.fields(Pair)]
    ritz_pairs = [
        Pair(**{name: of_pair[f"pair_{name}"] for name in fields}) for of_pair in measured
    ]
    return Reading(index={"probe": probe}, values=values), ritz_pairs


def _pair(
    name: str, operator: Operator, surface: LossSurface, vector: Tensor, rows: Iterator[Tensor]
) -> dict[str, float]:
    started = time.perf_counter()
    space = surface.space
    if isinstance(operator, Differences):
        ladder = _Ladder(name, operator, surface, vector, rows)
        best = ladder.best()
        product, gradients = best.product, ladder.gradients
    else:
        exact = operator.matvec(vector, measure_error=True)
        unknown = math.nan, math.nan, math.nan
        best = _BestProduct(exact.vector, exact.error, *unknown, exact.epsilon, exact.rho)
        product, gradients = exact.vector, float(exact.gradients)
    value = space.dot(vector, product)
    residual = product.sub_(vector, alpha=value)
    return {
        "pair_value": value,
        "pair_residual": space.norm(residual),
        "pair_error": best.error,
        "pair_doubt": best.doubt,
        "pair_change": best.change,
        "pair_spread": best.spread,
        "pair_epsilon": best.epsilon,
        "pair_rho": best.rho,
        "pair_gradients": gradients,
        "pair_seconds": time.perf_counter() - started,
    }


class _BestProduct(NamedTuple):
    """The best product, and its error as the other products show it.

    Attributes:
        product: Along the vector.
        error: D, the change from the operator's own epsilon to twice it, over the product's norm.
        doubt: Norm of the change that bounds the product's error; NaN without an epsilon.
        change: The size of its part along the vector, and of those at smaller epsilons.
        spread: The size of that part, if the elements of the product change independently.
        epsilon: That of the product, the smaller one of a combination.
        rho: Relative change of the gradient at that epsilon.
    """

    product: Tensor
    error: float
    doubt: float
    change: float
    spread: float
    epsilon: float
    rho: float


class Estimate(NamedTuple):
    """A combination of the products at several epsilons, and the change that bounds its error.

    Attributes:
        weights: Of the products, smallest epsilon first; they add up to 1.
        change: Weights of the products in the change; they add up to 0.
        nearest: Index of the smallest epsilon with a weight.
    """

    weights: tuple[float, ...]
    change: tuple[float, ...]
    nearest: int


def estimates(count: int, order: int) -> list[Estimate]:
    """Combinations of products at so many epsilons, each twice the one before.

    A product at an epsilon h, and its change from that at h / 2. An error s / h (rounding), J / 2 h
    (a jump of the gradient within h / 2) or c h^p (truncation) is at most 2^p / (2^p - 1) times
    that change. And Richardson's combination, which has no error of order p, with
    its change from that of half the epsilons: of truncation of order 2 p it errs by 16/15 of it, of
    rounding by 0.43, of a jump by 1.0.

    Args:
        count: Epsilons, at least 2.
        order: p of the operator, 1 or 2.

    Returns:
        All, plain ones first.
    """

    def row(entries: dict[int, float]) -> tuple[float, ...]:
        return tuple(entries.get(index, 0.0) for index in range(count))

    over = 1 / (2.0**order - 1)
    result = [
        Estimate(row({index: 1.0}), row({index: 1.0, index - 1: -1.0}), index)
        for index in range(1, count)
    ]
    for index in range(1, count - 1):
        weights = {index: 1 + over, index + 1: -over}
        nearer_weights = {index - 1: 1 + over, index: -over}
        change = {
            rung: weights.get(rung, 0.0) - nearer_weights.get(rung, 0.0)
            for rung in weights | nearer_weights
        }
        result.append(Estimate(row(weights), row(change), index))
    return result


class _Ladder:
    """Products along a vector at epsilons of which each is twice the one before."""

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
        product = operator.matvec(vector)
        self.gradients += float(product.gradients)
        self._epsilon, self._rho, self._norm = product.epsilon, product.rho, product.norm
        self._products = [self._keep(product.vector)]
        self._epsilons = [product.epsilon]
        del product  # its vector is kept in a row of the basis
        self._climb()

    def _climb(self) -> None:
        """Go to twice and half of epsilon, and on to that side where products still change less."""
        self._farther()
        self._nearer()
        if len(self._epsilons) < 3:
            return
        inner, outer = self._size({1: 1.0, 0: -1.0}), self._size({2: 1.0, 1: -1.0})
        if outer < inner and self._rho * 4 <= _FAR:
            self._farther()
            again = len(self._epsilons) == 4 and self._rho * 8 <= _FAR
            if again and self._size({3: 1.0, 2: -1.0}) < outer:
                self._farther()
        elif outer > _GROWS * inner:
            self._nearer()

    def _farther(self) -> None:
        if (product := self._product_at(2 * self._epsilons[-1])) is not None:
            self._products.append(product)
            self._epsilons.append(2 * self._epsilons[-1])

    def _nearer(self) -> None:
        if (product := self._product_at(self._epsilons[0] / 2)) is not None:
            self._products.insert(0, product)
            self._epsilons.insert(0, self._epsilons[0] / 2)

    def _product_at(self, epsilon: float) -> Tensor | None:
        """The product at an epsilon; None where it is not finite, which all ranks meet alike."""
        self.gradients += self._operator.facts.cost
        try:
            vector = operator_of(self._name, self._surface, epsilon).matvec(self._vector).vector
        except ObjectiveError:
            return None
        return self._keep(vector)

    def _keep(self, product: Tensor) -> Tensor:
        """The product in a row of the basis that is not needed any more, if one is left."""
        row = next(self._rows, None)
        return product if row is None else row.copy_(product)

    def _sum(self, weights: Mapping[int, float]) -> Tensor:
        total = torch.zeros_like(self._vector)
        for index, weight in weights.items():
            if weight:
                total.add_(self._products[index], alpha=weight)
        return total

    def _size(self, weights: Mapping[int, float]) -> float:
        space = self._surface.space
        return space.norm(self._sum(weights))

    def _scaled_changes(self, chosen: Estimate) -> list[float]:
        """Changes along the vector at smaller epsilons, as rounding has them at the chosen one.

        One number may be small by chance, and is the more often so where it was chosen for that.
        """
        space = self._surface.space
        changes = []
        for index in range(1, chosen.nearest):
            change = self._sum({index: 1.0, index - 1: -1.0})
            share = self._epsilons[index] / self._epsilons[chosen.nearest]
            changes.append(abs(space.dot(self._vector, change)) * share)
        return changes

    def best(self) -> _BestProduct:
        """The combination of the products whose own change is the least."""
        if len(self._epsilons) < 2:  # at no other epsilon is it finite
            return _BestProduct(
                self._products[0], math.inf, math.inf, math.nan, math.nan, self._epsilon, self._rho
            )
        order = self._operator.facts.order
        sizes = {
            estimate: self._size(dict(enumerate(estimate.change)))
            for estimate in estimates(len(self._epsilons), order)
        }
        chosen = min(sizes, key=lambda candidate: sizes[candidate])
        space = self._surface.space
        delta = self._sum(dict(enumerate(chosen.change)))
        along = abs(space.dot(self._vector, delta))
        change = max([along, *self._scaled_changes(chosen)])
        spread = space.norm(delta.mul_(self._vector))
        del delta
        own_index = self._epsilons.index(self._epsilon)
        neighbour = own_index + 1 if own_index + 1 < len(self._epsilons) else own_index - 1
        change_to_neighbour = self._size({own_index: 1.0, neighbour: -1.0})
        error = (
            change_to_neighbour / self._norm
            if self._norm > 0
            else math.inf
            if change_to_neighbour > 0
            else 0.0
        )
        epsilon = self._epsilons[chosen.nearest]
        return _BestProduct(
            self._sum(dict(enumerate(chosen.weights))),
            error,
            sizes[chosen],
            change,
            spread,
            epsilon,
            self._rho * epsilon / self._epsilon,
        )
