"""One job of two ranks and what can befall it, in mid-run: the job outlives what is a kernel's.

Faults that end a job, or a rank, are in test_launch; those of one link in tests/transport; those
of networks in test_hosts.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time

import psutil
import pytest

import hessview
from helpers.folders import JOBS
from helpers.shell_job import ShellJob, measured, processes_of, ranks_of
from hessview.errors import JobBusyError, JobLostError, RunFailedError
from hessview.record.events import JobStarted
from hessview.record.log import read_events
from hessview.session.jobs import jobs

pytestmark = pytest.mark.ranks

LONG = {"steps": 100, "probes": 20}  # a run that no test waits for
TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--standalone")


def job_of_two(folder, *options):
    """A job as a user starts it, whose loss on rank 1 is NaN while there is a file "spoil"."""
    os.environ["HESSVIEW_TEST_SPOIL"] = str(folder / "spoil")
    rest = ("--nproc-per-node", "2", "-m", "hessview.job", "--model", "small:spoilt_on_rank_1")
    return ShellJob(folder, *TORCHRUN, *options, *rest)


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    """A job that all faults share which a job must outlive."""
    made = job_of_two(tmp_path_factory.mktemp("faults"))
    try:
        yield made.wait_until_ready()
    finally:
        made.end()


def rank_1(job):
    return next(
        one
        for one in psutil.Process(job.process.pid).children(recursive=True)
        if one.environ().get("RANK") == "1"
    )


def is_whole(path, run):
    """All acknowledged events are there in order, and the run has each Lanczos step once."""
    events = read_events(path / "events.jsonl")
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    found = [event.payload for event in events if _is_reading(event, run)]
    places = [tuple(one.index.values()) for one in found if "alpha" in one.values]
    assert places == sorted(set(places))
    others = [tuple(one.index.items()) for one in found if "alpha" not in one.values]
    assert len(others) == len(set(others))  # of pairs, each probe's end once
    return len(places)


def _is_reading(event, run):
    return event.run == run and event.payload.kind == "reading"


def test_a_kernel_that_is_stopped_finds_all_that_happened_meanwhile(job, puppet, until, within):
    kernel = puppet("import hessview", f"session = hessview.attach({str(job.path)!r})")
    run = kernel.do("run = session.density(steps=10, probes=3)") or kernel.do("run.id")
    kernel.signal(signal.SIGSTOP)
    with hessview.watch(job.path) as watching:
        (seen,) = (one for one in watching.runs if one.id == run)
        seen.wait(60)  # the job goes on
    kernel.signal(signal.SIGCONT)
    with within(20, "kernel continued, up to date after"):
        until(lambda: kernel.do("run.state") == "done")
    assert kernel.do("int(run.dataset.alpha.notnull().sum())") == 30 == is_whole(job.path, run)
    assert kernel.do("session.state") == "attached"
    kernel.do("session.close()")


def test_a_rank_that_is_stopped_stalls_the_run_until_it_goes_on(job, until, within):
    with hessview.attach(job.path) as session:
        run = session.density(steps=10, probes=3)
        until(lambda: measured(run) >= 2)
        stopped = rank_1(job)
        stopped.suspend()
        try:
            with within(5, "rank stopped, listed after"):
                until(lambda: jobs(job.path)[0].state == "stopped")
        finally:
            stopped.resume()
        with within(20, "rank continued, its run done after"):
            run.wait(60)
        assert is_whole(job.path, run.id) == 30
        assert session.state == "attached"


def test_a_loss_that_is_not_finite_names_rank_probe_and_step(job, until, within):
    with hessview.attach(job.path) as session:
        run = session.density(steps=20, probes=3)
        until(lambda: measured(run) >= 25)
        spoil = job.path.parent / "spoil"
        spoil.touch()
        try:
            with within(10, "loss not finite, told after"), pytest.raises(RunFailedError) as caught:
                run.wait(60)
        finally:
            spoil.unlink()
        probe, step = divmod(is_whole(job.path, run.id), 20)
        text = f"probe {probe}, step {step}: the loss is not finite on rank 1 at epsilon="
        assert str(caught.value).startswith(text)
        assert session.density(steps=4, probes=1).wait(60).attrs["state"] == "done"


def test_of_kernels_that_race_one_gets_the_job(job, puppet, within):
    kernels = [puppet("import hessview") for _ in range(3)]
    refused = 0
    with within(30, "race of three kernels, decided after"):  # most of it imports torch
        for kernel in kernels:
            kernel.start(f"session = hessview.attach({str(job.path)!r})")
        for kernel in kernels:
            try:
                kernel.result()
            except JobBusyError:
                refused += 1
    assert refused == 2
    for kernel in kernels:
        kernel.kill()
    with within(10, "kernels killed, job had by the next after"):
        session = hessview.attach(job.path)
    with session:
        assert session.density(steps=2, probes=1).wait(60).attrs["state"] == "done"


def test_ranks_do_not_outlive_torchrun(job, until, within):
    """The last one of this job."""
    with hessview.attach(job.path) as session:
        run = session.density(**LONG)
        until(lambda: measured(run) >= 2)
        job.process.kill()
        with within(10, "torchrun killed, seen after"):
            until(lambda: session.lost is not None)
        with within(10, "and no process left after"):
            until(lambda: processes_of(job.path) == [])
        with pytest.raises(JobLostError, match="torchrun is gone"):
            session.density(steps=2, probes=1)
        assert is_whole(job.path, run.id) == measured(run)


def test_a_torchrun_that_dies_on_another_host_ends_the_whole_job(tmp_path, until, within):
    """Nobody would end that host's ranks, then."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    torchrun = (sys.executable, "-m", "torch.distributed.run", "--nnodes", "2")
    torchrun += ("--master-addr", "127.0.0.1", "--master-port", str(port), "--node-rank")
    model = ("-m", "hessview.job", "--model", "small:slow")
    (tmp_path / "other").mkdir()
    job = ShellJob(tmp_path, *torchrun, "0", *model)
    other = ShellJob(tmp_path / "other", *torchrun, "1", *model, run_dir=job.path)
    try:
        with hessview.attach(job.wait_until_ready().path) as session:
            run = session.density(**LONG)
            until(lambda: measured(run) >= 2)
            other.process.kill()
            with within(10, "torchrun of another host killed, seen after"):
                until(lambda: session.lost is not None)
            assert "rank 1: torchrun is gone" in str(session.lost)
        with within(10, "and no rank left after"):  # torchrun waits 5 minutes for the other
            until(lambda: ranks_of(job.path) == [])
        assert is_whole(job.path, run.id) == measured(run)
    finally:
        other.end()
        job.end()


