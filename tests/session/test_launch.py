import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import hessview
from helpers.shell_job import belongings, measured, processes_of, ranks_of
from hessview.errors import (
    InputError,
    JobError,
    JobLostError,
    ObjectiveError,
    RunDirectoryError,
    RunFailedError,
)

pytestmark = [pytest.mark.ranks, pytest.mark.usefixtures("in_jobs")]

LONG = {"steps": 100, "probes": 20}


def test_launched_job_ends_with_its_session_and_leaves_nothing(tmp_path, until):
    with hessview.launch("small:build", ranks=2, run_dir=tmp_path / "first"):
        pass  # what torch starts once and keeps is not a leak
    before = belongings()
    with hessview.launch("small:build", ranks=2, run_dir=tmp_path / "run") as session:
        first = session.density(steps=3, probes=1).wait(60)
        assert session.job.world_size == 2
        assert len(ranks_of(tmp_path / "run")) == 2
        assert "hessview: ready" in (tmp_path / "run" / "job.log").read_text()
    assert processes_of(tmp_path / "run") == []
    after = belongings()
    # Torch keeps an event file of its own for good once its RPC layer was used.
    for name in ("processes", "threads"):
        assert after[name] == before[name]

    with pytest.raises(JobLostError, match=r"has ended \(it was asked to stop\)"):
        session.density(steps=3, probes=1)
    assert np.isfinite(first.alpha).all()

    # Now that torch has what it keeps: nothing at all, also after a run cut off.
    before = belongings()
    session = hessview.launch("small:slow", ranks=1, run_dir=tmp_path / "run")
    run = session.density(**LONG)
    until(lambda: measured(run) >= 1)
    session.close()
    session.close()  # twice is allowed
    assert processes_of(tmp_path / "run") == []
    assert belongings() == before
    assert run.state in ("cancelled", "failed")
    assert [one.id for one in session.runs][1] == run.id  # the first job's record was kept
    assert hessview.open_runs(tmp_path / "run")[run.id].to_dataset().identical(run.dataset)


@pytest.mark.parametrize("rank", [0, 1])
def test_killed_rank_is_named(tmp_path, until, within, rank):
    session = hessview.launch("small:slow", ranks=2, run_dir=tmp_path / "run")
    try:
        run = session.density(**LONG)
        until(lambda: measured(run) >= 1)
        ranks_of(tmp_path / "run")[rank].kill()
        with (
            within(10, f"rank {rank} killed, told to who waits after"),
            pytest.raises(
                (JobLostError, RunFailedError), match=rf"rank {rank} .*was killed without a word"
            ),
        ):
            run.wait(20)
        assert measured(run) >= 1
        until(lambda: session.lost is not None)
        with pytest.raises(JobLostError, match=rf"rank {rank} .*was killed without a word"):
            session.density(steps=2, probes=1)
    finally:
        session.close()
    assert processes_of(tmp_path / "run") == []
    kept = hessview.open_runs(tmp_path / "run")[run.id].to_dataset()
    assert kept.alpha.identical(run.dataset.alpha)


def test_rank_whose_loss_raises_is_named_with_its_error(tmp_path, until, within):
    why = "rank 1 failed: ZeroDivisionError: the third coffee of rank 1"
    with hessview.launch("small:fails_on_rank_1", ranks=2, run_dir=tmp_path / "run") as session:
        run = session.density(**LONG)
        with pytest.raises((JobLostError, RunFailedError), match=why):
            run.wait(30)
        with within(10, "loss raises on rank 1, session lost after"):
            until(lambda: session.lost is not None)
        with pytest.raises(JobLostError, match=why):
            session.density(steps=2, probes=1)
        assert measured(run) >= 1
    assert processes_of(tmp_path / "run") == []
    kept = hessview.open_runs(tmp_path / "run")[run.id].to_dataset()
    assert (kept.attrs["state"], kept.attrs["error"]) == ("failed", why)
    assert kept.alpha.notnull().sum() == measured(run)


def test_job_dies_with_the_process_that_launched_it(tmp_path, puppet, until):
    path = tmp_path / "run"
    other = puppet("import hessview", f"os.chdir({os.getcwd()!r})")
    other.do(f"session = hessview.launch('small:slow', run_dir={str(path)!r})", timeout=90)
    other.do(f"run = session.density(**{LONG})")
    other.kill()
    until(lambda: processes_of(path) == [])
    (run,) = hessview.open_runs(path).children.values()
    assert run.attrs["state"] in ("cancelled", "failed")


