import json
import threading

import pytest
import xarray as xr

from hessview._version import __version__
from hessview.errors import RecordError, RecordWarning
from hessview.record.collect import Collector, collect
from hessview.record.commands import Density, command_to_json
from hessview.record.events import (
    Event,
    JobEnded,
    JobStarted,
    Reading,
    RunEnded,
    RunQueued,
    RunStarted,
)
from hessview.record.log import FILENAME, EventLog, read_events
from hessview.record.measurements import command_from_json
from hessview.record.schema import DENSITY


@pytest.fixture
def events(measure, number, matrix):
    return number(measure(matrix, steps=5, probes=3))


def test_every_reading_lands_at_its_labels(events):
    ds = collect(events).dataset("a")
    for reading in (event.payload for event in events if isinstance(event.payload, Reading)):
        place = ds.sel(probe=reading.index["probe"], step=reading.index["step"] + 1)
        for name, value in reading.values.items():
            assert place[name].item() == value
    assert ds.alpha.notnull().all()


def test_what_is_not_measured_is_nan_from_the_start(events):
    collector = Collector()
    collector.add(events[0])
    collector.add(events[1])
    ds = collector.dataset("a")
    assert dict(ds.sizes) == {"probe": 3, "step": 5, "end": 2}
    assert all(ds[name].isnull().all() for name in DENSITY.variables)
    assert collector.state("a") == "queued"
    for event in events[2:4]:
        collector.add(event)
    assert int(collector.dataset("a").alpha.notnull().sum()) == 1
    assert collector.state("a") == "running"


def test_live_fold_equals_replay_from_disk(tmp_path, events):
    log = EventLog("job-1", tmp_path / FILENAME)
    live = Collector()
    snapshots = []
    for event in events:
        live.add(log.append(event.payload, event.run))
        if "a" in live.runs:
            snapshots.append(live.dataset("a"))
    log.close()
    replay = collect(read_events(tmp_path / FILENAME))
    assert replay.runs == live.runs == ["a"]
    assert replay.job == live.job
    assert replay.command("a") == live.command("a")
    assert replay.state("a") == live.state("a") == "done"
    xr.testing.assert_identical(replay.dataset("a"), live.dataset("a"))
    # A snapshot is not touched by later events.
    assert [int(ds.alpha.notnull().sum()) for ds in snapshots] == [0, 0, *range(1, 16), 15]


def test_overlapping_replay_changes_nothing(events):
    collector = collect(events)
    before = collector.dataset("a")
    for event in events[:5]:
        collector.add(event)
        xr.testing.assert_identical(collector.dataset("a"), before)


def test_a_run_asked_for_twice_counts_once(events):
    collector = collect(events)
    before = collector.dataset("a")
    collector.add(Event(seq=1, time=2e9, job="job-2", run="a", payload=events[1].payload))
    xr.testing.assert_identical(collector.dataset("a"), before)


def test_everything_has_units_and_a_long_name(events):
    ds = collect(events).dataset("a")
    for name in ds.variables:
        assert ds[name].attrs["units"]
        assert ds[name].attrs["long_name"]


