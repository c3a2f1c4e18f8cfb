"""What somebody measured stays in reach, whatever lies beside it in the record."""

import json
import os
import socket
import zlib

import numpy as np
import pytest

import hessview
from helpers import every_command
from helpers.emulated import payloads
from hessview.analysis.benchmark import benchmark, format_benchmark
from hessview.analysis.training import trainings
from hessview.errors import RecordError, RecordWarning
from hessview.record import collect as collecting
from hessview.record.collect import Collector, collect
from hessview.record.commands import Accuracy, Coupling, Density, command_to_json
from hessview.record.events import (
    Event,
    JobStarted,
    Reading,
    RunEnded,
    RunQueued,
    RunStarted,
    check_run,
    event_from_json,
    event_to_json,
)
from hessview.record.log import FILENAME, LONGEST_LINE, EventLog, EventReader, read_events


def line(event):
    body = event if isinstance(event, bytes) else json.dumps(event).encode()
    return b'{"crc32": "%08x", "event": ' % zlib.crc32(body) + body + b"}\n"


@pytest.fixture
def events(measure, number, matrix):
    return number(measure(matrix, steps=5, probes=3))


@pytest.fixture
def record(tmp_path, events):
    log = EventLog("job-1", tmp_path / FILENAME)
    for event in events:
        log.append(event.payload, event.run)
    log.close()
    return tmp_path


def append(record, *more):
    with (record / FILENAME).open("ab") as file:
        file.writelines(more)


def queued(command, run="b", seq=100):
    return {
        **{"seq": seq, "time": 1.0, "job": "job-1", "run": run, "kind": "run_queued"},
        "command": command,
    }


@pytest.mark.parametrize(
    "command",
    [
        {"command": "accuracy", "epsilons": [0.1], "top": None},
        {"command": "density", "probes": "many"},
        {"command": "density", "steps": [[[]]]},
        {"command": ["density"]},
        {"command": "telepathy"},
        {},
    ],
)
def test_a_command_that_cannot_be_read_costs_its_run(command, record):
    whole = hessview.open_runs(record)["a"].to_dataset()
    append(record, line(queued(command)))
    with pytest.warns(RecordWarning, match="run 'b' is left out: its command cannot be read"):
        tree = hessview.open_runs(record)
    assert list(tree.children) == ["a"]
    assert tree["a"].to_dataset().identical(whole)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"seq": "4"}, "seq: '4' is not a whole number"),
        ({"seq": True}, "seq: True is not a whole number"),
        ({"time": 1e308}, "time: 1e[+]308 is not a time"),
        ({"time": float("nan")}, "time: nan is not a time"),
        ({"job": []}, r"job: \[\] is not a text"),
        ({"run": None}, "run None is not allowed; use up to 64 letters"),
        ({"run": "../../x"}, "run '../../x' is not allowed"),
        ({"kind": []}, "there is no such kind"),
        ({"index": "x"}, "index: 'x' is not an object"),
        ({"index": {"probe": 0.5}}, "index: 0.5 is not a whole number"),
        ({"values": {"alpha": "x"}}, "values: 'x' is not a finite number"),
        ({"values": {"alpha": True}}, "values: True is not a finite number"),
        ({"values": {"alpha": float("inf")}}, "values: inf is not a finite number"),
        ({"values": [1.0]}, r"values: \[1.0\] is not an object"),
    ],
)
def test_an_event_of_another_form_costs_its_line(change, words, record):
    whole = hessview.open_runs(record)["a"].to_dataset()
    reading = {
        **{"seq": 100, "time": 1.0, "job": "job-1", "run": "a", "kind": "reading"},
        **{"index": {"probe": 0, "step": 0}, "values": {"alpha": 7.0}},
    }
    append(record, line({**reading, **change}))
    lines = len((record / FILENAME).read_bytes().splitlines())
    with pytest.warns(RecordWarning, match=f"line {lines} of .* is left out: .*{words}") as told:
        tree = hessview.open_runs(record)
    assert len(told) == 1
    assert tree["a"].to_dataset().identical(whole)


