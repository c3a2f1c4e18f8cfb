"""`hessview.summary` of whatever holds runs: which numbers, and how they read."""

import dataclasses
import functools
import html
import math
import re
import types
import warnings

import numpy as np
import pytest
import xarray as xr

import hessview
from helpers import emulated
from helpers.emulated import dataset as density_dataset
from helpers.every_command import dataset_of
from hessview.analysis.accuracy import theory
from hessview.analysis.benchmark import benchmark
from hessview.analysis.coupling import coupling_summary
from hessview.analysis.headline import headline
from hessview.analysis.summary import Summaries, Summary
from hessview.analysis.sweep import measured_settings
from hessview.errors import InputError, NotMeasuredError, RecordError
from hessview.record.commands import Command
from hessview.record.measurements import MEASUREMENTS

NAMES = ("accuracy", "benchmark", "coupling", "density", "epsilon_sweep", "fraction_sweep")
NUMBERS = {
    "accuracy": theory,
    "benchmark": benchmark,
    "coupling": coupling_summary,
    "density": headline,
    "epsilon_sweep": lambda ds: measured_settings(ds)[1],
    "fraction_sweep": lambda ds: measured_settings(ds)[1],
}


@functools.cache
def measured(name):
    return density_dataset() if name == "density" else dataset_of(name)


def unmeasured():
    return dataset_of("density", stop=0, end="")


@pytest.fixture(scope="module")
def tree():
    runs = {name: measured(name) for name in NAMES}
    return xr.DataTree.from_dict({**runs, "nested/empty": unmeasured()})


@pytest.mark.parametrize("name", NAMES)
def test_it_holds_what_the_commands_own_room_calculates(name):
    ds = measured(name)
    found, expected = hessview.summary(ds), NUMBERS[name](ds)
    assert isinstance(found, xr.Dataset)
    for variable in expected.data_vars:
        xr.testing.assert_identical(found[variable].drop_attrs(), expected[variable].drop_attrs())


@pytest.mark.parametrize("name", NAMES)
def test_it_reads_the_same_of_a_dataset_a_run_and_a_leaf(name, tree):
    run = types.SimpleNamespace(dataset=measured(name))
    printed = repr(hessview.summary(measured(name)))
    assert repr(hessview.summary(run)) == printed
    assert repr(hessview.summary(tree[name])) == printed


def test_of_a_tree_it_has_each_run_and_one_without_numbers_costs_that_run_only(tree):
    found = hessview.summary(tree)
    assert isinstance(found, Summaries)
    assert set(found) == {*NAMES, "nested/empty"}
    assert "no Lanczos step is measured yet" in repr(found["nested/empty"])
    assert not found["nested/empty"].variables
    for name in NAMES:
        assert repr(found[name]) == repr(hessview.summary(tree[name]))
        assert repr(found[name]) in repr(found)
        assert found[name]._repr_html_() in found._repr_html_()


def test_a_tree_maps_it_over_its_datasets(tree):
    found = tree.map_over_datasets(hessview.summary)
    for name in NAMES:
        expected = hessview.summary(tree[name])
        plain = xr.Dataset(expected.data_vars, expected.coords, expected.attrs)
        xr.testing.assert_identical(found[name].to_dataset(), plain)
    assert "no Lanczos step" in found["nested/empty"].attrs["reason"]


def test_of_a_session_it_has_each_run_in_order():
    runs = [types.SimpleNamespace(dataset=measured(name)) for name in NAMES]
    found = hessview.summary(types.SimpleNamespace(runs=runs))
    assert list(found) == [f"{name}-1" for name in NAMES]
    assert list(hessview.summary(run for run in runs)) == list(found)


def test_runs_of_one_identity_are_all_there():
    found = hessview.summary([measured("density"), measured("density")])
    assert list(found) == ["density-1", "density-1 (1)"]


