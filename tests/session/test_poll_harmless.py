"""What befalls a poll, in one process: it ends the run, and leaves the training as it was."""

import dataclasses
import os
import re
import signal
import sys
import threading
import time

import pytest
import torch

import hessview
from hessview.errors import NotRestoredError
from hessview.job import sharding
from hessview.job.alone import find_last
from hessview.operators import Hessian
from hessview.record.commands import Density
from hessview.record.log import read_events
from hessview.transport.run_directory import RunDirectory
from jobs import small


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run"


@pytest.fixture
def serve(path):
    """Makes a job, and asks it for a run."""
    made = []

    def make(objective, **command):
        made.append(hessview.serve(objective, path, evaluation=True))
        made[0].mailbox.submit("run", Density(**{"steps": 4, "probes": 1, **command}))
        return made[0]

    yield make
    for job in made:
        job.close()


def end(path, run="run"):
    (payload,) = (
        event.payload
        for event in read_events(path / "events.jsonl")
        if event.run == run and event.payload.kind == "run_ended"
    )
    return payload


def state(module):
    return [value.detach().clone() for value in module.state_dict().values()]


def same(module, before):
    return all(map(torch.equal, state(module), before))


class Armed:
    """A loss that fails once it is armed."""

    def __init__(self, error):
        self.error, self.on = error, False

    def __call__(self, module, batch):
        if self.on:
            raise self.error
        return small.loss(module, batch)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("a bug"), r"^ValueError: a bug \(__call__, test_poll_harmless\.py:\d+\)$"),
        (StopIteration(), r"^StopIteration: "),
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 B"),
            r"^out of memory \(RuntimeError: Def.* use fewer steps, a window \(reorthogonalize=2\)",
        ),
        (torch.OutOfMemoryError("CUDA out of memory"), r"^out of memory \(OutOfMemoryError: CUDA"),
    ],
)
def test_an_error_of_the_loss_ends_the_run_and_is_told_with_its_place(
    serve, path, caplog, error, text
):
    loss = Armed(error)
    objective = small.build(loss)
    objective.module.train()
    job = serve(objective)
    before, loss.on = state(objective.module), True
    job.poll(step=0)
    assert same(objective.module, before)
    assert objective.module.training
    assert end(path).state == "failed"
    assert re.search(text, end(path).error)
    assert "a run failed, and nothing else: " in caplog.text
    loss.on = False
    job.mailbox.submit("again", Density(steps=2, probes=1))
    job.poll(step=1)
    assert end(path, "again").state == "done"


class Nothing(Hessian):
    def matvec(self, vector, *, measure_error=False):
        return None


class Short(Hessian):
    def matvec(self, vector, *, measure_error=False):
        product = super().matvec(vector)
        return dataclasses.replace(product, vector=product.vector[:3])


class Untidy(Hessian):
    """Goes round the surface, and leaves everything about as it fails."""

    def matvec(self, vector, *, measure_error=False):
        module, batch = self._surface.objective.module, self._surface.objective.batches[0]
        with torch.enable_grad():
            small.loss(module, batch)[0].backward()
        next(module.parameters()).requires_grad_(False)
        module.train()
        torch.set_grad_enabled(False)
        torch.set_default_dtype(torch.float64)
        torch.manual_seed(0)
        raise RuntimeError("that was all")


class Talks(Hessian):
    about = ("no", frozenset("text"))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Nothing", "TypeError: replace() should be called on dataclass instances"),
        ("Short", "RuntimeError: "),
        ("Untidy", "RuntimeError: that was all (matvec, test_poll_harmless.py:"),
        (
            "Talks",
            "an event of kind 'run_started' cannot be recorded, since nobody could read it (",
        ),
    ],
)
def test_whatever_an_operator_does_ends_its_run_alone(serve, path, name, text):
    objective = small.build()
    job = serve(objective, operator=f"{__name__}:{name}")
    module = objective.module
    small.loss(module, objective.batches[0])[0].backward()
    gradients = [parameter.grad for parameter in module.parameters()]
    values, before = [gradient.clone() for gradient in gradients], state(module)
    random = torch.get_rng_state()
    job.poll(step=0)
    assert end(path).state == "failed"
    assert end(path).error.startswith(text)
    assert same(module, before)
    assert all(p.grad is g for p, g in zip(module.parameters(), gradients, strict=True))
    assert all(map(torch.equal, gradients, values))
    assert all(parameter.requires_grad for parameter in module.parameters())
    assert not module.training
    assert (torch.is_grad_enabled(), torch.get_default_dtype()) == (True, torch.float32)
    assert torch.equal(torch.get_rng_state(), random)


