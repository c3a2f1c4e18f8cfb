import signal
import threading
import time

import numpy as np
import pytest
import torch
from torch import nn

import hessview
from helpers.quadratic import CURVATURES, late, objective, quadratic
from hessview.errors import (
    InputError,
    JobError,
    JobLostError,
    ObjectiveError,
    RunCancelledError,
    RunDirectoryError,
    RunFailedError,
)


@pytest.fixture
def session():
    with hessview.local(objective()) as made:
        yield made


@pytest.fixture
def late_session():
    with hessview.local(objective(late)) as made:
        yield made


def until(condition, timeout=10.0):
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "it does not come true"
        time.sleep(0.01)


def measured(run):
    return int(run.dataset.alpha.notnull().sum())


def test_full_depth_density_finds_every_eigenvalue(session):
    dataset = session.density(steps=len(CURVATURES), probes=2).wait(60)

    nodes = hessview.ritz(dataset).node
    for probe in (0, 1):
        found = np.sort(nodes.sel(probe=probe).values)
        np.testing.assert_allclose(found, CURVATURES, atol=1e-7)
    assert dataset.attrs["state"] == "done"
    assert hessview.summary(dataset) is not None


def test_session_says_what_it_differentiates(session):
    assert session.job.model == "quadratic"
    assert session.job.parameters == len(CURVATURES)
    assert session.job.world_size == 1
    assert session.state == "attached"
    assert repr(session) == (
        "<hessview.Session quadratic: 12 parameters on 1 rank, 0 runs, attached>"
    )


def test_run_has_its_form_before_anything_is_measured(late_session):
    run = late_session.density(steps=3, probes=2)

    assert run.dataset.alpha.shape == (2, 3)
    assert run.command.steps == 3
    assert run.state in ("queued", "running")
    assert run.id in repr(run)
    assert [one.id for one in late_session.runs] == [run.id]
    run.wait(60)


def test_record_on_disk_is_the_live_fold(tmp_path):
    with hessview.local(objective(), run_dir=tmp_path / "run") as session:
        live = session.density(steps=5, probes=2).wait(60)

    (kept,) = hessview.open_runs(tmp_path / "run").children.values()
    assert kept.to_dataset().identical(live)


def test_record_in_memory_writes_no_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with hessview.local(objective()) as session:
        session.density(steps=2, probes=1).wait(60)
    assert list(tmp_path.iterdir()) == []


def test_runs_wait_for_one_another(late_session):
    first = late_session.density(steps=3, probes=1)
    second = late_session.density(steps=2, probes=1)
    second.wait(60)
    assert first.state == "done"


def test_cancel_keeps_what_was_measured(late_session):
    run = late_session.density(steps=12, probes=50)
    until(lambda: measured(run) >= 1)
    run.cancel()

    with pytest.raises(RunCancelledError, match=f"run {run.id} was cancelled; .dataset holds"):
        run.wait(10)
    assert 1 <= measured(run) < run.command.total
    assert late_session.density(steps=2, probes=1).wait(60).attrs["state"] == "done"


def test_cancelling_a_queued_run_leaves_the_running_one(late_session):
    first = late_session.density(steps=6, probes=1)
    second = late_session.density(steps=6, probes=1)
    second.cancel()
    with pytest.raises(RunCancelledError):
        second.wait(10)
    assert first.wait(60).attrs["state"] == "done"
    assert measured(second) == 0


def test_wait_gives_up_after_its_timeout_and_the_run_goes_on(late_session):
    run = late_session.density(steps=12, probes=50)
    began = time.monotonic()
    with pytest.raises(TimeoutError, match=r"is still running after 0.7 s and goes on; wait again"):
        run.wait(0.7)
    assert 0.6 < time.monotonic() - began < 2.0
    run.cancel()


def test_wait_keeps_its_timeout_while_readings_stream(late_session):
    run = late_session.density(steps=12, probes=50, error_every=0)
    until(lambda: measured(run) >= 1)
    began = time.monotonic()
    before = measured(run)
    with pytest.raises(TimeoutError):
        run.wait(1.0)
    assert time.monotonic() - began > 0.9
    assert measured(run) > before + 2  # each of which woke the waiting thread
    run.cancel()


