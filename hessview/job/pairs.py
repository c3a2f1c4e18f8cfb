"""The extreme Ritz vectors of a probe, measured anew by products of their own.

D is measured at some Lanczos steps only, and an extreme Ritz vector y may lean on others. Hy by
one more product, with its D, asks all of them at once: y'Hy has to be the Ritz value, and |Hy -
(y'Hy) y| its residual, errors of the products included.
"""

import math
import time
from typing import Literal

import torch
from scipy.linalg import eigh_tridiagonal
from torch import Tensor

from hessview.errors import ObjectiveError
from hessview.job.located import located
from hessview.job.operator_of import operator_of
from hessview.messages import Reading
from hessview.operators.base import LossSurface, Operator, Product
from hessview.operators.differences import Differences
from hessview.spectral.lanczos import combine

ENDS = (-1, 0)  # the largest Ritz value is the last, the smallest the first


def pairs(
    name: str,
    operator: Operator,
    surface: LossSurface,
    basis: Tensor,
    coefficients: tuple[list[float], list[float]],
    probe: int,
) -> Reading:
    """Measure the Ritz vectors of the largest and of the smallest Ritz value.

    Args:
        name: The operator's name, to make it anew at twice the step.
        operator: Whose products the coefficients are made of.
        surface: The loss whose curvature is asked for.
        basis: Lanczos vectors, shape (step, local_size); the first two are overwritten.
        coefficients: alpha and beta of the probe.
        probe: Index of the probe.

    Returns:
        A reading of the probe: y'Hy and what its products say, at both ends.
    """
    alpha, beta = coefficients
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
    return Reading(index={"probe": probe}, values=values)


def _pair(name: str, operator: Operator, surface: LossSurface, vector: Tensor) -> dict[str, float]:
    started = time.perf_counter()
    space = surface.space
    # Of differences D is measured here, with what it says along y besides.
    product = operator.matvec(vector, measure_error=not isinstance(operator, Differences))
    error, change, spread = product.error, math.nan, math.nan
    gradients = float(product.gradients)
    if isinstance(operator, Differences):
        second = _at_twice(name, surface, product.epsilon, vector)
        gradients += operator.gradients if second is None else float(second.gradients)
        error = math.inf
        if second is not None:
            apart = second.vector.sub_(product.vector)
            along, square = space.products(vector[None], apart).tolist()
            size = product.norm
            error = math.sqrt(square) / size if size > 0 else 0.0
            spread = math.sqrt(float(space.reduce(space.squares(apart.mul_(vector)))))
            change = along
    value = float(space.products(vector[None], product.vector)[0])
    left = product.vector.sub_(vector, alpha=value)
    return {
        "pair_value": value,
        "pair_residual": math.sqrt(float(space.reduce(space.squares(left)))),
        "pair_error": error,
        "pair_change": change,
        "pair_spread": spread,
        "pair_epsilon": product.epsilon,
        "pair_rho": product.rho,
        "pair_gradients": gradients,
        "pair_seconds": time.perf_counter() - started,
    }


def _at_twice(
    name: str, surface: LossSurface, epsilon: float | Literal["auto"], vector: Tensor
) -> Product | None:
    """The product at twice a step; None where it is not finite, which all ranks meet alike."""
    assert epsilon != "auto"
    try:
        return operator_of(name, surface, 2 * epsilon).matvec(vector)
    except ObjectiveError:
        return None
