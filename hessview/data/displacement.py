"""What the rounding of the parameters' data type does to finite differences."""

import warnings

import numpy as np
import xarray as xr

from hessview.errors import AccuracyWarning

ROUNDED_OFF = 0.1
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
    if not (error if old else effect) > ROUNDED_OFF:
        return ""
    dtype = ds.attrs.get("dtype", "their data type")
    wider = _WIDER.get(dtype)
    cure = f"load the weights in {wider}, or use longer steps" if wider else "use longer steps"
    does = (
        "what that does to products was not estimated when this was recorded"
        if old
        else f"which moves products by up to about {effect:.0%}"
    )
    if not old and effect > DROWNED:
        does += ": such a product is noise for the most part, and no difference gives it"
    return (
        f"parameters in {dtype} round the displacement: it is off by up to {error:.0%}, {does}; "
        f"{cure}."
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
    known = np.isfinite(values.values)
    return float(values.values[known].max()) if known.any() else float("nan")
