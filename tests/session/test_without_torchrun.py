"""A torchrun that dies: its ranks live on without their store, and say so in words."""

import os
import signal
import subprocess
import sys
import threading
import time

import psutil
import pytest

import hessview
from helpers.folders import JOBS
from helpers.shell_job import measured, processes_of, ranks_of
from hessview.errors import HessviewError, JobLostError
from hessview.record.events import JobEnded
from hessview.record.log import read_events

pytestmark = [pytest.mark.ranks, pytest.mark.usefixtures("in_jobs")]

CURE = r"torchrun is gone.*start the job again"


@pytest.fixture
def launched(tmp_path):
    session = hessview.launch("small:slow", ranks=2, run_dir=tmp_path / "run")
    ranks = ranks_of(tmp_path / "run")
    yield session, ranks
    for rank in ranks:
        if rank.is_running():
            rank.send_signal(signal.SIGCONT)
            rank.kill()
    session.close()
    assert processes_of(tmp_path / "run") == []


def kill_torchrun(rank):
    rank.parent().kill()


def reasons(path):
    events = read_events(path / "events.jsonl")
    return [event.payload.reason for event in events if isinstance(event.payload, JobEnded)]


@pytest.mark.parametrize("waits", [0.0, 2.5], ids=["before rank 0 asks for it", "after"])
def test_while_a_poll_runs(launched, tmp_path, until, waits):
    """Rank 0 waits for rank 1 in a poll, and looks into the store after a second."""
    session, (_, rank_1) = launched
    rank_1.suspend()
    time.sleep(waits)
    kill_torchrun(rank_1)
    time.sleep(2.5)
    assert session.lost is None or "torchrun is gone" in str(session.lost)
    rank_1.resume()
    until(lambda: session.lost is not None)
    with pytest.raises(JobLostError, match=CURE):
        session.density(steps=2, probes=1)
    until(lambda: processes_of(tmp_path / "run") == [])
    assert "Dist" not in "".join(map(str, [session.lost, *reasons(tmp_path / "run")]))


def test_while_ranks_never_come(launched, tmp_path, until):
    """Nobody would end rank 0, which waits without limit as long as a torchrun would."""
    session, (rank_0, rank_1) = launched
    rank_1.suspend()
    kill_torchrun(rank_1)
    until(lambda: not rank_0.is_running() or rank_0.status() == psutil.STATUS_ZOMBIE, timeout=60)
    assert "torchrun is gone" in str(session.lost)


@pytest.mark.parametrize("stopped", [0, 1])
def test_while_a_call_runs(launched, tmp_path, until, stopped):
    """The kernel's call is under way while torchrun dies: it is answered, or refused in words."""
    session, ranks = launched
    ranks[stopped].suspend()
    found = []

    def call():
        try:
            found.append(session.density(steps=100, probes=20))
        except HessviewError as error:
            found.append(error)

    caller = threading.Thread(target=call)
    caller.start()
    time.sleep(0.5)
    kill_torchrun(ranks[0])
    time.sleep(1.5)
    ranks[stopped].resume()
    caller.join(30)
    (one,) = found
    until(lambda: session.lost is not None)
    if isinstance(one, HessviewError):
        assert "torchrun is gone" in str(one)
    else:
        until(lambda: one.state in ("failed", "cancelled"))
    assert "torchrun is gone" in str(session.lost)
    until(lambda: processes_of(tmp_path / "run") == [])


def test_while_a_run_goes_on(launched, tmp_path, until):
    session, ranks = launched
    run = session.density(steps=100, probes=20)
    until(lambda: measured(run) >= 2)
    kill_torchrun(ranks[0])
    until(lambda: session.lost is not None)
    assert "torchrun is gone" in str(session.lost)
    until(lambda: processes_of(tmp_path / "run") == [])
    (reason,) = reasons(tmp_path / "run")
    assert reason.endswith("torchrun is gone")


def test_a_training_goes_on(tmp_path, until):
    """It does not need the store, though rank 1 comes late to each poll."""
    weights = []
    for dies in ("never", "at step 2"):
        folder = tmp_path / dies
        folder.mkdir()
        torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
        script = [str(JOBS / "orphaned.py"), str(folder / "run"), str(folder / "out"), dies]
        with (folder / "errors").open("w") as errors:
            process = subprocess.Popen(
                [*torchrun, "--nproc-per-node", "2", *script],
                stdout=errors,
                stderr=errors,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
            )
            assert process.wait(120) == (0 if dies == "never" else -signal.SIGKILL)
        until((folder / "out").exists, timeout=60)
        weights.append((folder / "out").read_text())
        runs = hessview.open_runs(folder / "run").children.values()
        assert [run.attrs["state"] for run in runs] == ["done", "done"]
        until(lambda path=folder / "run": processes_of(path) == [])
    assert weights[0] == weights[1]
