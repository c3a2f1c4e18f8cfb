"""Whether a quantity has settled over the probes that are done."""

import math
from collections.abc import Sequence

import numpy as np

from hessview.commands import Density
from hessview.spectral.quadrature import ritz

FEWEST = 4
"""Probes before a spread is believed: that of two is below half its expectation one time in
three, and a run that stops on such luck stops on a wrong number."""

Coefficients = tuple[list[float], list[float]]


def settled(command: Density, probes: Sequence[Coefficients]) -> str:
    """Why a run may end before its last probe.

    Args:
        command: Its `quantity` has to be known to within its `tolerance`, relative to itself.
        probes: alpha and beta of each finished probe; the same on all ranks, so that all come
            to the same answer.

    Returns:
        Which quantity settled, how well and after how many probes; "" if the run goes on.
    """
    if command.tolerance is None or len(probes) < FEWEST:
        return ""
    value, error = _estimate(command.quantity, probes)
    if not error <= command.tolerance * abs(value):
        return ""
    share = error / abs(value) if value else 0.0
    return (
        f"{command.quantity} settled to {share:.2g} of itself after {len(probes)} of "
        f"{command.probes} probes (tolerance {command.tolerance:g})"
    )


def _estimate(quantity: str, probes: Sequence[Coefficients]) -> tuple[float, float]:
    """Value of a quantity and its error."""
    match quantity:
        case "trace":
            return _mean([alpha[0] for alpha, _ in probes])
        case "frobenius_norm":
            return _frobenius(probes)
        case _:
            return _extreme(probes, -1 if quantity == "largest" else 0)


def _frobenius(probes: Sequence[Coefficients]) -> tuple[float, float]:
    square, error = _mean([alpha[0] ** 2 + beta[0] ** 2 for alpha, beta in probes])
    norm = math.sqrt(square)
    return norm, error / (2 * norm) if norm else error


def _extreme(probes: Sequence[Coefficients], pick: int) -> tuple[float, float]:
    """The outermost Ritz value; off by its residual, and by what another probe did not see."""
    found = [ritz(np.array(alpha), np.array(beta)) for alpha, beta in probes]
    nodes = np.array([each.nodes[pick] for each in found])
    best = int(np.argmax(nodes) if pick else np.argmin(nodes))
    return float(nodes[best]), float(found[best].residuals[pick] + nodes.std(ddof=1))


def _mean(samples: Sequence[float]) -> tuple[float, float]:
    return float(np.mean(samples)), float(np.std(samples, ddof=1) / math.sqrt(len(samples)))
