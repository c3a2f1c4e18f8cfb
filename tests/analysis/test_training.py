"""Spectra over a training, held against the matrices that they came from."""

import numpy as np
import pytest
import xarray as xr

from helpers.every_command import dataset_of
from helpers.trained import SIZE, eigenvalues, run_of
from hessview.analysis.ritz import copies_in, ritz
from hessview.analysis.summary import summary
from hessview.analysis.training import history, join_training, run_at
from hessview.errors import InputError, RecordError

STEPS = (0, 10, 50, 200)


@pytest.fixture(scope="module")
def joined():
    return join_training(run_of(step) for step in reversed(STEPS))


def test_runs_are_joined_in_the_order_of_training(joined):
    assert joined.training_step.values.tolist() == list(STEPS)
    assert joined.alpha.dims == ("training_step", "probe", "step")
    assert joined.alpha.attrs["units"] == "loss"
    for index, step in enumerate(STEPS):
        xr.testing.assert_equal(joined.alpha[index].drop_vars(PER_STEP), run_of(step).alpha)
    np.testing.assert_allclose(joined.loss, [5.5 / (1 + step / 50) for step in STEPS])
    assert joined.run.values.tolist() == [f"at-{step}" for step in STEPS]
    assert joined.attrs["model"] == "tiny"
    assert joined.attrs["state"] == "done"
    assert not {"training_step", "run", "loss", "steps"} & set(joined.attrs)


PER_STEP = ["training_step", "run", "state", "probes", "steps", "fingerprints"]


def test_extremes_and_trace_follow_the_matrix(joined):
    found = history(joined)
    exact = {
        "largest": [eigenvalues(step)[-1] for step in STEPS],
        "smallest": [eigenvalues(step)[0] for step in STEPS],
    }
    for name, values in exact.items():
        row = found.sel(quantity=name)
        assert (np.abs(row.value - values) <= row.uncertainty).all()
        np.testing.assert_allclose(row.value, values, rtol=1e-3)
    # Rademacher probes tell a diagonal matrix's trace exactly.
    trace = found.sel(quantity="trace")
    np.testing.assert_allclose(trace.value, [eigenvalues(step).sum() for step in STEPS], rtol=1e-9)
    assert found.attrs["model"] == "tiny"


def test_history_is_the_summary_of_each_run(joined):
    found = history(joined)
    for step in STEPS:
        own = summary(run_of(step)).sel(quantity=found.quantity.values)
        np.testing.assert_array_equal(found.value.sel(training_step=step), own.value)
        np.testing.assert_array_equal(found.uncertainty.sel(training_step=step), own.uncertainty)
        assert found.basis.sel(training_step=step).values.tolist() == own.basis.values.tolist()


def test_runs_of_other_sizes_are_padded_and_come_out_as_they_were():
    runs = {
        0: run_of(0, probes=1, steps=8),
        10: run_of(10, probes=4, steps=12, stop=30, end=""),
        20: run_of(20, probes=2, steps=16, end="failed", stop=20),
    }
    joined = join_training(runs.values())
    assert joined.sizes == {"training_step": 3, "probe": 4, "step": 16, "end": 2}
    assert joined.attrs["state"] == "running"
    assert joined.state.values.tolist() == ["done", "running", "failed"]
    for index, (step, ds) in enumerate(runs.items()):
        out = run_at(joined, index)
        assert out.sizes == ds.sizes
        assert {name: out.attrs[name] for name in ("training_step", "state", "run", "loss")} == {
            name: ds.attrs[name] for name in ("training_step", "state", "run", "loss")
        }
        assert out.attrs["training_step"] == step
        for name in ds.data_vars:
            np.testing.assert_array_equal(out[name], ds[name])
        np.testing.assert_array_equal(ritz(out).finished, ritz(ds).finished)


def test_of_two_runs_at_a_step_the_fuller_counts_and_of_equals_the_later():
    first, second = run_of(5, run="first"), run_of(5, run="second")
    short = run_of(5, run="short", stop=7, end="cancelled")
    joined = join_training([first, second, short, run_of(9)])
    assert joined.run.values.tolist() == ["second", "at-9"]


def test_what_is_no_density_at_a_training_step_is_left_out():
    tree = xr.DataTree.from_dict(
        {
            "/a": run_of(0, run="a"),
            "/b": dataset_of("accuracy"),
            "/c": run_of(None, run="c"),
            "/d": run_of(3, run="d"),
        }
    )
    assert join_training(tree).run.values.tolist() == ["a", "d"]


def test_a_run_with_nothing_measured_is_a_gap():
    waiting = run_of(10, stop=0, end="")
    assert "training_step" not in waiting.attrs  # it has not begun, and no step is known
    begun = run_of(10, stop=1, end="").copy()
    begun.alpha[:] = np.nan
    found = history(join_training([run_of(0), begun]))
    assert np.isfinite(found.value.sel(training_step=0)).all()
    assert np.isnan(found.value.sel(training_step=10)).all()
    assert set(found.basis.sel(training_step=10).values) == {"nothing is measured yet"}


def test_joined_runs_survive_a_file(joined, tmp_path):
    joined.to_netcdf(tmp_path / "training.nc", engine="h5netcdf")
    with xr.open_dataset(tmp_path / "training.nc", engine="h5netcdf") as back:
        np.testing.assert_array_equal(history(back).value, history(joined).value)
        assert run_at(back, 1).attrs["run"] == "at-10"


@pytest.mark.parametrize(
    ("key", "runs"),
    [
        ("model", lambda: [run_of(0), run_of(5, model="other")]),
        ("operator", lambda: [run_of(0), run_of(5, operator="fisher")]),
    ],
)
def test_runs_of_two_trainings_are_refused(key, runs):
    with pytest.raises(InputError, match=rf"the runs differ in {key} .*pass those of one"):
        join_training(runs())


def test_without_a_training_step_it_says_how_to_get_one():
    with pytest.raises(RecordError, match=r"let the script call job\.poll\(training_step=step\)"):
        join_training([run_of(None)])
    with pytest.raises(RecordError, match=r"no training_step; join runs with hessview\.join"):
        history(run_of(3))
    with pytest.raises(RecordError, match=r"no training_step; join runs with hessview\.join"):
        run_at(run_of(3), 0)


def test_joined_runs_are_not_taken_for_one_density(joined):
    assert joined.attrs["parameters"] == SIZE
    with pytest.raises(RecordError, match=r"also over \['training_step'\]; choose one"):
        ritz(joined)


def test_a_run_keeps_what_others_do_not_share():
    """A run without reorthogonalisation among others has copies, which count once."""
    runs = [run_of(0, steps=40), run_of(10, steps=40, reorthogonalize="none")]
    joined = join_training(runs)
    for index, ds in enumerate(runs):
        one = run_at(joined, index)
        assert one.attrs["reorthogonalize"] == ds.attrs["reorthogonalize"]
        assert "of_runs" not in one.attrs
        xr.testing.assert_identical(ritz(one).drop_attrs(), ritz(ds).drop_attrs())
        assert (copies_in(ritz(one)) > 0) == (index == 1)
    later = run_at(joined.isel(training_step=[1]), 0)
    assert later.attrs["reorthogonalize"] == "none"
