"""Whatever becomes of a record's bytes: lines that are whole are read, and no other is."""

import warnings
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st

from hessview.errors import RecordError, RecordWarning
from hessview.record.events import JobEnded, Reading, RunEnded
from hessview.record.log import EventLog, read_events

NAMES = st.text(max_size=8)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
PAYLOADS = st.one_of(
    st.builds(
        Reading,
        index=st.dictionaries(NAMES, st.integers(0, 10**9), max_size=2),
        values=st.dictionaries(NAMES, NUMBERS | st.lists(NUMBERS, max_size=3), max_size=3),
    ),
    st.builds(RunEnded, state=st.sampled_from(["done", "failed"]), error=st.text(max_size=20)),
)
BODY = len('{"crc32": "00000000", "event": ')
RECORDS = st.lists(PAYLOADS, min_size=1, max_size=6)


def written(folder, payloads):
    """A record of some payloads: its path, its bytes, its events."""
    path = folder.mktemp("record") / "events.jsonl"
    log = EventLog("job", path)
    with mock.patch("hessview.record.log.time.time", return_value=1.79e9):  # the same bytes again
        for payload in payloads:
            log.append(payload, run="run")
    log.close()
    return path, path.read_bytes(), log.events


def read(path):
    """The events that can be read; none of a record that has none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RecordWarning)
        return read_events(path)


@given(RECORDS, st.data())
@settings(max_examples=60)
def test_of_a_record_that_is_torn_anywhere_whole_lines_are_read_and_the_next_job_goes_on(
    tmp_path_factory, payloads, data
):
    path, record, events = written(tmp_path_factory, payloads)
    left = data.draw(st.integers(0, len(record)))
    path.write_bytes(record[:left])
    whole = events[: record[:left].count(b"\n")]
    assert read(path) == whole
    log = EventLog("next", path)
    log.append(JobEnded(reason="over"))
    log.close()
    assert read(path) == [*whole, log.events[-1]]
    assert log.events[-1].seq == len(whole) + 1


@given(RECORDS, st.data())
@settings(max_examples=150)
def test_a_byte_that_is_changed_costs_the_lines_that_it_touches(tmp_path_factory, payloads, data):
    path, record, events = written(tmp_path_factory, payloads)
    place = data.draw(st.integers(0, len(record) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda byte: byte != record[place]))
    damaged = record[:place] + bytes([byte]) + record[place + 1 :]
    path.write_bytes(damaged)
    touched = record[:place].count(b"\n")
    ends = record[place : place + 1] == b"\n"
    rest = [
        event
        for line, event in enumerate(events)
        if line != touched and not (ends and line == touched + 1)
    ]
    found = read(path)
    column = place - record.rfind(b"\n", 0, place) - 1
    if column >= BODY and record[place : place + 2] != b"}\n":
        assert found == rest
    else:  # what stands around an event may be damaged, and the event be whole
        assert found in (rest, events)


@given(RECORDS, st.lists(st.binary(max_size=60), max_size=4), st.data())
@settings(max_examples=60)
def test_lines_of_others_among_them_change_nothing(tmp_path_factory, payloads, foreign, data):
    path, record, events = written(tmp_path_factory, payloads)
    lines = record.splitlines(keepends=True)
    for one in foreign:
        lines.insert(data.draw(st.integers(0, len(lines))), one.replace(b"\n", b"") + b"\n")
    path.write_bytes(b"".join(lines))
    assert read(path) == events


@given(RECORDS, st.randoms(use_true_random=False))
@settings(max_examples=40)
def test_lines_that_were_moved_are_read_in_their_order(tmp_path_factory, payloads, random):
    path, record, events = written(tmp_path_factory, payloads)
    lines = record.splitlines(keepends=True)
    random.shuffle(lines)
    path.write_bytes(b"".join(lines))
    assert read(path) == events


@given(st.binary(max_size=300))
def test_what_is_no_record_is_empty_or_said(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("record") / "events.jsonl"
    path.write_bytes(content)
    said = ""
    try:
        found = read(path)
    except RecordError as error:
        found, said = [], str(error)
    assert found == []
    assert not said or said.startswith("line ")