@pytest.mark.parametrize(
    "body",
    [b"[" * 100_000 + b"]" * 100_000, b"1" + b"0" * 5000, b"5", b'"x"', b"nonsense", b"null"],
)
def test_what_is_no_event_costs_its_line(body, record):
    append(record, line(body))
    with pytest.warns(RecordWarning, match=r"is left out: "):
        assert hessview.open_runs(record)["a"].alpha.notnull().all()


def test_fields_of_a_later_version_are_passed_over(events):
    for event in events[:4]:
        data = {**event_to_json(event), "of_a_later_version": [{}]}
        assert event_to_json(event_from_json(data)) == event_to_json(event)


def test_many_damaged_lines_are_summed_up(record):
    append(record, *[b"x" * 50 + b"\n"] * 1000)
    with pytest.warns(RecordWarning) as told:
        hessview.open_runs(record)
    assert len(told) == 21
    assert str(told[-1].message).startswith("980 more lines of ")


def test_lines_that_were_moved_are_read_in_order(record):
    whole = hessview.open_runs(record)["a"].to_dataset()
    path = record / FILENAME
    lines = path.read_bytes().splitlines(keepends=True)
    np.random.default_rng(0).shuffle(lines)
    path.write_bytes(b"".join([*lines, lines[3]]))
    assert hessview.open_runs(record)["a"].to_dataset().identical(whole)


def test_an_overlong_line_is_passed_over_and_what_follows_is_read(record):
    whole = hessview.open_runs(record)["a"].to_dataset()
    path = record / FILENAME
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:9], b"x" * (LONGEST_LINE + 5) + b"\n", *lines[9:]]))
    with pytest.warns(RecordWarning, match="line 10 of .* is longer than 4,194,304 bytes"):
        found = hessview.open_runs(record)["a"].to_dataset()
    assert found.identical(whole)


def test_a_tail_without_an_end_is_passed_over_and_cut_off_by_the_next_job(record):
    path = record / FILENAME
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.truncate(10 << 30)  # as a power loss may leave it; it takes no space
    with pytest.warns(RecordWarning, match=f"from byte {size:,} on, .* without an end of line"):
        assert hessview.open_runs(record)["a"].alpha.notnull().all()
    with pytest.warns(RecordWarning, match="without an end of line"):
        log = EventLog("job-2", path)
    assert path.stat().st_size == size
    log.close()


def test_a_reader_goes_on_where_an_overlong_line_ends(tmp_path, events):
    path = tmp_path / FILENAME
    path.write_bytes(b"x" * (LONGEST_LINE + 9))
    reader = EventReader(path)
    with pytest.warns(RecordWarning, match="from byte 0 on"):
        assert list(reader.read()) == []
    assert list(reader.read()) == []  # told once
    with path.open("ab") as file:
        file.write(b"y\n" + line(event_to_json(events[0])))
    with pytest.warns(RecordWarning, match="line 1 of .* is longer"):
        (found,) = reader.read()
    assert found == events[0]


@pytest.mark.parametrize("make", ["pipe", "folder", "endless", "socket"])
def test_what_is_no_file_is_refused_at_once(make, record):
    path = record / FILENAME
    path.unlink()
    match make:
        case "pipe":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case "endless":
            path.symlink_to("/dev/zero")
        case "socket":
            with socket.socket(socket.AF_UNIX) as one:
                os.chdir(record)
                one.bind(FILENAME)
    with pytest.raises(
        RecordError, match=r"cannot be read \(it is .*, where a file belongs\); che"
    ):
        hessview.open_runs(record)


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (Reading(index={"probe": 0}, values={"alpha": 1j}), "complex"),
        (Reading(index={"probe": 0}, values={"alpha": "x"}), "not a finite number"),
        (Reading(index={"probe": 0.5}, values={}), "not a whole number"),
        (RunStarted(training_step=2**70, loss=1.0, gradient_norm=1.0), "not a whole number of 64"),
        (RunEnded(state="finished"), "is none of"),
        (
            RunQueued(command={"x": "y" * 60_000, **{str(n): "y" * 60_000 for n in range(80)}}),
            "bytes",
        ),
    ],
)
def test_what_nobody_could_read_is_not_recorded(payload, words, tmp_path):
    log = EventLog("job", tmp_path / FILENAME)
    with pytest.raises(RecordError, match=words):
        log.append(payload, "a")
    assert (tmp_path / FILENAME).read_bytes() == b""
    assert log.append(RunEnded(state="done"), "a").seq == 1
    log.close()


