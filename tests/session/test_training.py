"""A training script that serves its model between its steps."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

import hessview
from helpers.folders import JOBS
from helpers.shell_job import ShellJob
from hessview.errors import JobLostError
from jobs import identity

pytestmark = pytest.mark.ranks


@pytest.fixture
def training(tmp_path):
    torchrun = (sys.executable, "-m", "torch.distributed.run", "--standalone")
    job = ShellJob(tmp_path, *torchrun, "--nproc-per-node", "2", "training.py")
    try:
        yield job.wait_until_ready()
    finally:
        job.end()


def test_spectra_of_a_model_while_it_trains(training, until):
    with hessview.attach(training.path) as session:
        runs = [session.density(steps=4, probes=1, seed=3) for _ in range(2)]
        first, last = [run.wait(60) for run in runs]
        later = session.density(steps=4, probes=1, seed=3).wait(60)
        assert session.job.model == "training"
        assert session.job.world_size == 2

    # Both were asked for at once, so that one poll may have answered both.
    assert 0 <= first.attrs["training_step"] <= last.attrs["training_step"]
    assert last.attrs["training_step"] < later.attrs["training_step"]
    assert later.attrs["loss"] < first.attrs["loss"]
    assert np.isfinite(later.alpha).all()
    assert not later.alpha.identical(first.alpha)

    with hessview.attach(training.path) as session:  # a second kernel, later on
        assert len(session.runs) == 3
        run = session.density(steps=4, probes=1, seed=3)
        assert run.wait(60).attrs["training_step"] > later.attrs["training_step"]

        (training.path / "enough").touch()
        assert training.process.wait(60) == 0, training.output
        until(lambda: session.lost is not None)
        with pytest.raises(JobLostError, match=r"the job's script left the block of hessview"):
            session.density(steps=2, probes=1)
    assert "trained for" in training.output
    assert len(hessview.open_runs(training.path).children) == 4


@pytest.mark.parametrize("kind", ["single", "ddp", "hsdp", "fsdp"])
def test_training_goes_on_to_the_last_bit_as_if_nobody_had_measured(kind, tmp_path):
    measured = trained(kind, tmp_path / "measured", "--run-dir", str(tmp_path / "run"))
    runs = hessview.open_runs(tmp_path / "run")
    asked = [(run.attrs["training_step"], run.attrs["command"]) for run in runs.leaves]
    assert asked == [(step, name) for step in range(0, 26, 5) for name in identity.MEASURED]
    assert {run.attrs["state"] for run in runs.leaves} == {"done"}
    assert len(measured) == (1 if kind == "single" else 2)
    assert measured == trained(kind, tmp_path / "plain")
    assert all(np.isfinite(rank["losses"]).all() for rank in measured)


def trained(kind, out, *options):
    """What is left on each rank after training, with or without measurements."""
    out.mkdir()
    command = [sys.executable, "identity.py", "--kind", kind, "--out", str(out), *options]
    if kind != "single":
        torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
        command[1:1] = torchrun
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=JOBS, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [json.loads(path.read_text()) for path in sorted(out.glob("rank-*.json"))]