class Striking:
    """A loss that sends a signal to its own process at its n-th call from now on."""

    def __init__(self, number):
        self.number, self.left = number, 0

    def __call__(self, module, batch):
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), self.number)
        return small.loss(module, batch)


def test_an_interrupted_poll_gives_all_back_and_ends_its_run_and_no_other(serve, path):
    loss = Striking(signal.SIGINT)
    objective = small.build(loss)
    objective.module.train()
    job = serve(objective, steps=8)
    job.mailbox.submit("queued", Density(steps=2, probes=1))
    before, loss.left = state(objective.module), 30
    try:
        job.poll(step=0)
        raise AssertionError("no interrupt came")
    except KeyboardInterrupt:  # where people save their weights
        assert same(objective.module, before)
        assert objective.module.training
    assert end(path).state == "cancelled"
    assert end(path).error == "stopped by SIGINT; what was measured is kept."
    job.poll(step=1)
    assert end(path, "queued").state == "done"


def test_a_handler_that_saves_finds_the_weights_of_before(serve, path):
    """As those do that clusters call before they take a node away."""
    loss = Striking(signal.SIGUSR1)
    objective = small.build(loss)
    job = serve(objective, steps=8)
    before, loss.left, saved = state(objective.module), 30, []
    earlier = signal.signal(
        signal.SIGUSR1, lambda number, frame: saved.append(same(objective.module, before))
    )
    try:
        job.poll(step=0)
    finally:
        signal.signal(signal.SIGUSR1, earlier)
    assert saved == [True]
    assert (end(path).state, end(path).error[:18]) == ("cancelled", "stopped by SIGUSR1")


def test_a_poll_that_waits_is_interrupted(path):
    with hessview.serve(small.build(), path) as job:
        threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
        began = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            job.poll(wait=60)
        assert time.monotonic() - began < 50


def test_an_interrupt_while_serving_begins_gives_the_directory_back(path):
    loss = Striking(signal.SIGINT)
    objective = small.build(loss)
    before, loss.left = state(objective.module), 10
    with pytest.raises(KeyboardInterrupt):
        hessview.serve(objective, path)
    assert same(objective.module, before)
    with hessview.serve(objective, path) as job:
        job.poll(step=0)


def test_parameters_that_cannot_be_brought_back_end_the_job(path, monkeypatch):
    job = hessview.serve(small.build(), path)
    job.mailbox.submit("run", Density(steps=2, probes=1))
    calls = []

    def failing(module):
        calls.append(1)
        if len(calls) > 9:
            raise RuntimeError("device-side assert triggered")

    monkeypatch.setattr(sharding, "reshard", failing)
    with pytest.raises(NotRestoredError, match=r"device-side assert triggered.*do not save them"):
        job.poll(step=0)
    assert job.closed
    assert end(path).state == "failed"
    (failure,) = RunDirectory.open(path).failures()
    assert "could not be given back" in failure.error


def test_the_folder_of_a_job_is_looked_in_last(tmp_path, monkeypatch):
    """Python puts it first, for -m."""
    for first in ("", str(tmp_path)):
        monkeypatch.setattr(sys, "path", [first, "/library"])
        find_last(str(tmp_path))
        assert sys.path == ["/library", str(tmp_path)]
        find_last(str(tmp_path))
        assert sys.path == ["/library", str(tmp_path)]
