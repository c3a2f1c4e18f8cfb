"""The extreme Ritz vectors of a probe, measured anew by products of their own.

D is measured at some Lanczos steps only, and an extreme Ritz vector y may lean on others. Hy by
one more product, with its D, asks all of them at once: y'Hy has to be the Ritz value, and |Hy -
(y'Hy) y| its residual, errors of the products included.
"""

import dataclasses
import math
import time
from typing import NamedTuple

import torch
from scipy.linalg import eigh_tridiagonal
from torch import Tensor

from hessview.errors import ObjectiveError
from hessview.job.located import located
from hessview.job.operator_of import operator_of
from hessview.messages import Reading
from hessview.operators.base import LossSurface, Operator, Product
from hessview.operators.differences import Differences
from hessview.spectral.bounds import TRUNCATION, Pair
from hessview.spectral.lanczos import combine

DOUBTFUL = 0.1  # D from which on a nearer step is worth trying
HALF = 4 / 3  # truncation over its change at half the step, of second order
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
        name: The operator's name, to make it anew at twice the step.
        operator: Whose products the coefficients are made of.
        surface: The loss whose curvature is asked for.
        basis: Lanczos vectors, shape (step, local_size); the first two are overwritten.
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
            measured.append(_pair(name, operator, surface, row))
    if len(measured) < len(ENDS):  # one step has one Ritz vector, which costs once
        measured.append({**measured[0], "pair_gradients": 0.0, "pair_seconds": 0.0})
    values: dict[str, float | list[float]] = {
        key: [one[key] for one in measured] for key in measured[0]
    }
    values["pair_steps"] = [float(len(alpha))] * len(ENDS)
    fields = [field.name for field in dataclasses.fields(Pair)]
    anew = [Pair(**{name: one[f"pair_{name}"] for name in fields}) for one in measured]
    return Reading(index={"probe": probe}, values=values), anew


def _pair(name: str, operator: Operator, surface: LossSurface, vector: Tensor) -> dict[str, float]:
    started = time.perf_counter()
    space = surface.space
    if isinstance(operator, Differences):
        # Of differences D is measured here, with what it says along y besides.
        product = operator.matvec(vector)
        seen = _changes(name, operator, surface, product, vector)
        gradients = seen.gradients
        if seen.error > DOUBTFUL:  # the operator knows how to look nearer by
            gradients += product.gradients
            product = operator.matvec(vector, measure_error=True)
            seen = _changes(name, operator, surface, product, vector)
            gradients += seen.gradients
            seen = seen._replace(error=max(seen.error, product.error))
    else:
        product = operator.matvec(vector, measure_error=True)
        seen, gradients = _Changes(product.error, math.nan, math.nan, math.nan, 0.0), 0.0
    value = float(space.products(vector[None], product.vector)[0])
    left = product.vector.sub_(vector, alpha=value)
    return {
        "pair_value": value,
        "pair_residual": math.sqrt(float(space.reduce(space.squares(left)))),
        "pair_error": seen.error,
        "pair_factor": seen.factor,
        "pair_change": seen.change,
        "pair_spread": seen.spread,
        "pair_epsilon": product.epsilon,
        "pair_rho": product.rho,
        "pair_gradients": float(product.gradients) + gradients,
        "pair_seconds": time.perf_counter() - started,
    }


class _Changes(NamedTuple):
    """How a product changes with its step.

    Attributes:
        error: D, its change at twice the step over its norm.
        factor: The product's error over that change, by its change at half the step.
        change: The change at twice the step along the vector.
        spread: The size of that, if the elements of the product change independently.
        gradients: What it cost.
    """

    error: float
    factor: float
    change: float
    spread: float
    gradients: float


def _changes(
    name: str, operator: Differences, surface: LossSurface, product: Product, vector: Tensor
) -> _Changes:
    """Compare a product with those at twice and at half its step."""
    space = surface.space

    def at(step: float) -> Tensor | None:
        try:
            return operator_of(name, surface, step).matvec(vector).vector
        except ObjectiveError:  # not finite there, which all ranks meet alike
            return None

    far = at(2 * product.epsilon)
    if far is None:
        return _Changes(math.inf, math.nan, math.nan, math.nan, operator.gradients)
    far.sub_(product.vector)
    change, square = space.products(vector[None], far).tolist()
    near = at(product.epsilon / 2)
    factor = math.nan
    if near is not None:
        near.sub_(product.vector).neg_()
        near_square = float(space.reduce(space.squares(near)))
        both = float(space.reduce(space.squares(near.add_(far))))
        inner = (both - near_square - square) / 2
        factor = error_over_change(math.sqrt(near_square), math.sqrt(square), inner)
    del near
    spread = math.sqrt(float(space.reduce(space.squares(far.mul_(vector)))))
    size = product.norm
    error = math.sqrt(square) / size if size > 0 else math.inf if square > 0 else 0.0
    return _Changes(error, factor, change, spread, 2 * operator.gradients)


def error_over_change(near: float, far: float, inner: float) -> float:
    """What a product's error is, over its change at twice the step.

    Of truncation of second order, c h^2, the change at twice the step is 3 c h^2, and to it the
    change at half the step is parallel and a fourth. Of rounding, s / h, the two are 1.1 and 2.2
    s / h, at a cosine of -0.4, since both hold the product's own; at the rule's step there is some
    truncation with it, which brings the two nearer to each other in size and direction. A jump of
    the gradient within the step keeps its direction: as it is still within half the step, or is
    not, the change at half the step is its error, and twice that at twice the step. 4/3 of the
    change at half the step is no less than any of these errors.

    Args:
        near: Norm of the change from half the step to the step.
        far: Norm of the change from the step to twice the step.
        inner: Inner product of the two changes.

    Returns:
        A number that is above 0; `bounds.TRUNCATION` for nothing but truncation of second order.
    """
    if near == 0 or far == 0:
        return 1.0 if near <= far else HALF * near / max(far, near * 1e-6)
    ratio, cosine = near / far, inner / (near * far)
    if ratio <= 0.35 and cosine > 0.5:
        return TRUNCATION if ratio > 0.15 else max(HALF * ratio, 0.1)
    if -0.65 < cosine < -0.2 or (ratio < 1.6 and -0.65 < cosine < 0.4):
        return 1.0
    return max(1.0, HALF * ratio)