def test_texts_that_no_file_can_hold_are_recorded_as_far_as_they_can_be(tmp_path):
    log = EventLog("job", tmp_path / FILENAME)
    log.append(RunEnded(state="failed", error="\ud800" + "x" * 100_000), "a")
    log.close()
    (event,) = read_events(tmp_path / FILENAME)
    assert event.payload.error == "?" + "x" * 65_535 + "..."


@pytest.mark.parametrize(
    "run", ["", "../../x", "a/b", ".", "..", "-x", "x" * 65, None, 5, "é", "a\n"]
)
def test_identities_that_name_no_run_are_refused(run):
    with pytest.raises(hessview.errors.InputError, match=r"run .* is not allowed; use up to 64"):
        check_run(run)


def test_blocks_lie_in_the_runs_own_events(tmp_path):
    """One flipped bit in the job's line used to lose all its couplings."""
    names = ["embed", "head"]
    log = EventLog("job-1", tmp_path / FILENAME)
    job = next(payloads())
    assert isinstance(job, JobStarted)
    log.append(job)
    log.append(RunQueued(command=command_to_json(Coupling(probes=1)), blocks=names), "c")
    values = {"response_norm": [1.0, 2.0], "epsilon": 0.5}
    log.append(Reading(index={"probe": 0, "column": 1}, values=values), "c")
    log.close()
    whole = hessview.open_runs(tmp_path)["c"].to_dataset()
    assert whole.response_norm.values[0, :, 1].tolist() == [1.0, 2.0]
    data = bytearray((tmp_path / FILENAME).read_bytes())
    data[200] ^= 1
    (tmp_path / FILENAME).write_bytes(data)
    with pytest.warns(RecordWarning, match="line 1 of"):
        found = hessview.open_runs(tmp_path)["c"].to_dataset()
    assert found.drop_attrs().identical(whole.drop_attrs())
    assert list(found.block.values) == names


def large(command, readings):
    payloads = [RunQueued(command=command_to_json(command)), *readings]
    return [
        Event(seq=seq, time=1.0, job="j", run="a", payload=payload)
        for seq, payload in enumerate(payloads, start=1)
    ]


def at(value, **index):
    return Reading(index=index, values={"alpha": value})


def test_a_run_of_any_size_is_held_as_far_as_it_is_measured():
    """A typo in probes was 57 GB in every reader, for ever."""
    command = Density(steps=80, probes=10_000_000)
    collector = collect(large(command, [at(float(p), probe=p, step=1) for p in range(300)]))
    ds = collector.dataset("a")
    assert dict(ds.sizes) == {"probe": 300, "step": 2, "end": 2}
    assert ds.alpha.values[:, 1].tolist() == [float(p) for p in range(300)]
    assert ds.alpha.isnull()[:, 0].all()
    assert ds.attrs["probes"] == 10_000_000
    assert (
        "asks for 800000000 readings, too many to be held before they are there" in ds.attrs["note"]
    )
    assert sum(array.nbytes for array in collector._runs["a"]._arrays.values()) < 1 << 20


def test_a_large_run_grows_to_its_full_form(monkeypatch):
    monkeypatch.setattr(collecting, "NUMBERS_AT_ONCE", 100)
    random, places = np.random.default_rng(0), [(p, s) for p in range(7) for s in range(11)]
    random.shuffle(places)
    readings = [at(float(p * 100 + s), probe=p, step=s) for p, s in places]
    ds = collect(large(Density(steps=11, probes=7), readings)).dataset("a")
    monkeypatch.undo()
    plain = collect(large(Density(steps=11, probes=7), readings)).dataset("a")
    assert ds.identical(plain)
    assert "note" not in ds.attrs


