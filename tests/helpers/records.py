"""Fixtures for records: numbered events, and densities of a dense matrix."""

import numpy as np
import pytest

from helpers.emulated import job_started
from hessview.record.commands import Density, command_to_json
from hessview.record.events import Event, Reading, RunEnded, RunQueued, RunStarted


@pytest.fixture
def number():
    """Payloads, each with its run, as the numbered events of one job."""

    def events(payloads, job="job-1"):
        return [
            Event(seq=seq, time=1.79e9 + seq, job=job, run=run, payload=payload)
            for seq, (run, payload) in enumerate(payloads, start=1)
        ]

    return events


@pytest.fixture
def measure(dense_lanczos):
    """Payloads, each with its run, of a density of a dense matrix with Rademacher probes.

    `noise` is the relative error of each product, `stop` the number of readings before the end.
    """

    def payloads(
        matrix, *, steps, probes, seed=0, run="a", noise=0.0, stop=None, end="done", error=""
    ):
        size = len(matrix)
        random = np.random.default_rng(seed)
        yield (
            "",
            job_started(
                model="org/model <b>é</b>",
                revision="",
                parameters=size,
                blocks={"layer": size},
                compute_dtype="bfloat16",
                loss=2.5,
                gradient_norm=0.5,
                digest="9f2c",
                seed=7,
                versions={"hessview": "0.1.0", "torch": "2.13.0"},
                host="node",
            ),
        )
        command = Density(steps=steps, probes=probes, seed=seed, error_every=steps)
        yield run, RunQueued(command=command_to_json(command))
        yield run, RunStarted(training_step=300, loss=2.25, gradient_norm=0.75)
        count = 0
        for probe in range(probes):
            start = random.choice([-1.0, 1.0], size) / np.sqrt(size)
            alphas, betas = dense_lanczos(matrix, start, steps)
            for step, (alpha, beta) in enumerate(zip(alphas, betas, strict=True)):
                count += 1
                if stop is not None and count > stop:
                    break
                values = {"alpha": float(alpha), "beta": float(beta), "epsilon": 1e-3}
                if step == 0 and noise:
                    values["error"] = noise
                yield run, Reading(index={"probe": probe, "step": step}, values=values)
        if end:
            yield run, RunEnded(state=end, error=error)

    return payloads


@pytest.fixture
def matrix():
    """Symmetric, 60 by 60, with a bulk about zero and outliers on both sides."""
    random = np.random.default_rng(3)
    vectors, _ = np.linalg.qr(random.normal(size=(60, 60)))
    spectrum = np.concatenate([[-4.0, -2.0], random.normal(0, 0.02, 53), [1.0, 2, 4, 7, 12]])
    return (vectors * spectrum) @ vectors.T
