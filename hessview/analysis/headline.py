"""The headline numbers of a density run, each with the interval that holds it, and why.

They are put together here from `extremes`, `trace` and `masses`, where the formulas stand. Also
here: what the rounding of the parameters' data type does to the differences that they are made of.
"""

import math
import warnings

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from hessview.analysis.extremes import COMMENT as OF_EXTREMES
from hessview.analysis.extremes import extremes
from hessview.analysis.masses import masses
from hessview.analysis.ritz import one_density, ritz
from hessview.analysis.trace import Interval, hutchinson
from hessview.errors import AccuracyWarning, InputError
from hessview.wording import Ends

Array = NDArray[np.float64]

RESOLUTION = 1e-2  # share of the largest |node| below which SLQ tells no sign (exact 0.31, SLQ 0)


def headline(ds: xr.Dataset, *, resolution: float = RESOLUTION, shares: bool = True) -> xr.Dataset:
    """As `summary`, without its warning: for those who say `displacement.rounding` beside it.

    Without shares the masses are left out, which take most of the time.
    """
    if not 0 < resolution < 1:
        raise InputError(f"resolution={resolution!r} is not allowed; use a number between 0 and 1.")
    ds = one_density(ds)
    quadrature = ritz(ds)
    bounds = extremes(ds)
    quantities = {
        **{name: _bound(*estimate) for name, estimate in bounds.items()},
        **hutchinson(ds),
        **(masses(ds, quadrature, resolution) if shares else {}),
    }
    loss = str(quadrature.node.attrs["units"])
    numbers = {
        name: ("quantity", np.array([getattr(interval, name) for interval in quantities.values()]))
        for name in ("value", "low", "high", "level")
    }
    stated = [
        bounds[name].uncertainty if name in bounds else interval.uncertainty
        for name, interval in quantities.items()
    ]
    bases = np.array([interval.basis for interval in quantities.values()], dtype=object)
    return xr.Dataset(
        {
            **numbers,
            "uncertainty": ("quantity", np.array(stated)),
            "basis": ("quantity", bases),
        },
        {
            "quantity": np.array(list(quantities), dtype=object),
            "units": (
                "quantity",
                np.array(["1" if "mass" in name else loss for name in quantities], dtype=object),
            ),
        },
        {**ds.attrs, "resolution": resolution, "comment": _COMMENT},
    )


def _bound(value: float, uncertainty: float, basis: str) -> Interval:
    """An extreme, which lies within its bound, not with some probability."""
    level = 1.0 if np.isfinite(uncertainty) else np.nan
    return Interval(value, value - uncertainty, value + uncertainty, level, basis)


_COMMENT = OF_EXTREMES + (
    "trace and frobenius_norm: intervals of Student's t over probes, to which the error D of the "
    "first products is added as it is. "
    "negative_mass and unresolved_mass: shares of the spectrum by quadrature. Their bounds hold "
    "the error of the quadrature, the scatter of Rademacher probes and D, but not what the window "
    "of a partial reorthogonalisation does. Mass within resolution of zero is measured, but has no "
    "known sign."
)


def ends_of(row: xr.Dataset) -> Ends | None:
    """Ends of a quantity's interval; None where a summary tells none.

    Args:
        row: A summary's entry of the quantity.
    """
    ends = (float(row.low), float(row.high)) if "low" in row else (math.nan, math.nan)
    return ends if all(map(math.isfinite, ends)) else None


_ROUNDED_OFF = 0.1
"""Effect on a product, relative to it, that is worth a warning."""

DROWNED = 0.7
"""Effect from which on a product is noise for the most part: half of its square."""

_FAINT = 1e-2
"""Share of a probe's largest product below which one says nothing: in a null space nothing is left
but rounding, of which a displacement's is any multiple."""

_WIDER = {"bfloat16": "float32", "float16": "float32", "float32": "float64"}


def worst_effect(ds: xr.Dataset) -> float:
    """Largest estimated effect of rounded displacements on a product, relative to it.

    Args:
        ds: Any dataset.

    Returns:
        NaN where it is not known: not measured, or recorded before there was such a number.
    """
    return _worst(ds, "perturbation_effect")


def rounding(ds: xr.Dataset) -> str:
    """What the parameters' data type did to the products, and the cure, in words.

    A displacement may be off by much more than the product, since what is missing from it is
    noise, along which the curvature is that of an ordinary direction.

    Args:
        ds: A dataset with perturbation_error, and perturbation_effect if it is new enough.

    Returns:
        "" where that is little, or nothing is known.
    """
    error, effect = _worst(ds, "perturbation_error"), worst_effect(ds)
    old = "perturbation_effect" not in ds
    if not (error if old else effect) > _ROUNDED_OFF:
        return ""
    dtype = ds.attrs.get("dtype", "their data type")
    wider = _WIDER.get(dtype)
    remedy = (
        f"load the weights in {wider}, or use a larger epsilon" if wider else "use a larger epsilon"
    )
    consequence = (
        "what that does to products was not estimated when this was recorded"
        if old
        else f"which moves products by up to about {effect:.0%}"
    )
    if not old and effect > DROWNED:
        consequence += ": such a product is noise for the most part, and no difference gives it"
    return (
        f"parameters in {dtype} round the displacement: it is off by up to {error:.0%}, "
        f"{consequence}; {remedy}."
    )


def warn_of_rounding(ds: xr.Dataset) -> None:
    """Warn where the parameters' data type disturbs the products.

    Args:
        ds: A dataset with perturbation_error; without it nothing is said.
    """
    if text := rounding(ds):
        warnings.warn(text, AccuracyWarning, stacklevel=3)


def _worst(ds: xr.Dataset, name: str) -> float:
    if name not in ds:
        return float("nan")
    values = ds[name]
    if "step" in values.dims and "alpha" in ds and "beta" in ds:
        squares = ds.alpha**2 + ds.beta**2 + ds.beta.shift(step=1).fillna(0) ** 2  # |Hq|^2
        values = values.where(squares >= _FAINT**2 * squares.max("step"))
    finite = np.isfinite(values.values)
    return float(values.values[finite].max()) if finite.any() else float("nan")
