"""One job of two ranks, and kernels that come and go; the last test ends it."""

import json
import os
import shutil
import signal
import time

import numpy as np
import pytest

import hessview
from helpers.shell_job import belongings, measured
from hessview.errors import (
    InputError,
    JobBusyError,
    JobError,
    JobLostError,
    JobNotFoundError,
    RunCancelledError,
    RunDirectoryError,
    RunFailedError,
)

pytestmark = pytest.mark.ranks

LONG = {"steps": 100, "probes": 20}  # a run that no test waits for


@pytest.fixture
def path(shell_job):
    return shell_job.path


def test_two_ranks_find_what_one_process_finds(path):
    from jobs import small

    with hessview.local(small.build()) as session:
        alone = session.density(steps=8, probes=2, seed=5).wait(60)
        job = session.job
    with hessview.attach(path) as session:
        shared = session.density(steps=8, probes=2, seed=5).wait(60)
        assert session.job.world_size == 2
        assert list(session.job.mesh.values()) == [2]  # a mesh without names, of fully_shard
        assert session.job.parameters == job.parameters == small.PARAMETERS
        assert session.job.digest == job.digest
        assert session.job.loss == pytest.approx(job.loss, rel=1e-6)
        assert session.job.weight == job.weight == 64

    assert np.isfinite(alone.alpha).all()
    scale = abs(hessview.ritz(alone).node).max().item()
    np.testing.assert_allclose(shared.alpha, alone.alpha, atol=1e-3 * scale)
    np.testing.assert_allclose(shared.beta, alone.beta, atol=1e-3 * scale)


def test_live_fold_is_replay_is_record(path):
    with hessview.attach(path) as session:
        run = session.density(steps=4, probes=2)
        live = run.wait(60)
    with hessview.attach(path) as session:
        (replayed,) = (one for one in session.runs if one.id == run.id)
        assert replayed.wait(5).identical(live)
        assert replayed.command == run.command
    assert hessview.open_runs(path)[run.id].to_dataset().identical(live)


def test_attaching_and_detaching_leaves_nothing_behind(path):
    hessview.attach(path).detach()  # what torch keeps for good, it makes the first time
    before = belongings()
    for _ in range(5):
        session = hessview.attach(path)
        assert session.state == "attached"
        session.detach()
        assert session.state != "attached"
    assert belongings() == before


def test_run_goes_on_when_its_kernel_detaches(path, until):
    with hessview.attach(path) as session:
        run = session.density(steps=10, probes=1)
        until(lambda: measured(run) >= 1)
    with pytest.raises(JobLostError, match=r"this session is closed; attach again"):
        run.wait()
    with hessview.attach(path) as session:
        (again,) = (one for one in session.runs if one.id == run.id)
        assert measured(again) >= measured(run)
        assert again.wait(60).attrs["state"] == "done"


def test_second_kernel_is_refused_and_may_take_over(path, puppet, until):
    other = puppet("import hessview")
    with hessview.attach(path) as session:
        run = session.density(**LONG)
        with pytest.raises(JobBusyError, match=rf"is held by .*{os.getpid()}.*force=True"):
            other.do(f"hessview.attach({str(path)!r})")
        assert session.state == "attached"

        other.do(f"theirs = hessview.attach({str(path)!r}, force=True)")
        with pytest.raises(JobLostError, match=r"serves this kernel no longer: .*took over"):
            run.wait(10)
        with pytest.raises(JobLostError, match="took over"):
            session.density(steps=2, probes=1)
    assert other.do(f"theirs.runs[-1].id == {run.id!r} and theirs.runs[-1].state") == "running"
    other.do("theirs.runs[-1].cancel()")
    until(lambda: other.do("theirs.runs[-1].state") == "cancelled")
    other.do("theirs.close()")


def test_kernel_killed_without_a_word_is_replaced(path, puppet, within):
    other = puppet("import hessview", f"theirs = hessview.attach({str(path)!r})")
    run = other.do("theirs.density(steps=12, probes=2).id")
    other.kill()

    with within(10, "kernel killed, job had by the next after"):
        session = hessview.attach(path)
    with session:
        (again,) = (one for one in session.runs if one.id == run)
        live = again.wait(60)
    assert np.isfinite(live.alpha).all()
    assert hessview.open_runs(path)[run].to_dataset().identical(live)


def test_interrupt_ends_the_wait_and_not_the_run(path, puppet, until):
    other = puppet("import hessview", f"theirs = hessview.attach({str(path)!r})")
    other.do(f"run = theirs.density(**{LONG})")
    other.do(
        "def wait():\n    try:\n        run.wait()\n    except KeyboardInterrupt:\n"
        "        return time.monotonic()"
    )
    other.start("wait()")
    time.sleep(1.0)
    sent = time.monotonic()
    other.signal(signal.SIGINT)
    assert other.result() - sent < 1.0
    count = other.do("int(run.dataset.alpha.notnull().sum())")
    until(lambda: other.do("int(run.dataset.alpha.notnull().sum())") > count)
    other.do("run.cancel()")
    until(lambda: other.do("run.state") == "cancelled")
    other.do("theirs.close()")


