"""Whether the parameters' data type let the finite-difference steps be made."""

import warnings

import numpy as np
import xarray as xr

from hessview.errors import AccuracyWarning

ROUNDED_OFF = 0.1
"""Relative error of a displacement that is worth a warning: products inherit it."""

_WIDER = {"bfloat16": "float32", "float16": "float32", "float32": "float64"}


def rounding(ds: xr.Dataset) -> str:
    """What the parameters' data type did to the displacements, and the cure, in words.

    Args:
        ds: A dataset with perturbation_error.

    Returns:
        "" where that is little, or nothing is known.
    """
    if "perturbation_error" not in ds or not np.isfinite(ds.perturbation_error).any():
        return ""
    error = float(ds.perturbation_error.max())
    if error <= ROUNDED_OFF:
        return ""
    dtype = ds.attrs.get("dtype", "their data type")
    wider = _WIDER.get(dtype)
    cure = f"load the weights in {wider}, or use longer steps" if wider else "use longer steps"
    return (
        f"parameters in {dtype} round the displacement: it is off by up to {error:.0%}, and "
        f"products with it; {cure}."
    )


def warn_of_rounding(ds: xr.Dataset) -> None:
    """Warn where the parameters' data type rounded the displacements off.

    Args:
        ds: A dataset with perturbation_error; without it nothing is said.
    """
    if text := rounding(ds):
        warnings.warn(text, AccuracyWarning, stacklevel=3)
