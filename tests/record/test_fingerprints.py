"""A dataset that is no run's any more has no spectrum, whatever was done to it."""

import warnings

import numpy as np
import pytest
import xarray as xr

import hessview
from helpers import emulated, trained
from helpers.every_command import dataset_of
from hessview.analysis.accuracy import theory
from hessview.analysis.benchmark import benchmark
from hessview.analysis.coupling import coupling_summary
from hessview.analysis.ritz import convergence
from hessview.analysis.store import to_netcdf, to_zarr
from hessview.analysis.sweep import distances
from hessview.analysis.training import history
from hessview.errors import RecordError
from hessview.record.fingerprints import MOST_KEPT, fingerprints
from hessview.record.measurements import MEASUREMENTS


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
    "turned in sign": lambda ds: -ds,
    "shifted up": lambda ds: ds + 1e-3,
    "clipped": lambda ds: ds.clip(max=5.0),
    "moved on by a step": lambda ds: ds.shift(step=1),
    "turned round over steps": lambda ds: ds.roll(step=1),
    "turned round over probes": lambda ds: ds.roll(probe=1),
    "summed up": lambda ds: ds.cumsum("step").assign_coords(step=ds.step),
    "one value": lambda ds: ds.assign(alpha=ds.alpha.where(ds.step != 7, 0.5)),
    "one value, the last": lambda ds: ds.assign(beta=ds.beta.where(ds.step != 12, 0.5)),
    "names exchanged": lambda ds: ds.rename(alpha="beta", beta="alpha"),
    "errors forgiven": lambda ds: ds.assign(error=ds.error * 0),
    "errors filled in": lambda ds: ds.assign(error=ds.error.fillna(1e-9)),
    "cut, then scaled": lambda ds: ds.isel(step=slice(8)) * 2,
    "one probe, scaled": lambda ds: ds.isel(probe=0) * 2,
    "half as many digits": lambda ds: ds.astype(np.float16),
    "mean of two runs": lambda ds: (ds + other()) / 2,
    "mean of two runs by concat": lambda ds: xr.concat([ds, other()], "run").mean("run"),
    "another run's gaps": lambda ds: ds.where(ds.step < 6).combine_first(other()),
}


def other():
    return emulated.dataset(probes=4, steps=12, seed=3).assign_attrs(run="other")


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
    "with a variable more": lambda ds: ds.assign(mine=ds.alpha * 2),
    "without a variable": lambda ds: ds.drop_vars("seconds"),
    "computed with nothing": lambda ds: ds + 0,
    "sorted by another order": lambda ds: ds.isel(probe=[2, 0, 3, 1]),
    "two halves joined": lambda ds: xr.concat(
        [ds.isel(probe=slice(2)), ds.isel(probe=slice(2, 4))], "probe"
    ),
}


@pytest.mark.parametrize("change", KEPT.values(), ids=KEPT)
def test_what_is_still_a_run_is_taken(change, ds):
    found = hessview.summary(change(ds)).value.sel(quantity="largest")
    assert float(found) == pytest.approx(41.3, rel=0.02)


def test_a_spectrum_of_both_signs_has_no_absolute_value():
    ds = dataset_of("epsilon_sweep").isel(epsilon=1)
    assert (ds.alpha < 0).any()
    assert np.isfinite(hessview.ritz(ds).node).any()
    with pytest.raises(RecordError, match="alpha holds other numbers than the run recorded"):
        hessview.ritz(abs(ds))


FACTS = {
    "accuracy": theory,
    "benchmark": benchmark,
    "coupling": coupling_summary,
    "epsilon_sweep": distances,
    "fraction_sweep": distances,
}
EDITS = {
    "scaled": lambda ds: ds * 1.001,
    "shifted": lambda ds: ds + 1e-3,
    "gaps filled": lambda ds: ds.fillna(0.0),
    "rounded": lambda ds: ds.round(2),
    "one variable": lambda ds: ds.assign(seconds=ds.seconds * 2),
}