def test_lists_fill_the_dimensions_of_a_large_run(monkeypatch):
    monkeypatch.setattr(collecting, "NUMBERS_AT_ONCE", 10)
    command = Coupling(probes=4, blocks={"x": "x", "y": "y", "z": "z"})
    reading = Reading(
        index={"probe": 1, "column": 2}, values={"response_norm": [1.0, 2.0, 3.0], "epsilon": 4.0}
    )
    ds = collect(large(command, [reading])).dataset("a")
    assert dict(ds.sizes) == {"probe": 2, "block": 3, "column": 3}
    assert ds.response_norm.values[1, :, 2].tolist() == [1.0, 2.0, 3.0]
    assert ds.epsilon.values[1, 2] == 4.0


def test_a_reading_that_no_memory_could_hold_is_left_out():
    collector = collect(large(Density(steps=90_000, probes=90_000), [at(1.0, probe=0, step=0)]))
    with pytest.warns(RecordWarning, match="with it, the run would take more than 33,554,432 num"):
        collector.add(
            Event(seq=9, time=1.0, job="j", run="a", payload=at(1.0, probe=89_999, step=89_999))
        )
    assert dict(collector.dataset("a").sizes) == {"probe": 1, "step": 1, "end": 2}


def test_the_top_direction_is_not_taken_for_a_probe_in_a_run_that_is_cut():
    command = Accuracy(epsilons=(0.1,), probes=10_000_000)
    ds = collect(large(command, [])).dataset("a")
    assert "top" not in ds.direction.values
    assert Accuracy(epsilons=(0.1,), probes=2).total == 6


def test_many_large_runs_are_not_held_before_they_are_measured():
    collector, command = Collector(), command_to_json(Density(steps=100, probes=1000))
    for seq in range(1, 2000):
        run = f"run-{seq}"
        collector.add(
            Event(seq=seq, time=1.0, job="j", run=run, payload=RunQueued(command=command))
        )
    held = sum(array.nbytes for run in collector._runs.values() for array in run._arrays.values())
    assert held <= 8 * (1 << 24) + 2000 * 9 * 8


def test_a_run_that_cannot_be_made_into_a_dataset_costs_itself(record, monkeypatch):
    append(record, line(queued(command_to_json(Density()))))
    original = collecting._provenance

    def fail(run, job):
        if run.command == Density():
            raise MemoryError
        return original(run, job)

    monkeypatch.setattr(collecting, "_provenance", fail)
    with pytest.warns(RecordWarning, match=r"run 'b' is left out: .*cannot be made into a dataset"):
        assert list(hessview.open_runs(record).children) == ["a"]


def test_notes_do_not_stand_for_what_is_known():
    notes = {"command": "telepathy", "state": "x", "run": "y", "mine": "z"}
    started = RunStarted(training_step=None, loss=1.0, gradient_norm=1.0, notes=notes)
    attrs = collect(large(Density(), [started])).dataset("a").attrs
    assert (attrs["command"], attrs["state"], attrs["run"]) == ("density", "running", "a")
    assert attrs["mine"] == "z"


def test_a_benchmark_whose_counts_are_lost_is_told_without_them():
    ds = every_command.dataset_of("benchmark")
    ds.collectives[:] = np.nan
    text = format_benchmark(benchmark(ds))
    assert text.splitlines()[1].split()[-3:] == ["–", "–", "–"]


def test_runs_of_sizes_that_cannot_be_joined_are_no_training(events):
    long, wide = (
        collect(large(Density(steps=steps, probes=probes), [])).dataset("a")
        for steps, probes in ((3000, 1), (1, 3000))
    )
    runs = [long.assign_attrs(training_step=1), wide.assign_attrs(training_step=2)]
    with pytest.raises(
        hessview.errors.InputError, match=r"2 runs of up to 3,000 probes .* too many"
    ):
        hessview.join_training(runs)
    assert trainings(runs) == []
