"""Trace and Frobenius norm from the first step of every probe, with intervals that hold them.

`Interval` is a number with such an interval, of whatever quantity; Student's t over probes, and
what products err by, make its ends.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.special import stdtrit

from hessview.record.operator_facts import facts_in
from hessview.spectral.bounds import JUMP, NOT_A_DERIVATIVE
from hessview.spectral.quadrature import standard_error
from hessview.wording import alone

LEVEL = 0.95
"""Of intervals over probes: how often the like of them hold the truth."""


class Interval(NamedTuple):
    """A number, the ends between which the truth lies, and how they were obtained.

    Attributes:
        value: The estimate, NaN where it is withheld or not measured.
        low: Lower end, NaN where there is none to tell.
        high: Upper end, likewise.
        level: How often such intervals hold the truth, between 0 and 1; 1 for bounds that always
            do, NaN where there are no ends.
        basis: How the ends were obtained, or why there is no number, in words.
    """

    value: float
    low: float
    high: float
    level: float
    basis: str

    @property
    def uncertainty(self) -> float:
        """The farther end's distance from the value: value ± uncertainty holds the interval."""
        return max(self.high - self.value, self.value - self.low)  # NaN if an end is


def without(reason: str, value: float = math.nan) -> Interval:
    """A number that has no interval, or that is withheld.

    Args:
        reason: Why, in words that may stand in the number's place.
        value: The number; NaN if it is withheld.
    """
    return Interval(value, math.nan, math.nan, math.nan, reason)


def student(probes: int, level: float) -> float:
    """How many standard errors Student's t-interval over so many probes reaches to either side.

    Args:
        probes: How many, >= 2.
        level: How often it is to hold the mean, between 0 and 1.
    """
    return float(stdtrit(probes - 1, (1 + level) / 2))


def reach(samples: Array, level: float) -> float:
    """How far Student's t-interval of a mean reaches to either side.

    Args:
        samples: One a probe, >= 2, shape (probe,).
        level: As of `student`.
    """
    return float(student(len(samples), level) * float(samples.std(ddof=1)) / np.sqrt(len(samples)))


def say_student(probes: int, level: float) -> str:
    """What such an interval is called.

    Args:
        probes: How many.
        level: As of `student`.
    """
    return f"{100 * level:g} % interval, Student's t over {probes} probes"


Array = NDArray[np.float64]

_SKEW = 0.6  # see `hutchinson`
_SKEWED = 0.1  # of the interval's reach, from which the widening for skewness is said


def hutchinson(ds: xr.Dataset) -> dict[str, Interval]:
    """Trace and Frobenius norm of the operator.

    With Rademacher probes v of unit norm over P parameters, P v'Hv averages to the trace, and
    P |Hv|^2 = P (alpha_1^2 + beta_1^2) to the squared Frobenius norm.

    The trace's interval is Student's t. Its samples are skewed where few eigenvalues carry them:
    like those of Gaussian probes, by g = 8 tr(A^3) / (2 tr(A^2))^(3/2) with A = H - tr(H)/P,
    which two Lanczos steps tell. On the side that such samples miss, the interval reaches
    1 + 0.6 |g| / sqrt(n) times as far (linear in g / sqrt(n) as Hall's correction, which outdoes
    itself with few probes; the factor is measured: the level holds from 2 probes on, also where
    one eigenvalue carries all).

    That of the norm is the root of one of its square, whose samples cannot be negative: its
    upper end is m exp(t s / m), with mean m, standard error s, and t of half the risk, as a low
    mean comes with a low s.

    To both, what the products may err by is added as it is, as no number of probes averages out
    what they share. To the norm that is D times itself. To the trace it is 2 P times the largest
    change of a first v'Hv at twice epsilon: rounding shows in it once,
    truncation three times, a jump of the gradient half, and it does not vanish with the trace.
    Records of 0.1.0 lack that change: of
    a product it is known only that |v'd| <= |d| = D |Hv|, so the trace by P D |Hv|, of the order
    of D sqrt(P) times the norm.

    Args:
        ds: A density dataset over (probe, step).

    Returns:
        trace and frobenius_norm, in units of the loss, of all probes that have a first step. Both
        are withheld where a first product is no derivative.

    Reference: Hutchinson (1990); Hall (1992) for the skewness of Student's t.
    """
    first = ds.isel(step=0)
    kept = np.isfinite(first.alpha.values) & np.isfinite(first.beta.values)
    if not kept.any():
        return _both(without("no probe has a first step"))
    parameters = float(ds.attrs.get("parameters", np.nan))
    if np.isnan(parameters):
        return _both(without("the record lacks the number of parameters"))
    errors = first_errors(ds)[kept]
    if (errors >= NOT_A_DERIVATIVE).any():
        return _both(without(say_jump(errors)))
    ds = ds.isel(probe=kept)
    alpha, beta = (ds[name].isel(step=0).values for name in ("alpha", "beta"))
    squares = alpha**2 + beta**2
    change = _change(ds)
    if np.isnan(change):
        change = float(np.mean(np.nan_to_num(errors) * np.sqrt(squares)))
    note = _say_products(errors, exact=facts_in(ds.attrs).exact)
    return {
        "trace": _trace(parameters * alpha, _skewness(ds, parameters), parameters * change, note),
        "frobenius_norm": _norm(
            parameters * squares, float(np.nan_to_num(errors).max(initial=0)), note
        ),
    }


