"""Sessions that only watch."""

import shutil
import subprocess
import sys

import pytest

import hessview
from helpers.folders import JOBS
from hessview.errors import JobError, JobLostError, JobNotFoundError
from jobs import small


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run"


def test_watchers_see_what_the_asking_session_sees(path, until):
    with hessview.local(small.build(), run_dir=path) as session:
        session.density(steps=3, probes=1).wait(60)
        with hessview.watch(path) as first, hessview.watch(path) as second:
            assert first.state == second.state == "watching"
            assert first.job == session.job
            run = session.density(steps=4, probes=2)  # asked for after they came
            until(lambda: len(first.runs) == len(second.runs) == 2)
            for watcher in (first, second):
                assert watcher.runs[1].wait(60).identical(run.wait(60))
            with pytest.raises(
                JobError, match=r"only watches, and cannot ask for a run; use .*attach\("
            ):
                first.density(steps=3)
            with pytest.raises(JobError, match="cannot cancel a run"):
                first.runs[1].cancel()
        assert session.density(steps=3, probes=1).wait(60).attrs["state"] == "done"


def test_watcher_is_told_that_the_job_ended_and_keeps_what_it_has(path, until):
    with hessview.local(small.build(), run_dir=path) as session:
        watcher = hessview.watch(path)
        session.density(steps=3, probes=1).wait(60)
        until(lambda: watcher.runs and watcher.runs[0].state == "done")
    until(lambda: watcher.lost is not None)
    assert "the job has ended" in watcher.state
    assert watcher.runs[0].dataset.alpha.notnull().all()


def test_job_that_is_killed_is_told_by_its_process(path, puppet, until):
    at_jobs = f"import sys, hessview; sys.path.append({str(JOBS)!r}); import small"
    job = puppet(at_jobs, f"session = hessview.local(small.slow(), run_dir={str(path)!r})")
    job.do("run = session.density(steps=100, probes=20)")
    with hessview.watch(path) as watcher:
        until(lambda: watcher.runs and watcher.runs[0].dataset.alpha.notnull().any())
        job.kill()
        until(lambda: watcher.lost is not None, 5)
        assert "is no longer alive" in watcher.state
        with pytest.raises(JobLostError):
            watcher.runs[0].wait(5)


def test_copied_record_can_be_watched_without_torch(path, tmp_path):
    with hessview.local(small.build(), run_dir=path) as session:
        session.density(steps=3, probes=1).wait(60)
    copy = tmp_path / "copy"
    copy.mkdir()  # open to others, as no job's own directory may be
    shutil.copy(path / "events.jsonl", copy)
    code = (
        f"import sys, hessview; session = hessview.watch({str(copy)!r}); "
        "print(len(session.runs), session.runs[0].state, 'torch' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.split() == ["1", "done", "False"]


def test_places_where_there_is_nothing_to_watch(tmp_path):
    (tmp_path / "job.json").touch()
    with pytest.raises(JobNotFoundError, match=r"holds no record \(events\.jsonl\)"):
        hessview.watch(tmp_path)
