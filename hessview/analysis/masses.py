"""Shares of the spectrum from the quadratures of whole probes, with bounds that hold them."""

import functools
import math
from collections.abc import Callable

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.optimize import brentq

from hessview.analysis.ritz import machine_epsilon, steps_of
from hessview.analysis.trace import Interval, first_errors, say_jump, without
from hessview.record.operator_facts import facts_in
from hessview.spectral import quadrature
from hessview.spectral.bounds import NOT_A_DERIVATIVE, product_errors
from hessview.wording import alone, counted

Array = NDArray[np.float64]

LEVEL = 0.99
"""How often the bounds hold a mass, as far as probes decide that."""
_NORMAL = 2.5758293035489004  # standard deviations that hold it so often


def masses(ds: xr.Dataset, nodes_and_weights: xr.Dataset, resolution: float) -> dict[str, Interval]:
    """Shares of the spectrum below zero, and too near to zero for their sign to be told.

    The bounds hold three errors. That of the quadrature: of each probe's measure the bounds of
    Chebyshev, Markov and Stieltjes count, at the ends of the band. That of the products: these
    ends are shifted outward by sum_j |s_j| (|d_j| + e_j), with s the eigenvector of the rule's
    node there, d_j and e_j error and asymmetry of the products (see `spectral.bounds`). And that
    of the probes: the mass mu of a Rademacher probe in a part of the spectrum with share s
    averages to s, with a variance of at most 2 s (1 - s) / P, so that no spread over
    probes is needed, nor more than one. At the end where the samples are skewed Chernoff's bound
    takes the place of the normal distribution: exp(-(n P / 2) (m - s - s log(m / s))) for a mean m
    over n probes, as of chi-squared, whose moments dominate those of Rademacher probes.

    Args:
        ds: A density dataset over (probe, step).
        nodes_and_weights: Its quadrature, as `analysis.ritz.ritz` gives it.
        resolution: Half the band's width over the largest |node|.

    Returns:
        negative_mass (below the band) and unresolved_mass (within it).
    """
    whole = np.flatnonzero(nodes_and_weights.finished.values)
    if not len(whole):
        return _both(without("no probe is finished yet"))
    errors = first_errors(ds)[whole]
    if (errors >= NOT_A_DERIVATIVE).any():
        return _both(without(say_jump(errors)))
    nodes, weights = (
        nodes_and_weights.node.values[whole],
        nodes_and_weights.weight.fillna(0).values[whole],
    )
    band = resolution * float(np.nanmax(np.abs(nodes))) or 1.0  # of a zero operator any will do
    steps = nodes_and_weights.steps.values[whole]
    ends = np.array(
        [
            _cumulative(ds, int(probe), int(count), band)
            for probe, count in zip(whole, steps, strict=True)
        ]
    )
    below, above = ends[:, 0], ends[:, 1]  # each: least and greatest mass, shape (probe, 2)
    parameters = float(ds.attrs.get("parameters", np.nan))
    note = _say(ds, nodes_and_weights, whole, steps, parameters)
    within = np.stack([above[:, 0] - below[:, 1], above[:, 1] - below[:, 0]], axis=1)
    return {
        "negative_mass": _interval(
            (weights * (nodes < -band)).sum(axis=1), below, parameters, note
        ),
        "unresolved_mass": _interval(
            (weights * (np.abs(nodes) <= band)).sum(axis=1), within, parameters, note
        ),
    }


def _both(interval: Interval) -> dict[str, Interval]:
    return {"negative_mass": interval, "unresolved_mass": interval}


def _cumulative(ds: xr.Dataset, probe: int, steps: int, band: float) -> list[tuple[float, float]]:
    """Least and greatest mass of a probe below each end of the band."""
    coefficients = steps_of(ds, probe, steps)
    asymmetry = np.nan_to_num(coefficients.asymmetry)
    errors = product_errors(coefficients, machine_epsilon(ds)) + asymmetry
    columns = coefficients.alpha.tobytes(), coefficients.beta.tobytes(), errors.tobytes()
    return [_below(*columns, end) for end in (-band, band)]


@functools.lru_cache(maxsize=4096)
def _below(alpha: bytes, beta: bytes, errors: bytes, x: float) -> tuple[float, float]:
    """Kept, since a live page asks for whole probes again at each step."""
    rows = np.frombuffer(alpha), np.frombuffer(beta)
    low, high, vector = quadrature.mass_below(*rows, x)
    shift = float(np.abs(vector) @ np.frombuffer(errors))
    if not shift:
        return low, high
    least, greatest = (quadrature.mass_below(*rows, x + step) for step in (-shift, shift))
    return min(low, least[0]), max(high, greatest[1])


def _interval(values: Array, ends: Array, parameters: float, note: str) -> Interval:
    value = float(values.mean())
    least, greatest = np.clip(ends.mean(axis=0), 0, 1).tolist()
    if np.isfinite(parameters):
        least = _least(least, len(values) * parameters)
        greatest = 1 - _least(1 - greatest, len(values) * parameters)
    # The estimate is the mean of one measure among those that the bounds hold, but for rounding.
    return Interval(value, min(least, value), max(greatest, value), LEVEL, note)


def _least(mean: float, count: float) -> float:
    """The least share whose probes could have so large a mean mass.

    Args:
        mean: Over probes, of the mass in a part of the spectrum.
        count: Probes times parameters.
    """
    if mean <= 0:
        return 0.0
    if mean >= 0.5:
        half = _NORMAL**2 / count
        root = math.sqrt(max((mean + half) ** 2 - (1 + 2 * half) * mean**2, 0.0))
        return (mean + half - root) / (1 + 2 * half)
    risk = 2 * math.log(2 / (1 - LEVEL)) / count
    unlikely: Callable[[float], float] = lambda s: mean - s - s * math.log(mean / s) - risk  # noqa: E731
    tiny = mean * 1e-12
    return float(brentq(unlikely, tiny, mean)) if unlikely(tiny) > 0 else 0.0


def _say(
    ds: xr.Dataset, spectrum: xr.Dataset, whole: NDArray[np.intp], steps: Array, parameters: float
) -> str:
    count = counted(len(whole), "probe")
    basis = f"{100 * LEVEL:g} % bounds of Chebyshev, Markov and Stieltjes over {count}"
    asked = ds.sizes["step"]
    residual = spectrum.residual.values[whole]
    inexact = (np.nan_to_num(residual) > 0).any(axis=1)  # of one that broke down nothing is left
    if inexact.any() and (most := int(steps[inexact].max())) < asked:
        basis += f", cut short at {most} of {counted(asked, 'step')}"
    if np.isnan(parameters):
        basis += "; without their scatter, as the record lacks the number of parameters"
    if "error" in ds and np.isfinite(ds.error.values).any():
        basis += f", and product error D = {alone(float(np.nanmax(ds.error.values[whole])), 2)}"
    elif not facts_in(ds.attrs).exact:
        basis += "; product error not measured"
    return basis
