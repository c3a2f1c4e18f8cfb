"""Whether the parameters' data type let the finite-difference steps be made."""

import warnings

import numpy as np
import xarray as xr

from hessview.errors import AccuracyWarning

ROUNDED_OFF = 0.1
"""Relative error of a displacement that is worth a warning: products inherit it."""


def warn_of_rounding(ds: xr.Dataset) -> None:
    """Warn where the parameters' data type rounded the displacements off.

    Args:
        ds: A dataset with perturbation_error; without it nothing is said.
    """
    if "perturbation_error" not in ds or not np.isfinite(ds.perturbation_error).any():
        return
    error = float(ds.perturbation_error.max())
    if error > ROUNDED_OFF:
        warnings.warn(
            f"parameters in {ds.attrs.get('dtype', 'their data type')} round the displacement: it "
            f"is off by up to {error:.0%}, and products with it; load the weights in float32, or "
            "use longer steps.",
            AccuracyWarning,
            stacklevel=3,
        )