def test_interrupt_ends_the_wait_and_not_the_run(late_session):
    run = late_session.density(steps=12, probes=50)
    threading.Timer(0.5, lambda: signal.raise_signal(signal.SIGINT)).start()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run.wait(30)
    assert time.monotonic() - began < 1.5
    before = measured(run)
    until(lambda: measured(run) > before)
    run.cancel()


def test_on_change_calls_back_until_it_is_ended(late_session):
    run = late_session.density(steps=4, probes=1)
    calls = []
    unsubscribe = run.on_change(lambda: calls.append(run.state))
    run.wait(60)
    until(lambda: calls[-1:] == ["done"])
    unsubscribe()
    unsubscribe()  # twice is allowed
    count = len(calls)
    late_session.density(steps=2, probes=1).wait(60)
    assert len(calls) == count


def test_callback_that_raises_stops_nothing(late_session, caplog):
    run = late_session.density(steps=3, probes=1)
    run.on_change(lambda: 1 / 0)
    calls = []
    run.on_change(lambda: calls.append(1))
    run.wait(60)
    until(lambda: len(calls) >= 3)
    assert f"a callback of run {run.id} failed" in caplog.text
    assert late_session.density(steps=2, probes=1).wait(60).attrs["state"] == "done"


def test_loss_that_raises_fails_the_run_and_not_the_session():
    bad = threading.Event()

    def loss(module, batch):
        if bad.is_set():
            raise ZeroDivisionError("no more coffee")
        return late(module, batch)

    made = objective(loss)
    before = made.module.point.detach().clone()
    with hessview.local(made) as session:
        run = session.density(steps=12, probes=50)
        until(lambda: measured(run) >= 2)
        bad.set()
        with pytest.raises(RunFailedError, match="ZeroDivisionError: no more coffee"):
            run.wait(10)
        assert measured(run) >= 2
        bad.clear()
        assert torch.equal(made.module.point, before)
        assert session.density(steps=2, probes=1).wait(60).attrs["state"] == "done"


def test_loss_that_is_not_finite_fails_the_run_and_not_the_session():
    bad = threading.Event()

    def loss(module, batch):
        return quadratic(module, batch) * (float("nan") if bad.is_set() else 1.0)

    with hessview.local(objective(loss)) as session:
        bad.set()
        with pytest.raises(RunFailedError, match="both must be finite: check the weights"):
            session.density(steps=2, probes=1).wait(10)
        bad.clear()
        assert session.density(steps=2, probes=1).wait(60).attrs["state"] == "done"


def test_module_may_change_between_runs():
    made = objective(lambda module, batch: (module.point**4).sum())
    with hessview.local(made) as session:
        runs = []
        for value in (1.0, 2.0):
            with torch.no_grad():
                made.module.point.fill_(value)
            runs.append(session.density(steps=1, probes=1).wait(60))
    # The Hessian is 12 x^2 times the identity.
    np.testing.assert_allclose([run.alpha.item() for run in runs], [12.0, 48.0], rtol=1e-4)


def test_closing_ends_all_threads():
    before = set(threading.enumerate())
    session = hessview.local(objective(late))
    run = session.density(steps=12, probes=50)
    assert {thread.name for thread in set(threading.enumerate()) - before} == {
        "hessview-job",
        "hessview-events",
    }
    until(lambda: measured(run) >= 1)
    session.close()
    session.close()  # twice is allowed
    assert set(threading.enumerate()) == before
    assert measured(run) >= 1
    assert run.state != "running"


def test_closed_session_says_so_at_every_question():
    session = hessview.local(objective())
    run = session.density(steps=2, probes=1)
    run.wait(60)
    session.close()
    for ask in (lambda: session.density(steps=2), run.cancel):
        with pytest.raises(JobLostError, match=r"the job has ended|session is closed"):
            ask()
    assert run.wait(1).attrs["state"] == "done"


