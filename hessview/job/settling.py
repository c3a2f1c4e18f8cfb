"""Whether a quantity has settled over the probes that are done."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from hessview.commands import Density
from hessview.spectral.bounds import End, Extreme, furthest

FEWEST = 4
"""Probes before a spread is believed: that of two is below half its expectation one time in
three, and a run that stops on such luck stops on a wrong number."""


class Probe(NamedTuple):
    """What a finished probe says.

    Attributes:
        alpha: Lanczos diagonal coefficients.
        beta: Lanczos off-diagonal coefficients.
        extremes: Its largest and smallest Ritz value, with what they are worth.
    """

    alpha: Sequence[float]
    beta: Sequence[float]
    extremes: Mapping[End, Extreme]


def settled(command: Density, probes: Sequence[Probe]) -> str:
    """Why a run may end before its last probe.

    Args:
        command: Its `quantity` has to be known to within its `tolerance`, relative to itself.
        probes: Each finished probe; the same on all ranks, so that all come to the same answer.

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


def _estimate(quantity: str, probes: Sequence[Probe]) -> tuple[float, float]:
    """Value of a quantity and its error."""
    match quantity:
        case "trace":
            return _mean([probe.alpha[0] for probe in probes])
        case "frobenius_norm":
            return _frobenius(probes)
        case "largest":
            return _extreme(probes, "largest")
        case _:
            return _extreme(probes, "smallest")


def _frobenius(probes: Sequence[Probe]) -> tuple[float, float]:
    square, error = _mean([one.alpha[0] ** 2 + one.beta[0] ** 2 for one in probes])
    norm = math.sqrt(square)
    return norm, error / (2 * norm) if norm else error


def _extreme(probes: Sequence[Probe], end: End) -> tuple[float, float]:
    """The extreme eigenvalue; off by its bound, and by what another probe did not see."""
    found = [probe.extremes[end] for probe in probes]
    best = furthest(found, end)
    if best.withheld:
        return math.nan, math.nan
    values = [one.value for one in found if not one.withheld]
    spread = float(np.std(values, ddof=1)) if len(values) > 1 else math.inf
    return best.value, best.bound + spread


def _mean(samples: Sequence[float]) -> tuple[float, float]:
    return float(np.mean(samples)), float(np.std(samples, ddof=1) / math.sqrt(len(samples)))
