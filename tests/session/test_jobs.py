"""The list of jobs."""

import os
import signal

import pytest

import hessview
from helpers.folders import JOBS
from hessview.cli import main
from hessview.errors import RunDirectoryError
from hessview.session.jobs import format_jobs, jobs
from jobs import small


def by_name(folder):
    return {entry.path.name: entry for entry in jobs(folder)}


def test_states_of_jobs_and_who_is_attached(tmp_path, puppet, until):
    with hessview.local(small.build(), run_dir=tmp_path / "over") as session:
        session.density(steps=2, probes=1).wait(60)
    job = puppet(f"import sys, hessview; sys.path.append({str(JOBS)!r}); import small")
    job.do(f"job = hessview.serve(small.slow(), {str(tmp_path / 'deep' / 'served')!r}); job.poll()")
    assert by_name(tmp_path)["served"].state == "idle"
    assert by_name(tmp_path)["served"].attached == ""

    with hessview.attach(tmp_path / "deep" / "served") as session:
        held = by_name(tmp_path)["served"]
        assert f"pid {os.getpid()} on " in held.attached
        assert "since" in held.attached
        session.density(steps=2, probes=1)
        queued = by_name(tmp_path)["served"]
        assert (queued.state, queued.runs, queued.model, queued.ranks) == (
            "measuring",
            1,
            "small",
            1,
        )
        job.do("job.poll()")
        assert by_name(tmp_path)["served"].state == "idle"
    assert list(by_name(tmp_path)) == ["served", "over"]  # the latest first

    pid = job.do("__import__('os').getpid()")
    os.kill(pid, signal.SIGSTOP)
    until(lambda: by_name(tmp_path)["served"].state == "stopped")
    os.kill(pid, signal.SIGCONT)
    job.kill()
    until(lambda: by_name(tmp_path)["served"].state == "dead")
    assert "is no longer alive" in by_name(tmp_path)["served"].reason
    over = by_name(tmp_path)["over"]
    assert (over.state, over.runs) == ("ended", 1)


def test_records_that_cannot_be_read_are_listed_as_such(tmp_path, capsys):
    with hessview.local(small.build(), run_dir=tmp_path / "run"):
        pass
    text = (tmp_path / "run" / "events.jsonl").read_text()
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "events.jsonl").write_text(text)
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / "events.jsonl").write_text(text[: len(text) // 3])
    found = by_name(tmp_path)
    assert (found["copy"].state, found["copy"].reason) == ("ended", "a record without a job")
    assert (found["torn"].model, found["torn"].runs) == ("", 0)
    assert main(["jobs", str(tmp_path)]) == 0
    table = capsys.readouterr().out.splitlines()
    assert len(table) == 4
    assert table[0].split()[:4] == ["run", "directory", "state", "model"]


def test_names_cannot_steer_the_terminal(tmp_path):
    objective = small.build()
    object.__setattr__(objective, "name", "evil\x1b[2Jname\n")
    with hessview.local(objective, run_dir=tmp_path / "run"):
        pass
    table = format_jobs(jobs(tmp_path))
    assert "\x1b" not in table
    assert len(table.splitlines()) == 2


def test_folder_that_is_not_there(tmp_path, capsys):
    with pytest.raises(RunDirectoryError, match="is not a folder"):
        jobs(tmp_path / "nowhere")
    assert main(["jobs", str(tmp_path)]) == 0
    assert "no run directory under" in capsys.readouterr().out
