"""What an accuracy run says: theorem 3.1's prediction, its floor, and which points count."""

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from hessview.errors import RecordError
from hessview.record.datasets import as_dataset, as_run

_RESOLVED = 2.0
"""Times the reference's own error above which an error is the product's: 12 % off at most, as
independent errors add in squares."""

COMMENT = (
    "predicted: noise / epsilon + bend epsilon^order, over the norm of the product (theorem 3.1 "
    "of arXiv 2602.00816, whose M3 / 6 is bend and whose C eps_m G is noise); both constants are "
    "measured by changes of products between epsilons, not fitted to the errors shown. It is a "
    "bound: independent errors add in squares. "
    "Points below twice reference_error are not resolved: they may be the reference's error. "
    "reference_error: for double backward, the difference between float32 and float64 times the "
    "ratio of their machine epsilons; for extrapolations, a standard error over five pairs of "
    "epsilons, which is blind to what they have in common. NaN where it could not be told."
)


def theory(ds: xr.Dataset, *, epsilons: ArrayLike | None = None) -> xr.Dataset:
    """Theorem 3.1 for each direction, and which measured errors are the product's own.

    Args:
        ds: Dataset of an accuracy run, whole or still running.
        epsilons: Those at which to predict; None takes those of the run.

    Returns:
        predicted over (direction, epsilon), relative to the norm of the product; over
        direction optimum (the epsilon of the least predicted error) and floor (that error); and,
        where epsilons is None, resolved and auto_resolved (whether a measured error is that of
        the product, not of the reference). NaN where noise or bend could not be told.

    Raises:
        RecordError: Not an accuracy, or one that was averaged.
    """
    ds = as_dataset(ds)
    if not {"relative_error", "noise", "bend"} <= set(ds):
        raise RecordError(
            f"the dataset holds {sorted(map(str, ds.data_vars))}, not relative_error, noise and "
            "bend; pass the dataset of an accuracy run."
        )
    as_run(ds, "relative_error", ("direction", "epsilon"))
    grid = (
        ds.epsilon
        if epsilons is None
        else xr.DataArray(np.asarray(epsilons, dtype=np.float64), dims="epsilon")
    )
    order = ds.order
    optimum = (ds.noise / (order * ds.bend)) ** (1 / (order + 1))
    variables = {
        "predicted": _error(ds, grid).transpose("direction", "epsilon"),
        "optimum": optimum,
        "floor": _error(ds, optimum),
    }
    if epsilons is None:
        variables["resolved"] = ds.relative_error > _RESOLVED * ds.reference_error
        variables["auto_resolved"] = ds.auto_relative_error > _RESOLVED * ds.reference_error
    for name, words in _DESCRIPTIONS.items():
        variables[name].attrs = {"units": "1", "long_name": words}
    return xr.Dataset(variables, {"epsilon": grid.values}, {**ds.attrs, "comment": COMMENT})


_DESCRIPTIONS = {
    "predicted": "relative error of the product by theorem 3.1",
    "optimum": "epsilon of the least predicted error",
    "floor": "least predicted relative error",
}


def _error(ds: xr.Dataset, epsilon: xr.DataArray) -> xr.DataArray:
    total: xr.DataArray = ds.noise / epsilon + ds.bend * epsilon**ds.order
    relative: xr.DataArray = total / ds.norm
    return relative
