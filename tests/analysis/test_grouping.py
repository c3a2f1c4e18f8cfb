"""Siblings are found by what they measured, and joined to the run that would have measured all."""

import json

import numpy as np
import pytest
import xarray as xr

from helpers.emulated import by_hand
from helpers.every_command import dataset_of
from hessview.analysis.grouping import siblings, unite

PLACES = {"accuracy": ([0, 3, 9], [1, 2], [4, 5, 6, 7, 8, 10]), "epsilon_sweep": ([1, 3], [0, 2])}


def part(whole, places, run, **attrs):
    """The run that would have measured these epsilons only."""
    one = whole.isel(epsilon=places)
    epsilons = json.dumps(one.epsilon.values.tolist())
    return one.assign_attrs(run=run, epsilons=epsilons, **attrs)


@pytest.fixture(scope="module")
def wholes():
    return {name: dataset_of(name) for name in PLACES}


@pytest.mark.parametrize("name", PLACES)
def test_parts_are_joined_to_the_whole(wholes, name):
    whole = wholes[name]
    parts = [part(whole, places, f"run-{n}") for n, places in enumerate(PLACES[name])]
    found = unite(parts)
    xr.testing.assert_equal(found, whole)
    assert {key: found[key].attrs for key in found} == {key: whole[key].attrs for key in whole}
    assert found.epsilon.attrs == whole.epsilon.attrs
    assert found.attrs["epsilons"] == whole.attrs["epsilons"]
    assert json.loads(found.attrs["runs"]) == [f"run-{n}" for n in range(len(parts))]
    assert (found.attrs["state"], found.attrs["run"]) == ("done", "run-0")
    assert [one.sizes["epsilon"] for one in parts] == [len(places) for places in PLACES[name]]


def test_one_run_stays_itself(wholes):
    assert unite([wholes["accuracy"]]) is wholes["accuracy"]


def test_a_spectrum_is_that_of_one_run_never_pieced_together(wholes):
    whole = wholes["epsilon_sweep"]
    cut = part(whole, [0, 1], "cut", state="cancelled").copy(deep=True)
    for name in ("alpha", "beta", "rho", "seconds", "error"):
        cut[name][1, 1, 5:] = np.nan
    again = by_hand(part(whole, [1], "again").copy(deep=True))
    again["alpha"] = again.alpha + 1
    found = unite([cut, again])
    np.testing.assert_array_equal(found.alpha[1], again.alpha[0])
    np.testing.assert_array_equal(found.beta[1], again.beta[0])
    np.testing.assert_array_equal(found.alpha[0], whole.alpha[0])
    assert found.attrs["state"] == "done"  # all that was cancelled is measured now


def test_steps_that_differ_by_how_they_were_typed_are_one(wholes):
    one = by_hand(part(wholes["accuracy"], [4, 5], "a"))
    other = one.isel(epsilon=[1]).assign_coords(epsilon=[float(one.epsilon[1]) * (1 + 1e-15)])
    assert other.epsilon.values[0] != one.epsilon.values[1]
    np.testing.assert_array_equal(unite([one, other]).epsilon, one.epsilon)


@pytest.mark.parametrize(
    ("states", "state", "run"),
    [
        (["done", "running", "queued"], "running", "1"),
        (["done", "queued", "done"], "queued", "1"),
        (["done", "failed", "done"], "failed", "1"),
        (["cancelled", "done", "failed"], "failed", "2"),
        (["done", "detached", "done"], "detached", "1"),
        (["done", "done", "done"], "done", "0"),
    ],
)
def test_the_state_is_that_of_the_run_that_matters(wholes, states, state, run):
    parts = [
        part(wholes["accuracy"], places, str(n), state=word, error=f"error {n}")
        for n, (places, word) in enumerate(zip(PLACES["accuracy"], states, strict=True))
    ]
    for one, word in zip(parts, states, strict=True):
        if word != "done":
            one["relative_error"] = one.relative_error * np.nan
    found = unite(parts)
    assert (found.attrs["state"], found.attrs["run"]) == (state, run)
    assert found.attrs["error"] == f"error {run}"


def test_values_that_every_run_measures_are_the_first_that_is_known(wholes):
    waiting = part(wholes["accuracy"], [0, 1], "a").copy(deep=True)
    waiting["auto_epsilon"][1:] = np.nan
    found = unite([waiting, part(wholes["accuracy"], [2], "b")])
    np.testing.assert_array_equal(found.auto_epsilon, wholes["accuracy"].auto_epsilon)


def test_runs_that_differ_in_their_steps_only_are_siblings(wholes):
    accuracy, sweep = wholes["accuracy"], wholes["epsilon_sweep"]
    runs = [part(accuracy, [0], "a"), part(sweep, [0], "b"), part(accuracy, [1], "c")]
    runs += [part(sweep, [2], "d"), dataset_of("coupling"), dataset_of("coupling")]
    grouped = [[one.attrs["run"] for one in group] for group in siblings(runs)]
    assert grouped == [["a", "c"], ["b", "d"], ["coupling-1"], ["coupling-1"]]


@pytest.mark.parametrize(
    "other",
    [
        {"seed": 1},
        {"probes": 5},
        {"operator": "fisher"},
        {"subset": '["*attn*"]'},
        {"reference": "exact"},
        {"training_step": 200},
        {"loss": 2.8741},
        {"digest": "another"},
        {"model": "another"},
    ],
)
def test_runs_that_differ_in_more_are_not(wholes, other):
    runs = [part(wholes["accuracy"], [0], "a"), part(wholes["accuracy"], [1], "b", **other)]
    assert [len(group) for group in siblings(runs)] == [1, 1]


def test_a_rounded_loss_does_not_part_siblings(wholes):
    nearly = part(wholes["accuracy"], [1], "b", loss=2.874 * (1 + 1e-9))
    assert len(siblings([wholes["accuracy"], nearly])) == 1


def test_a_queued_run_belongs_to_its_jobs_runs(wholes):
    queued = part(wholes["accuracy"], [1], "b", state="queued", loss=3.1)
    del queued.attrs["started"]
    assert len(siblings([wholes["accuracy"], queued])) == 1
    assert len(siblings([wholes["accuracy"], queued.assign_attrs(job="another")])) == 2
