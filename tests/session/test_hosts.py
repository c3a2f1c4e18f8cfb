"""A job of two hosts, a notebook on a third, and cables that are pulled."""

import sys
import time

import numpy as np
import pytest

import hessview
from helpers.folders import JOBS
from helpers.hosts import Network, require_namespaces
from helpers.shell_job import READY_SECONDS
from hessview.errors import JobError, JobLostError
from hessview.transport.run_directory import RunDirectory

pytestmark = [pytest.mark.hosts, pytest.mark.ranks]

LONG = {"steps": 100, "probes": 20}  # a run that no test waits for


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    require_namespaces()
    network = Network(tmp_path_factory.mktemp("hosts"))
    yield network
    network.close()


@pytest.fixture(scope="module")
def path(network, tmp_path_factory):
    """Run directory of a job that has a rank on each of alpha and beta."""
    path = tmp_path_factory.mktemp("shared") / "run"
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nnodes", "2"]
    torchrun += ["--master-addr", "10.214.0.1", "--master-port", "29411"]
    job = ["-m", "hessview.job", "--model", "small:slow", "--run-dir", str(path)]
    started = [
        network.hosts[name].start(
            *torchrun,
            *("--node-rank", str(rank)),
            *job,
            *("--listen", "eth0"),
            cwd=JOBS,
            environment={"GLOO_SOCKET_IFNAME": "eth0"},
        )
        for rank, name in enumerate(("alpha", "beta"))
    ]
    deadline = time.monotonic() + READY_SECONDS
    while not (path / "job.json").exists():
        assert time.monotonic() < deadline, network.hosts["alpha"].output
        assert all(one.poll() is None for one in started), network.hosts["alpha"].output
        time.sleep(0.05)
    return path


@pytest.fixture
def kernel(network, path):
    kernel = network.hosts["gamma"].kernel()
    kernel.do("import hessview\nfrom hessview.transport import rpc")
    kernel.do(f"session = hessview.attach({str(path)!r}, force=True)")
    yield kernel
    network.mend("gamma")
    kernel.do("session.close()")


def test_two_hosts_and_a_notebook_find_what_one_process_finds(network, path, kernel):
    from jobs import small

    alpha = network.hosts["alpha"]
    quiet = alpha.listening()
    kernel.do("run = session.density(steps=6, probes=2, seed=5)")
    kernel.until("run.state == 'done'")
    assert kernel.do("session.job.host") == "alpha"
    assert kernel.do("session.job.world_size") == 2
    assert kernel.do("session.job.digest") == small.build().digest()
    with hessview.local(small.build()) as session:
        alone = session.density(steps=6, probes=2, seed=5).wait(60)
    scale = abs(hessview.ritz(alone).node).max().item()
    np.testing.assert_allclose(
        np.array(kernel.do("run.dataset.alpha.values.tolist()")), alone.alpha, atol=1e-3 * scale
    )
    assert alpha.listening() == quiet  # what torchrun and gloo listen on, and nothing of ours
    holder = RunDirectory.open(path).read_claim(RunDirectory.open(path).read_job().epoch)
    assert holder.process.host == "gamma"
    assert holder.process.life() == "elsewhere"


def test_what_is_measured_arrives_while_calls_do_not(network, kernel):
    kernel.do("rpc._PATIENCE_AWAY, rpc._PATIENCE = 1.0, 3.0")
    kernel.do(f"run = session.density(**{LONG})")
    network.cut("gamma")
    measured = "int(run.dataset.alpha.notnull().sum())"
    count = kernel.do(measured)
    began = time.monotonic()
    with pytest.raises(
        JobError,
        match=r"lives, but cancel did not get through from this host to 10\.214\.0\.1 \(eth0\) .*"
        "what it measures still arrives: mend the network between, or open its firewall, and ask",
    ) as caught:
        kernel.do("run.cancel()")
    assert time.monotonic() - began < 30
    assert not isinstance(caught.value, JobLostError)
    kernel.until(f"{measured} > {count}")
    network.mend("gamma")
    kernel.do("rpc._PATIENCE = 20.0")
    kernel.do("run.cancel()")
    kernel.until("run.state == 'cancelled'")


def test_a_kernel_without_a_way_to_the_job_lives_and_says_so(network, kernel):
    """TensorPipe aborts a process whose system knows no route."""
    kernel.do("rpc._PATIENCE = 1.0")
    network.take_down("gamma")
    try:
        with pytest.raises(JobError, match=r"no way to 10\.214\.0\.1: Network is unreachable"):
            kernel.do("session.density(steps=2, probes=1)")
    finally:
        network.bring_up("gamma")
    kernel.do("rpc._PATIENCE = 20.0")
    kernel.do("run = session.density(steps=2, probes=1)")
    kernel.until("run.state == 'done'")


def test_ranks_whose_cable_was_pulled_go_on_once_it_is_back(network, path, kernel):
    record = RunDirectory.open(path).events_path
    kernel.do("run = session.density(steps=8, probes=2, seed=3)")
    kernel.until("int(run.dataset.alpha.notnull().sum()) >= 2")
    network.cut("beta")
    time.sleep(0.5)  # what is under way comes to a halt
    written = record.stat().st_size
    time.sleep(1.0)
    assert record.stat().st_size == written
    network.mend("beta")
    kernel.until("run.state == 'done'")
    kernel.do("again = session.density(steps=8, probes=2, seed=3)")
    kernel.until("again.state == 'done'")
    assert kernel.do("again.dataset.alpha.identical(run.dataset.alpha)")


def test_a_host_that_fails_with_its_kernel_does_not_keep_the_job(network, path):
    kernel = network.hosts["gamma"].kernel()
    kernel.do("import hessview")
    kernel.do(f"session = hessview.attach({str(path)!r})")
    run = kernel.do("run = session.density(steps=6, probes=4)") or kernel.do("run.id")
    network.hosts["gamma"].end()
    other = network.hosts["gamma"].kernel()
    other.do("import hessview")
    with pytest.raises(JobError, match=r"is held by the kernel with pid \d+ on gamma .*force=True"):
        other.do(f"hessview.attach({str(path)!r})")
    other.do(f"session = hessview.attach({str(path)!r}, force=True)")
    other.until(f"[one.state for one in session.runs if one.id == {run!r}] == ['done']")
    other.do("session.close()")


def test_a_kernel_learns_that_the_jobs_host_is_silent(network, path, kernel):
    """The last one: the job is dead, but nobody is there to say so."""
    kernel.do("from hessview.transport import liveness; liveness.SILENCE = 4.0")
    kernel.do(f"run = session.density(**{LONG})")
    kernel.until("int(run.dataset.alpha.notnull().sum()) >= 2")
    network.cut("alpha")
    network.hosts["alpha"].end()
    began = time.monotonic()
    kernel.until("session.lost is not None")
    assert time.monotonic() - began < 15
    with pytest.raises(JobLostError, match=r"no sign of life for .* see whether its host"):
        kernel.do("session.density(steps=2, probes=1)")
    kept = hessview.open_runs(path)[kernel.do("run.id")].to_dataset()
    assert int(kept.alpha.notnull().sum()) == kernel.do("int(run.dataset.alpha.notnull().sum())")
    network.mend("alpha")