def test_a_job_that_torchrun_restarts_is_attached_to_again(tmp_path, monkeypatch, until, within):
    # Otherwise the ranks share torchrun's store, and restarted ones may read in it where those
    # before them listened: they fail to meet, or wait for good (2 of 3 restarts here).
    monkeypatch.setenv("TORCH_DISABLE_SHARE_RDZV_TCP_STORE", "1")
    job = job_of_two(tmp_path, "--max-restarts", "1", "--monitor-interval", "0.1")
    try:
        with hessview.attach(job.wait_until_ready().path) as session:
            run = session.density(**LONG)
            until(lambda: measured(run) >= 2)
            rank_1(job).kill()
            with within(10, "rank killed, seen after"):
                until(lambda: session.lost is not None)
            with pytest.raises(JobLostError, match=r"was killed without a word|attach"):
                session.density(steps=2, probes=1)
            kept = measured(run)
            first = session.job
        with within(90, "job restarted, and had again after"):  # it loads torch and the model
            until(lambda: len(_jobs(job.path)) == 2, timeout=90)
            job.wait_until_ready()
            session = hessview.attach(job.path)
        with session:
            assert session.density(steps=4, probes=1).wait(60).attrs["state"] == "done"
            (cut,) = (one for one in session.runs if one.id == run.id)
            assert cut.state == "failed"
            assert measured(cut) >= kept  # rank 0 may have written after its loss was seen
            assert session.job.digest == first.digest
            assert is_whole(job.path, run.id) == measured(cut)
    finally:
        job.end()
    assert processes_of(job.path) == []