def _change(ds: xr.Dataset) -> float:
    """What a first alpha may be off by, from its change at twice epsilon; NaN if not measured."""
    if "change" not in ds:
        return np.nan
    own = np.abs(ds.change.values[:, 0])
    measured = own[np.isfinite(own)]
    return JUMP * float(measured.max()) if measured.size else np.nan


def first_errors(ds: xr.Dataset) -> Array:
    """Error D of the first product of each probe; where it was not measured, another probe's.

    Args:
        ds: A density dataset over (probe, step).

    Returns:
        Shape (probe,); NaN if none was measured.
    """
    if "error" not in ds:
        return np.full(ds.sizes["probe"], np.nan)
    own = ds.error.values[:, 0]
    measured = own[np.isfinite(own)]
    return np.where(np.isfinite(own), own, measured.max() if measured.size else np.nan)


def say_jump(errors: Array) -> str:
    """Why numbers are withheld where products are no derivatives.

    Args:
        errors: D of first products, one at least >= NOT_A_DERIVATIVE.
    """
    return (
        f"withheld: a first product has D = {alone(float(np.nanmax(errors)), 2)}, so it is no "
        "derivative (a kink, or noise)"
    )


def _both(interval: Interval) -> dict[str, Interval]:
    return {"trace": interval, "frobenius_norm": interval}


def _trace(samples: Array, skewness: float, own: float, note: str) -> Interval:
    value, probes = float(samples.mean()), len(samples)
    if probes == 1:
        return without("1 probe: no spread, hence no interval", value)
    to_either_side = reach(samples, LEVEL)
    wider = _SKEW * abs(skewness) / np.sqrt(probes)
    below, above = (1.0, 1 + wider) if skewness > 0 else (1 + wider, 1.0)
    basis = say_student(probes, LEVEL)
    if wider >= _SKEWED:
        basis += f", wider {'above' if skewness > 0 else 'below'} as few eigenvalues carry it"
    low, high = value - below * to_either_side - own, value + above * to_either_side + own
    return Interval(value, low, high, LEVEL, basis + note)


def _norm(samples: Array, error: float, note: str) -> Interval:
    square, probes = float(samples.mean()), len(samples)
    value = float(np.sqrt(square))
    if probes == 1:
        return without("1 probe: no spread, hence no interval", value)
    spread = float(standard_error(samples))
    low = max(square - student(probes, LEVEL) * spread, 0.0)
    with np.errstate(over="ignore"):
        share = student(probes, (1 + LEVEL) / 2) * spread / square if square else 0.0
        high = square * float(np.exp(share))
    ends = float(np.sqrt(low)) - error * value, float(np.sqrt(high)) + error * value
    basis = f"{say_student(probes, LEVEL)}, wider above as a few probes tend to miss the largest"
    return Interval(value, max(ends[0], 0.0), ends[1], LEVEL, basis + note)


def _skewness(ds: xr.Dataset, parameters: float) -> float:
    """Of the trace's samples, if probes were Gaussian; 0 with one step, which does not tell it."""
    if ds.sizes["step"] < 2:
        return 0.0
    first, second = (ds.alpha.values[:, step] for step in (0, 1))
    coupling = ds.beta.values[:, 0] ** 2
    second = np.where(coupling > 0, second, 0.0)  # after a breakdown nothing follows
    finite = np.isfinite(second)
    if not finite.any():
        return 0.0
    centre = first.mean()
    a, b, c = (first - centre)[finite], coupling[finite], (second - centre)[finite]
    square = parameters * float(np.mean(a**2 + b))
    cube = parameters * float(np.mean(a**3 + 2 * a * b + c * b))  # e_1' (T - centre)^3 e_1
    return 8 * cube / (2 * square) ** 1.5 if square > 0 else 0.0


def _say_products(errors: Array, *, exact: bool) -> str:
    measured = errors[np.isfinite(errors)]
    if measured.size:
        return f", and product error D = {alone(float(measured.max()), 2)}"
    return "" if exact else "; product error not measured"
