"""A dataset that is no run's any more has no spectrum, whatever was done to it."""

import warnings

import emulated
import numpy as np
import pytest
import xarray as xr

import hessview
from hessview.data.convergence import convergence
from hessview.errors import RecordError


@pytest.fixture(scope="module")
def ds():
    return emulated.dataset(probes=4, steps=12)


CHANGES = {
    "mean": lambda ds: ds.mean("probe"),
    "median": lambda ds: ds.median("probe"),
    "largest": lambda ds: ds.max("probe"),
    "quantile": lambda ds: ds.quantile(0.5, "probe"),
    "mean that keeps the dimension": lambda ds: ds.mean("probe").expand_dims("probe"),
    "mean that is given a number": lambda ds: ds.mean("probe").assign_coords(probe=0),
    "mean that is given a place": lambda ds: ds.mean("probe").expand_dims(probe=[0]),
    "coarsened": lambda ds: ds.coarsen(probe=2).mean(),
    "rolling mean": lambda ds: ds.rolling(probe=2).mean().isel(probe=slice(1, None)),
    "sum of two": lambda ds: ds.isel(probe=0) / 2 + ds.isel(probe=1) / 2,
    "difference": lambda ds: ds - ds.isel(probe=0),
    "scaled": lambda ds: ds * 2,
    "rounded": lambda ds: ds.round(1),
    "mean over steps": lambda ds: ds.mean("step"),
    "gaps filled with 0": lambda ds: ds.fillna(0.0),
    "masked by 0": lambda ds: ds.where(ds.step < 8, 0.0),
    "without the first step": lambda ds: ds.isel(step=slice(1, None)),
    "every other step": lambda ds: ds.isel(step=slice(None, None, 2)),
    "steps without numbers": lambda ds: ds.drop_vars("step").isel(step=slice(3, None)),
    "steps turned round": lambda ds: ds.isel(step=slice(None, None, -1)),
    "steps counted anew": lambda ds: ds.isel(step=slice(2, 8)).assign_coords(step=range(1, 7)),
    "a probe twice": lambda ds: ds.isel(probe=[0, 0, 1]),
    "two runs as one": lambda ds: xr.concat([ds, ds], "probe"),
    "probes without numbers": lambda ds: ds.drop_vars("probe"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize(
    "function", [hessview.summary, hessview.ritz, hessview.spectral_density, convergence]
)
def test_what_was_averaged_masked_or_cut_is_refused(function, change, ds):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of averages over nothing
        changed = change(ds)
    with pytest.raises(RecordError, match=r"own dataset|whole dataset|dataset of a density run"):
        function(changed)


KEPT = {
    "one probe": lambda ds: ds.isel(probe=0),
    "one probe, as a list": lambda ds: ds.isel(probe=[2]),
    "some probes": lambda ds: ds.sel(probe=[3, 1]),
    "the first steps": lambda ds: ds.isel(step=slice(9)),
    "masked after some steps": lambda ds: ds.where(ds.step <= 9),
    "in float32": lambda ds: ds.astype(np.float32),
    "without its attributes": lambda ds: ds.drop_attrs(),
    "turned": lambda ds: ds.transpose(),
}


@pytest.mark.parametrize("change", KEPT.values(), ids=KEPT)
def test_what_is_still_a_run_is_taken(change, ds):
    found = hessview.summary(change(ds)).value.sel(quantity="largest")
    assert float(found) == pytest.approx(41.3, rel=0.02)