def _jobs(path):
    events = read_events(path / "events.jsonl")
    return [event.job for event in events if isinstance(event.payload, JobStarted)]


@pytest.fixture
def small_disk(tmp_path):
    """A file system of a megabyte."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "none", str(place)]
    done = subprocess.run(mount, capture_output=True, text=True)
    if done.returncode:
        if os.environ.get("HESSVIEW_REQUIRE_NAMESPACES") == "1":
            pytest.fail(done.stderr)
        pytest.skip(f"needs the right to mount (root): {done.stderr}")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(place):
    """Leave no room on a file system."""
    with (place / "fill").open("wb", buffering=0) as stream, contextlib.suppress(OSError):
        while True:
            stream.write(bytes(256))


def test_a_disk_that_is_full_fails_the_run_and_not_the_job(small_disk, puppet, until, within):
    path = small_disk / "run"
    job = puppet(f"import sys, hessview; sys.path.append({str(JOBS)!r}); import small")
    job.do(f"job = hessview.serve(small.slow(), {str(path)!r})")
    kernel = puppet("import hessview", f"session = hessview.attach({str(path)!r})")
    job.start("job.run()")
    kernel.do(f"run = session.density(**{LONG})")
    until(lambda: kernel.do("int(run.dataset.alpha.notnull().sum())") >= 2)
    fill(small_disk)
    time.sleep(1.0)  # readings come, and find no room
    with pytest.raises(hessview.errors.RunDirectoryError, match=r"cannot be written.*free disk sp"):
        kernel.do("session.density(steps=2, probes=1)")
    (small_disk / "fill").unlink()
    with within(10, "room on the disk again, run ended after"):
        until(lambda: kernel.do("run.state") == "failed")
    assert "cannot be written" in kernel.do("run.error")
    kept = is_whole(path, kernel.do("run.id"))
    assert kept == kernel.do("int(run.dataset.alpha.notnull().sum())") >= 2
    kernel.do("next = session.density(steps=3, probes=1)")
    until(lambda: kernel.do("next.state") == "done")
    assert kernel.do("session.state") == "attached"
    fill(small_disk)
    kernel.do("session.close()")  # which it cannot tell the job


def test_a_training_goes_on_when_its_record_has_no_room(small_disk, caplog):
    from jobs import small

    with hessview.serve(small.build(), small_disk / "run") as job:
        job.record(every=1, density={"steps": 3, "probes": 1})
        job.poll(step=0)
        fill(small_disk)
        for step in range(1, 21):  # the last block of the record has room for some events
            job.poll(step=step)
        (small_disk / "fill").unlink()
        job.poll(step=21)
        fill(small_disk)
    (small_disk / "fill").unlink()
    assert "nothing is measured at training step 20: " in caplog.text
    runs = list(hessview.open_runs(small_disk / "run").leaves)
    states = [run.attrs["state"] for run in runs]
    assert states == ["done", *["failed"] * (len(runs) - 2), "done"]
    assert runs[-1].attrs["training_step"] == 21
    assert len(runs) < 20


def test_a_directory_that_is_read_only_is_refused(small_disk, puppet, within):
    (small_disk / "run").mkdir(mode=0o700)
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    job = puppet(f"import sys, hessview; sys.path.append({str(JOBS)!r}); import small")
    for name in ("run", "new"):
        with (
            within(20, "read-only directory, refused after"),  # the first one imports torch
            pytest.raises(
                hessview.errors.RunDirectoryError, match=r"cannot be (made|written).*Read-only"
            ),
        ):
            job.do(f"hessview.serve(small.build(), {str(small_disk / name)!r})")