def test_provenance_is_complete_and_plain(events):
    attrs = collect(events).dataset("a").attrs
    marks = json.loads(attrs.pop("fingerprints"))
    ds = collect(events).dataset("a")
    measured = {name: int(one.notnull().sum()) for name, one in ds.data_vars.items()}
    assert {name: one[0] for name, one in marks.items()} == {k: n for k, n in measured.items() if n}
    asked = command_from_json(json.loads(attrs.pop("asked")))
    assert asked == Density(steps=5, probes=3, seed=0, error_every=5)
    assert {key: attrs[key] for key in sorted(attrs)} == {
        "batches": 4,
        "blocks": '{"layer": 60}',
        "command": "density",
        "compute_dtype": "bfloat16",
        "device": "cpu",
        "digest": "9f2c",
        "dtype": "float32",
        "epsilon": "auto",
        "epsilon_convention": "step along a unit-norm vector",
        "fingerprints_count_in": "float32",
        "error": "",
        "error_every": 5,
        "gradient_norm": 0.75,  # of the run, not of the job's start
        "hessview_version": __version__,
        "host": "node",
        "job": "job-1",
        "job_seed": 7,
        "loss": 2.25,
        "mesh": '{"shard": 2}',
        "model": "org/model <b>é</b>",
        "operator": "hessian",
        "parameters": 60,  # of the job; the run is not restricted
        "probes": 3,
        "quantity": "trace",
        "reorthogonalize": "full",
        "revision": "",
        "run": "a",
        "seed": 0,
        "started": "2026-09-21T14:13:23+00:00",
        "state": "done",
        "steps": 5,
        "subset": '["*"]',
        "tau": 4.9e-3,
        "training_step": 300,
        "versions": '{"hessview": "0.1.0", "torch": "2.13.0"}',
        "weight": 4096.0,
        "weight_unit": "tokens",
        "world_size": 2,
    }
    json.dumps(attrs, allow_nan=False)


def test_what_is_unknown_is_absent_from_the_provenance(number):
    queued = RunQueued(command=command_to_json(Density(seed=2**70)))
    started = RunStarted(training_step=None, loss=float("nan"), gradient_norm=1.0)
    attrs = collect(number([("a", queued), ("a", started)])).dataset("a").attrs
    assert "training_step" not in attrs
    assert "loss" not in attrs
    assert "model" not in attrs
    assert attrs["gradient_norm"] == 1.0
    assert attrs["seed"] == str(2**70)  # more than the 64 bits of netCDF


@pytest.mark.parametrize("state", ["cancelled", "failed"])
def test_an_early_end_keeps_what_was_measured(state, measure, number, matrix):
    payloads = measure(matrix, steps=5, probes=3, stop=7, end=state, error="rank 1 said no")
    collector = collect(number(payloads))
    assert collector.state("a") == state
    assert collector.error("a") == "rank 1 said no"
    ds = collector.dataset("a")
    assert (ds.attrs["state"], ds.attrs["error"]) == (state, "rank 1 said no")
    assert int(ds.alpha.notnull().sum()) == 7


def test_a_run_does_not_outlive_its_job(measure, number, matrix):
    payloads = [*measure(matrix, steps=5, probes=1, stop=2, end="")]
    collector = collect(number([*payloads, ("", JobEnded(reason="time limit"))]))
    assert collector.state("a") == "failed"
    assert collector.error("a") == (
        "the job ended: time limit; what was measured until then is kept: ask again for the rest."
    )


def test_a_restarted_job_ends_the_old_runs_and_may_resume_them(measure, number, matrix):
    payloads = [*measure(matrix, steps=5, probes=1, stop=2, end="")]
    collector = collect(number(payloads))
    collector.add(Event(seq=1, time=2e9, job="job-2", run="", payload=payloads[0][1]))
    assert collector.state("a") == "failed"
    assert collector.error("a").startswith("another job took the record over; what was measured")
    collector.add(Event(seq=2, time=2e9, job="job-2", run="a", payload=payloads[2][1]))
    assert (collector.state("a"), collector.error("a")) == ("running", "")
    ds = collector.dataset("a")
    assert ds.attrs["job"] == "job-2"
    assert int(ds.alpha.notnull().sum()) == 2


def test_an_ended_run_keeps_its_state_when_the_job_ends(events):
    collector = collect(events)
    collector.add(Event(seq=99, time=2e9, job="job-1", run="", payload=JobEnded(reason="over")))
    assert (collector.state("a"), collector.error("a")) == ("done", "")


@pytest.mark.parametrize(
    "index",
    [
        {"probe": 3, "step": 0},
        {"probe": 0, "step": 5},
        {"probe": -1, "step": 0},
        {"probe": 0, "step": 0, "epsilon": 1},
    ],
)
def test_a_reading_outside_the_command_is_left_out(index, events):
    collector = collect(events[:3])
    before = collector.dataset("a")
    reading = Reading(index=index, values={"alpha": 1.0})
    with pytest.warns(RecordWarning, match=r"run 'a' at .* is left out: outside \{'probe': 3"):
        collector.add(Event(seq=9, time=0.0, job="job-1", run="a", payload=reading))
    xr.testing.assert_identical(collector.dataset("a"), before)


