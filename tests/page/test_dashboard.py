"""What a dashboard is made of, and what it is not."""

import zlib

import pytest

from helpers.emulated import events
from hessview.cli import main
from hessview.errors import InputError, RecordError, RunDirectoryError
from hessview.page.dashboard import dashboard
from hessview.record.log import FILENAME, EventLog


def record(folder, happened):
    log = EventLog(happened[0].job, folder / FILENAME)
    for event in happened:
        log.append(event.payload, run=event.run)
    log.close()


def test_a_directory_that_is_none(tmp_path):
    with pytest.raises(RunDirectoryError, match="there is no run directory"):
        dashboard(tmp_path / "none")


def test_an_empty_directory(tmp_path):
    with pytest.raises(RunDirectoryError, match="is no run directory"):
        dashboard(str(tmp_path))


def test_a_record_of_a_newer_version(tmp_path):
    body = '{"type": "teleported", "seq": 1, "time": 1.0, "job": "j", "run": "", "by": 2}'
    line = f'{{"crc32": "{zlib.crc32(body.encode()):08x}", "event": {body}}}\n'
    (tmp_path / FILENAME).write_text(line)
    with pytest.raises((RecordError, InputError), match="another version of hessview"):
        dashboard(tmp_path)


@pytest.mark.parametrize("nothing", [[], 7, None])
def test_what_holds_no_run(nothing):
    with pytest.raises(InputError, match=r"no run"):
        dashboard(nothing)


def test_the_command_says_it_in_one_line(tmp_path, capsys):
    assert main(["dashboard", str(tmp_path), "--no-browser"]) == 1
    assert capsys.readouterr().err.startswith(f"hessview: {tmp_path} is no run directory")


def test_a_run_that_failed_half_way_and_a_torn_end(tmp_path):
    record(tmp_path, events("one", probes=2, steps=20, stop=31, end="failed", error="rank 1 left."))
    with (tmp_path / FILENAME).open("a") as file:
        file.write('{"crc32": "12')
    shown = dashboard(tmp_path)
    section = shown.board.parts["one"]["section"]
    assert section["status"]["state"] == "failed"
    assert section["status"]["message"] == "rank 1 left."
    assert (section["status"]["done"], section["status"]["total"]) == (31, 40)
    assert [len(probe["alpha"]) for probe in section["panels"][0]["probes"]] == [20, 11]
    assert "asking" not in shown.board.head
    shown.close()