@pytest.mark.parametrize(
    ("model", "kind", "text"),
    [
        ("small:random", ObjectiveError, r"^dropout is on in '1' \(p=0\.5\).*module\.eval\(\)"),
        ("small:raises", JobError, r"^the job did not start: rank 0 failed: ZeroDivisionError: n"),
        ("small:nothing", InputError, r"^model 'small:nothing' returned a NoneType; it has to"),
        ("no_such_module:build", InputError, r"^model 'no_such_module:build' cannot be found"),
    ],
)
def test_job_that_cannot_start_says_why_in_one_line(tmp_path, model, kind, text):
    with pytest.raises(kind, match=text) as caught:
        hessview.launch(model, ranks=1, run_dir=tmp_path / "run")
    assert type(caught.value) is kind
    assert "\n" not in str(caught.value)
    assert processes_of(tmp_path / "run") == []


def test_job_that_takes_too_long_is_ended(tmp_path):
    text = r"was not ready after 0\.5 s, at [a-z ]+; raise timeout, or see .*log"
    with pytest.raises(JobError, match=text):
        hessview.launch("small:build", run_dir=tmp_path / "run", timeout=0.5)
    assert processes_of(tmp_path / "run") == []


def test_interrupt_while_loading_leaves_no_process(tmp_path):
    code = f"import hessview; hessview.launch('small:build', run_dir={str(tmp_path / 'run')!r})"
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 30
    while not ranks_of(tmp_path / "run"):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == -signal.SIGINT
    assert processes_of(tmp_path / "run") == []


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"ranks": 0}, r"ranks=0 is not allowed; use a whole number >= 1\."),
        ({"ranks": 1.5}, r"ranks=1\.5 is not allowed"),
        ({"ranks": True}, r"ranks=True is not allowed"),
        ({"tokens": 0}, r"tokens=0 is not allowed; use a whole number >= 1\."),
        ({"tokens": "many"}, r"tokens='many' is not allowed"),
        ({"length": 1}, r"length=1 is not allowed; use a whole number >= 2\."),
        ({"batch": -2}, r"batch=-2 is not allowed"),
        ({"dtype": "float16"}, r"dtype='float16' is not allowed; use one of \['bfloat16', 'fl"),
        ({"token": 5}, r"launch has no \['token'\] \(did you mean 'tokens'\?\); its options are"),
    ],
)
def test_bad_arguments_start_nothing(tmp_path, arguments, text):
    with pytest.raises(InputError, match=text):
        hessview.launch("small:build", run_dir=tmp_path / "run", **arguments)
    assert not (tmp_path / "run").exists()


def test_objective_in_place_of_a_name_is_sent_to_local(tmp_path):
    from jobs import small

    with pytest.raises(InputError, match=r"model is a Objective; torchrun needs a name: give"):
        hessview.launch(small.build(), run_dir=tmp_path / "run")


def test_missing_torchrun_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(JobError, match="torchrun is missing; install torch in this environment"):
        hessview.launch("small:build", run_dir=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_run_directories_that_are_not_safe_or_not_usable(tmp_path):
    loose = tmp_path / "loose"
    loose.mkdir()
    loose.chmod(0o755)
    with pytest.raises(RunDirectoryError, match=r"is open to others \(mode 0755\).*chmod 700"):
        hessview.launch("small:build", run_dir=loose)
    assert list(loose.iterdir()) == []

    file = tmp_path / "file"
    file.write_text("kept")
    with pytest.raises(RunDirectoryError, match="is not a directory; choose another path"):
        hessview.launch("small:build", run_dir=file)
    assert file.read_text() == "kept"
    with pytest.raises(RunDirectoryError, match=r"cannot be made \(.*\); choose another"):
        hessview.launch("small:build", run_dir=file / "run")


def test_run_directory_has_a_name_of_its_own_by_default(tmp_path, monkeypatch):
    from hessview.session import launch

    class Started(Exception):
        pass

    def popen(arguments, **options):
        raise Started(arguments[-1])

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(launch.subprocess, "Popen", popen)
    with pytest.raises(Started, match=rf"^{tmp_path}/runs/small-build-\d{{8}}-\d{{6}}$"):
        hessview.launch("small:build")