def test_what_has_no_number_or_is_no_run_is_refused():
    with pytest.raises(NotMeasuredError, match="no Lanczos step is measured yet"):
        hessview.summary(unmeasured())
    with pytest.raises(NotMeasuredError, match="nothing was timed yet"):
        hessview.summary(dataset_of("benchmark", stop=0, end=""))
    with pytest.raises(NotMeasuredError, match="no probe is finished yet at any setting"):
        hessview.summary(dataset_of("epsilon_sweep", stop=1, end=""))
    for nothing in ([], xr.DataTree(), types.SimpleNamespace(runs=[])):
        with pytest.raises(InputError, match="there is no run"):
            hessview.summary(nothing)
    with pytest.raises(InputError, match="a int is no dataset"):
        hessview.summary(3)
    with pytest.raises(InputError, match="resolution=2 is not allowed"):
        hessview.summary(measured("coupling"), resolution=2)


@pytest.mark.parametrize("name", NAMES)
def test_numbers_that_are_no_runs_any_more_are_refused_in_a_tree_too(name):
    ds = measured(name)
    altered = ds.assign({next(iter(ds.data_vars)): ds[next(iter(ds.data_vars))] * 2})
    with pytest.raises(RecordError):
        hessview.summary({"a": altered, "b": ds})


def intervals(text):
    """Intervals that are written as value ± uncertainty, also with a power behind."""
    for value, doubt, power in re.findall(
        r"\(?(-?[\d.]+) ± ([\d.]+)\)?(e[+-]\d+)?", text.replace("−", "-")
    ):
        scale = float(f"1{power}") if power else 1.0
        yield float(value) * scale, float(doubt) * scale


def test_what_is_written_holds_the_interval_with_as_many_digits_as_its_error():
    found = hessview.summary(measured("density"))
    shown = list(intervals(repr(found)))
    assert len(shown) == 5  # of six: the norm's interval would reach below 0
    told = found.where(found.quantity != "frobenius_norm", drop=True)
    for (value, doubt), one, wanted in zip(
        shown, told.value.values, told.uncertainty.values, strict=True
    ):
        assert value - doubt <= one - wanted + 1e-12 * abs(one)
        assert value + doubt >= one + wanted - 1e-12 * abs(one)
    for value, doubt in re.findall(r"\(?(-?[\d.]+) ± ([\d.]+)", repr(found)):
        decimals = [len(part.partition(".")[2]) for part in (value, doubt)]
        assert decimals[0] == decimals[1]