def test_objectives_that_cannot_be_differentiated_leave_no_thread():
    before = threading.active_count()
    module = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5))
    made = hessview.Objective(module, lambda m, batch: m(batch).sum(), [torch.ones(2, 2)])
    with pytest.raises(ObjectiveError, match=r"call module.eval\(\) first"):
        hessview.local(made)
    assert threading.active_count() == before


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"steps": 0}, r"steps=0 is not allowed; use a whole number >= 1\."),
        ({"steps": 13}, r"steps=13 exceeds the 12 parameters; use steps <= 12\."),
        ({"probes": 0}, r"probes=0 is not allowed; use a whole number >= 1\."),
        ({"probes": 1.5}, r"probes=1\.5 is not allowed"),
        ({"epsilon": 0.0}, r"epsilon=0\.0 is not allowed; use a finite number > 0"),
        ({"epsilon": -1e-3}, r"epsilon=-0\.001 is not allowed"),
        ({"epsilon": float("nan")}, r"epsilon=nan is not allowed"),
        ({"epsilon": "big"}, r"epsilon='big' is not allowed; .* or \"auto\""),
        ({"seed": -1}, r"seed=-1 is not allowed"),
        ({"reorthogonalize": 0}, r"reorthogonalize=0 is not allowed"),
        ({"operator": ""}, r"operator='' is not allowed; use a name"),
    ],
)
def test_bad_arguments_are_refused_before_anything_is_sent(session, arguments, text):
    with pytest.raises(InputError, match=text):
        session.density(**{"steps": 4, "probes": 1, **arguments})
    assert session.runs == []


def test_unknown_operators_leave_no_run_behind(session):
    with pytest.raises(InputError, match=r"operator 'hesian' is unknown .*; use one of .*hessian"):
        session.density(steps=2, probes=1, operator="hesian")
    with pytest.raises(InputError, match=r"operator 'no.such:Operator' cannot be found"):
        session.density(steps=2, probes=1, operator="no.such:Operator")
    assert session.runs == []
    assert session.density(steps=2, probes=1).wait(60).attrs["state"] == "done"


def test_run_directory_that_is_open_to_others_is_refused(tmp_path):
    open_to_all = tmp_path / "run"
    open_to_all.mkdir(mode=0o755)
    open_to_all.chmod(0o755)
    with pytest.raises(RunDirectoryError, match=r"is open to others \(mode 0755\)"):
        hessview.local(objective(), run_dir=open_to_all)
    assert list(open_to_all.iterdir()) == []


def test_a_second_local_job_takes_the_run_directory_over(tmp_path):
    """As when a notebook's cells are run again."""
    first = hessview.local(objective(), run_dir=tmp_path / "run")
    run = first.density(steps=2, probes=1)
    run.wait(60)
    with hessview.local(objective(), run_dir=tmp_path / "run") as second:
        assert first.state != "attached"
        assert [each.id for each in second.runs] == [run.id]
        assert second.density(steps=2, probes=1).wait(60).attrs["state"] == "done"


def test_a_job_that_the_process_serves_keeps_its_run_directory(tmp_path):
    with (
        hessview.serve(objective(), run_dir=tmp_path / "run"),
        pytest.raises(JobError, match="this process already serves job"),
    ):
        hessview.local(objective(), run_dir=tmp_path / "run")


def test_a_run_directory_takes_a_second_job_after_the_first(tmp_path):
    for count in (1, 2):
        with hessview.local(objective(), run_dir=tmp_path / "run") as session:
            session.density(steps=2, probes=1).wait(60)
            assert len(session.runs) == count
    assert len(hessview.open_runs(tmp_path / "run").children) == 2


def test_attaching_to_a_local_job_gives_its_session(tmp_path):
    with hessview.local(objective(), run_dir=tmp_path / "run") as session:
        assert hessview.attach(tmp_path / "run") is session


def test_attaching_to_a_job_that_this_process_serves_is_refused(tmp_path):
    with (
        hessview.serve(objective(), tmp_path / "run"),
        pytest.raises(JobError, match=r"runs in this very process; use hessview\.local instead"),
    ):
        hessview.attach(tmp_path / "run")


def test_two_sessions_on_one_module_take_turns():
    def quartic(module, batch):
        time.sleep(0.005)  # long enough for the other to come in between
        return quadratic(module, batch) + module.point.pow(4).sum()

    shared = objective(quartic)
    with hessview.local(shared) as one:
        alone = one.density(steps=6, probes=2).wait(60)
        with hessview.local(shared) as other:
            runs = [session.density(steps=6, probes=2) for session in (one, other)]
            for run in runs:
                assert run.wait(60).alpha.equals(alone.alpha)
            long = one.density(steps=12, probes=100)
            until(lambda: measured(long) >= 1)
            waiting = other.density(steps=6, probes=2)
            waiting.cancel()
            with pytest.raises(RunCancelledError):
                waiting.wait(60)
            assert long.state == "running"
            other.density(steps=6, probes=2)
        assert long.state == "running"  # closing a session that waits does not wait for it
        long.cancel()