def test_cancel_ends_a_run_soon_and_the_job_takes_the_next(path, until):
    with hessview.attach(path) as session:
        run = session.density(**LONG)
        queued = session.density(steps=2, probes=1)
        until(lambda: measured(run) >= 2)
        began = time.monotonic()
        run.cancel()
        with pytest.raises(RunCancelledError, match=r"was cancelled; \.dataset holds"):
            run.wait(10)
        assert time.monotonic() - began < 3.0
        assert 2 <= measured(run) < run.command.total
        assert queued.wait(30).attrs["state"] == "done"


def test_bad_commands_leave_the_job_as_it_was(path):
    with hessview.attach(path) as session:
        before = len(session.runs)
        for bad in (
            {"steps": 0},
            {"probes": 0},
            {"steps": 213},
            {"epsilon": 0.0},
            {"epsilon": float("nan")},
        ):
            with pytest.raises(InputError):
                session.density(**bad)
        assert len(session.runs) == before
        with pytest.raises(InputError, match=r"'hesian' is unknown \(did you mean 'hessian'\?\)"):
            session.density(steps=2, probes=1, operator="hesian")
        with pytest.raises(InputError, match=r"'0.wieght' matches none of the 4 .* '0.weight'"):
            session.density(steps=2, probes=1, subset="0.wieght")
        assert len(session.runs) == before  # nor has the job recorded anything
        assert session.density(steps=2, probes=1).wait(30).attrs["state"] == "done"


def test_attaching_again_gives_the_session_that_is_there(path):
    """As when a notebook's cells are run again."""
    session = hessview.attach(path)
    run = session.density(**LONG)
    assert hessview.attach(path) is session
    assert hessview.attach(os.path.relpath(path), force=True) is session
    assert run.state in ("queued", "running")
    run.cancel()
    session.close()
    with hessview.attach(path) as anew:
        assert anew is not session
        assert anew.state == "attached"


def test_a_kernel_may_hold_another_job_beside(path, in_jobs, tmp_path):
    with hessview.attach(path) as session:
        with hessview.launch("small:build", run_dir=tmp_path / "run") as other:
            assert other.density(steps=2, probes=1).wait(60).attrs["state"] == "done"
        assert session.density(steps=2, probes=1).wait(30).attrs["state"] == "done"


def test_launching_into_the_directory_of_a_living_job_is_refused(path, until):
    until(lambda: not list(path.glob("claim-*")))  # the job has noticed that the last kernel left
    before = sorted(file.name for file in path.iterdir())
    with pytest.raises(JobError, match="is in use by a living job"):
        hessview.launch("small:build", run_dir=path)
    assert sorted(file.name for file in path.iterdir()) == before
    hessview.attach(path).detach()


def test_directories_without_a_job_to_attach_to(path, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir(mode=0o700)
    (empty / "events.jsonl").touch()
    with pytest.raises(JobNotFoundError, match=r"holds no job .*start one with --run-dir"):
        hessview.attach(empty)

    shutil.copy(path / "job.json", empty)
    job = json.loads((empty / "job.json").read_text())
    (empty / "job.json").write_text(json.dumps({**job, "protocol": 99, "version": "9.9"}))
    with pytest.raises(JobError, match=r"speaks protocol 99 \(hessview 9\.9\).*same hessview"):
        hessview.attach(empty)

    path.chmod(0o750)
    try:
        with pytest.raises(RunDirectoryError, match=r"is open to others \(mode 0750\).*chmod 700"):
            hessview.attach(path)
    finally:
        path.chmod(0o700)


def test_directory_of_another_user_is_refused(path, monkeypatch):
    monkeypatch.setattr("os.getuid", lambda: 12345)
    with pytest.raises(RunDirectoryError, match="belongs to another user"):
        hessview.attach(path)


def test_job_that_ends_says_so_to_who_waits(path, shell_job, until, within):
    """The last one: there is no job after it."""
    with hessview.attach(path) as session:
        run = session.density(**LONG)
        until(lambda: measured(run) >= 1)
        shell_job.rank_0.terminate()
        with (
            within(10, "job asked to stop, told to who waits after"),
            pytest.raises(
                (RunFailedError, RunCancelledError), match=r"\.dataset holds what was measured"
            ),
        ):
            run.wait(20)
        until(lambda: session.lost is not None)
        with pytest.raises(JobLostError, match=r"has ended \(it was asked to stop\); its record"):
            session.density(steps=2, probes=1)
    assert shell_job.process.wait(30) == 0
    with pytest.raises(JobNotFoundError, match=r"has ended \(it was asked to stop\)"):
        hessview.attach(path)
    kept = hessview.open_runs(path)[run.id].to_dataset()
    assert kept.identical(run.dataset)