@pytest.mark.parametrize("edit", EDITS)
@pytest.mark.parametrize("command", FACTS)
def test_no_command_states_facts_of_edited_numbers(command, edit):
    ds = dataset_of(command)
    if edit == "gaps filled" and not any(ds[name].isnull().any() for name in ds):
        assert EDITS[edit](ds).equals(ds)
        return
    FACTS[command](ds)
    with pytest.raises(RecordError, match=r"no run's dataset any more: .*the run'?s?.*own dataset"):
        FACTS[command](EDITS[edit](ds))


@pytest.mark.parametrize("write", [to_netcdf, to_zarr])
@pytest.mark.parametrize("command", FACTS)
def test_files_keep_the_fingerprints(command, write, tmp_path):
    ds = dataset_of(command)
    path = write(ds, tmp_path / ("a.zarr" if write is to_zarr else "a.nc"))
    again = xr.open_dataset(path) if write is to_netcdf else xr.open_zarr(path)
    assert again.attrs["fingerprints"] == ds.attrs["fingerprints"]
    xr.testing.assert_identical(FACTS[command](again), FACTS[command](ds))
    with pytest.raises(RecordError, match="no run's dataset any more"):
        FACTS[command](again * 1.001)


def large():
    """A run of more readings than have fingerprints of their own."""
    ds = emulated.dataset(probes=20, steps=40)
    assert ds.alpha.size > 2 * MOST_KEPT
    return ds


def test_of_a_large_run_every_number_counts_as_long_as_it_is_whole():
    ds = large()
    random = np.random.default_rng(0)
    for _ in range(20):
        one = ds.copy(deep=True)
        probe, step = random.integers(20), random.integers(40)
        one.beta[probe, step] = one.beta[probe, step] * (1 + 1e-6)
        with pytest.raises(RecordError, match="beta holds other numbers"):
            hessview.ritz(one)


def test_of_a_part_of_a_large_run_a_sample_counts():
    ds = large()
    for part in (ds.isel(probe=slice(5)), ds.isel(step=slice(30)), ds.isel(probe=[19, 3])):
        hessview.ritz(part)
        with pytest.raises(RecordError, match="alpha holds other numbers"):
            hessview.ritz(part * (1 + 1e-6))


def test_the_attribute_fits_into_a_file(tmp_path):
    """HDF5 holds attributes of up to 64 kB."""
    most = max((entry.schema.variables for entry in MEASUREMENTS.values()), key=len)
    numbers = np.random.default_rng(0).normal(size=(500, 60))
    found = fingerprints(
        {name: (("probe", "step"), numbers) for name in most},
        {"probe": np.arange(500), "step": np.arange(60)},
        {},
    )
    assert len(found["fingerprints"]) < 60_000
    path = to_netcdf(xr.Dataset(attrs=found), tmp_path / "a.nc")
    assert xr.open_dataset(path).attrs == found


def test_numbers_of_float64_products_count_to_the_last_digit():
    ds = emulated.dataset(probes=2, steps=12)
    arrays = {name: (("probe", "step"), ds[name].values) for name in ("alpha", "beta")}
    labels = {"probe": ds.probe.values, "step": ds.step.values}
    attrs = {**ds.attrs, "compute_dtype": "float64"}
    exact = ds[["alpha", "beta"]].assign_attrs(attrs | fingerprints(arrays, labels, attrs))
    hessview.ritz(exact)
    for edit in (exact * (1 + 2**-50), exact.astype(np.float32)):
        with pytest.raises(RecordError, match="alpha holds other numbers"):
            hessview.ritz(edit)


def test_a_history_of_edited_runs_is_refused():
    runs = [trained.run_of(step) for step in (0, 10)]
    joined = hessview.join_training(runs)
    history(joined)
    with pytest.raises(RecordError, match="alpha holds other numbers"):
        history(joined * 2)
    with pytest.raises(RecordError, match="no run's dataset any more"):
        history(hessview.join_training([runs[0], runs[1] * 2]))
