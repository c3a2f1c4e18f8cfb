"""Records that earlier versions wrote stay readable, number by number.

`tests/records/VERSION/events.jsonl` is what that version's job of two ranks left: one small run
of each command, a run of another operator on a subset, and one that failed. The numbers are
taken from its lines by `json` alone, so that nothing of today's readers is believed.
"""

import json
from collections import defaultdict

import numpy as np
import pytest

import hessview
from helpers.folders import TESTS
from hessview.record.measurements import MEASUREMENTS
from hessview.views import figure_of

RECORDS = sorted((TESTS / "records").iterdir())
COMMANDS = {
    "density",
    "accuracy",
    "epsilon_sweep",
    "fraction_sweep",
    "coupling",
    "benchmark",
}


def events(folder):
    lines = (folder / "events.jsonl").read_text().splitlines()
    return [json.loads(line)["event"] for line in lines]


@pytest.fixture(params=RECORDS, ids=lambda folder: folder.name)
def record(request):
    return request.param


@pytest.fixture
def tree(record):
    return hessview.open_runs(record)


def datasets(tree):
    return {node.name: node.to_dataset() for node in tree.leaves}


def test_every_command_is_there(record, tree):
    queued = {e["run"]: e["command"] for e in events(record) if e["kind"] == "run_queued"}
    found = datasets(tree)
    assert set(found) == set(queued)
    assert {command["command"] for command in queued.values()} == COMMANDS
    for run, command in queued.items():
        assert found[run].attrs["command"] == command["command"]
        assert found[run].attrs["seed"] == command["seed"]


def test_every_number_is_where_it_was_measured(record, tree):
    found, compared = datasets(tree), 0
    for event in events(record):
        if event["kind"] != "reading":
            continue
        ds = found[event["run"]]
        for name, value in event["values"].items():
            where = {dim: at for dim, at in event["index"].items() if dim in ds[name].dims}
            expected = np.array(value, dtype=float)  # None is what was not measured
            np.testing.assert_array_equal(ds[name].isel(where).values, expected)
            compared += expected.size
    assert compared > 400


def test_states_and_reasons_are_told(record, tree):
    found, ended = datasets(tree), defaultdict(str)
    for event in events(record):
        if event["kind"] == "run_ended":
            ended[event["run"]] = event["state"]
            assert found[event["run"]].attrs["state"] == event["state"]
            assert event["error"] in found[event["run"]].attrs.get("error", "")
    assert sorted(set(ended.values())) == ["done", "failed"]


def test_every_view_draws_them(tree):
    drawn = set()
    for ds in datasets(tree).values():
        if ds.attrs["state"] == "done" and MEASUREMENTS[ds.attrs["command"]].view:
            figure = figure_of(ds)
            assert figure.data
            drawn.add(ds.attrs["command"])
    assert drawn == COMMANDS - {"benchmark"}  # a table only


def test_they_make_a_report(record, tree, tmp_path):
    file = hessview.report(tree, tmp_path / "report.html")
    assert "small" in file.read_text()