def test_a_reading_of_another_shape_is_left_out(events):
    collector = collect(events[:3])
    before = collector.dataset("a")
    for value in (1.0, [1.0, 2.0]):
        reading = Reading(index={"probe": 0}, values={"alpha": value})
        with pytest.warns(RecordWarning, match=r"'alpha' of run 'a' at .* does not fit"):
            collector.add(Event(seq=9, time=0.0, job=f"job-{value}", run="a", payload=reading))
    xr.testing.assert_identical(collector.dataset("a"), before)


def test_a_list_fills_the_dimensions_that_the_index_lacks(events):
    collector = collect(events[:3])
    reading = Reading(index={"probe": 1}, values={"alpha": [1.0, 2.0, 3.0, 4.0, 5.0]})
    collector.add(Event(seq=9, time=0.0, job="job-1", run="a", payload=reading))
    assert collector.dataset("a").alpha.sel(probe=1).values.tolist() == [1.0, 2.0, 3.0, 4.0, 5.0]


def test_a_variable_outside_the_schema_is_left_out(events):
    collector = collect(events[:3])
    reading = Reading(index={"probe": 0, "step": 0}, values={"alpha": 1.0, "gamma": 2.0})
    with pytest.warns(RecordWarning, match="variable 'gamma' of run 'a' is left out"):
        collector.add(Event(seq=9, time=0.0, job="job-1", run="a", payload=reading))
    ds = collector.dataset("a")
    assert ds.alpha.values[0, 0] == 1.0
    assert "gamma" not in ds


@pytest.mark.parametrize(
    "payload",
    [
        Reading(index={"probe": 0, "step": 0}, values={"alpha": 1.0}),
        RunStarted(training_step=None, loss=1.0, gradient_norm=1.0),
        RunEnded(state="done"),
    ],
)
def test_events_of_an_unknown_run_are_left_out(payload):
    collector = Collector()
    with pytest.warns(RecordWarning, match="run 'lost' are left out: the record lacks its command"):
        collector.add(Event(seq=1, time=0.0, job="j", run="lost", payload=payload))
    assert collector.runs == []


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ({"command": "telepathy"}, "command 'telepathy' is unknown"),
        ({"command": "density", "steps": 0}, "steps=0 is not allowed"),
    ],
)
def test_a_command_that_cannot_be_read_is_left_out(command, message):
    collector = Collector()
    queued = RunQueued(command=command)
    with pytest.warns(RecordWarning, match=f"run 'a' is left out: .*{message}"):
        collector.add(Event(seq=1, time=0.0, job="j", run="a", payload=queued))
    assert collector.runs == []


@pytest.mark.parametrize("ask", ["dataset", "state", "error", "command"])
def test_asking_for_no_such_run_names_those_there_are(ask, events):
    with pytest.raises(RecordError, match=r"run 'b' is not in the record; its runs are \['a'\]"):
        getattr(collect(events), ask)("b")


def test_a_dataset_asked_for_amid_a_reading_holds_the_whole_of_it(events):
    collector = collect(events[:3])
    answers = []
    asking = threading.Thread(target=lambda: answers.append(collector.dataset("a")))

    class Slow(dict):
        def items(self):
            yield "alpha", 1.0
            asking.start()
            asking.join(timeout=0.1)  # time enough to be answered, if nothing forbids it
            yield "beta", 2.0

    reading = Reading(index={"probe": 0, "step": 0}, values=Slow())
    collector.add(Event(seq=9, time=0.0, job="job-1", run="a", payload=reading))
    asking.join()
    assert (answers[0].alpha.values[0, 0], answers[0].beta.values[0, 0]) == (1.0, 2.0)


def test_the_latest_job_speaks_for_the_record(events):
    assert Collector().job is None
    assert isinstance(collect(events).job, JobStarted)