@pytest.mark.parametrize("columns", [40, 80, 100, 300])
def test_no_line_is_longer_than_the_terminal_and_no_number_is_broken(monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    ds = measured("density")
    found = hessview.summary(ds)
    printed = repr(found)
    assert max(map(len, printed.splitlines()[1:])) <= max(60, min(columns, 110))
    whole = re.sub(r"\s+", " ", printed)
    for basis in found.basis.values:
        assert re.sub(r"\s+", " ", str(basis)) in whole


@pytest.mark.parametrize("name", NAMES)
def test_the_html_says_the_same_and_keeps_every_number_whole(name):
    found = hessview.summary(measured(name))
    text = found._repr_html_()
    cells = re.findall(r'<(?:th|td)[^>]*?style="([^"]*)"[^>]*>(.*?)</t[hd]>', text)
    assert cells
    for style, cell in cells:
        if "nowrap" not in style:
            outside = re.sub(r'<span style="white-space:nowrap">.*?</span>', "", cell)
            outside = html.unescape(outside)
            assert not any(character.isdigit() for character in outside)


def test_names_are_text_in_html_and_cannot_steer_a_terminal():
    hostile = ("<script>x</script>", "\x1b[31mred", "a\nb", "d")
    found = hessview.summary(dataset_of("coupling", names=hostile))
    assert "<script>" not in found._repr_html_()
    assert "&lt;script&gt;" in found._repr_html_()
    assert "\x1b" not in repr(found)
    assert "a?b" in repr(found)


def test_parts_of_a_summary_print_themselves_or_as_xarray_does():
    found = hessview.summary(measured("density"))
    one = found.sel(quantity="largest")
    assert isinstance(one, Summary)
    assert "41.30" in repr(one)
    assert "trace" not in repr(one)
    assert "Data variables" in repr(found[["value"]])
    assert "xr-" in found[["value"]]._repr_html_()


def test_a_cancelled_run_says_so_beside_its_numbers():
    ds = measured("density").assign_attrs(state="failed", error="rank 1 died: its host is gone")
    assert "failed" in repr(hessview.summary(ds))
    assert "rank 1 died" in repr(hessview.summary(ds))
    assert "its host is gone" in hessview.summary(ds)._repr_html_()


def test_a_joined_training_is_summarised_by_training_step():
    runs = [
        measured("density").assign_attrs(training_step=step, run=f"run-{step}") for step in (10, 20)
    ]
    found = hessview.summary(hessview.join_training(runs))
    assert found.sizes["training_step"] == 2
    rows = [line for line in repr(found).splitlines() if re.match(r"(10|20) ", line)]
    assert len(rows) == 2
    assert all(line.count("±") == 3 for line in rows)


def test_of_a_running_sweep_it_says_how_many_settings_are_whole():
    found = hessview.summary(dataset_of("epsilon_sweep", stop=60, end=""))
    assert found.sizes["epsilon"] == 1
    assert "1 of 4 settings have a finished probe" in repr(found)


def test_an_unresolved_error_says_that_it_may_be_the_references():
    found = hessview.summary(dataset_of("accuracy", exact=False))
    assert not found.auto_resolved.all()
    assert repr(found).count("which may be all of it") == int((~found.auto_resolved).sum())


def test_a_withheld_ratio_keeps_its_reason():
    ds = dataset_of("benchmark")
    with warnings.catch_warnings(action="ignore"):
        found = hessview.summary(ds)
    one = found.assign(reason=("work", np.array(["", "withheld: a disturbance"], object)))
    assert "withheld: a disturbance" in repr(one)
    assert math.isfinite(found.ratio[1])


@pytest.mark.parametrize("name", NAMES)
def test_a_summary_from_a_file_prints_itself_again(name, tmp_path):
    found = hessview.summary(measured(name))
    with xr.open_dataset(hessview.to_netcdf(found, tmp_path / "summary.nc")) as opened:
        again = hessview.summary(opened.load())
    assert repr(again) == repr(found)
    assert again.identical(found)


def test_a_measurement_of_another_package_names_its_own_summary(monkeypatch):
    own = dataclasses.replace(
        MEASUREMENTS["density"], command=Weighing, summary="helpers.emulated:summary_from_outside"
    )
    monkeypatch.setitem(MEASUREMENTS._own, "weighing", own)
    ds = xr.Dataset({"weight": ("probe", [1.0, 2.0])}, attrs={"command": "weighing"})
    monkeypatch.setattr(emulated, "summary_from_outside", weighed, raising=False)
    found = hessview.summary(ds)
    assert float(found.value[0]) == 1.5
    assert "weight  1.50 ± 0.50  both probes" in repr(found)
    monkeypatch.setitem(MEASUREMENTS._own, "weighing", dataclasses.replace(own, summary=""))
    assert "2 of 2 measured, from 1 to 2" in repr(hessview.summary(ds))
    assert "2 of 2 measured" in repr(hessview.summary({"a": ds, "b": measured("density")}))


class Weighing(Command):
    name = "weighing"


def weighed(ds):
    names = np.array(["weight"], object)
    return xr.Dataset(
        {
            "value": ("quantity", [float(ds.weight.mean())]),
            "uncertainty": ("quantity", [float(np.ptp(ds.weight.values)) / 2]),
            "basis": ("quantity", np.array(["both probes"], object)),
        },
        {"quantity": names},
        ds.attrs,
    )
