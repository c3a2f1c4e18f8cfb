"""Density runs of a training without a job: a dense matrix whose outliers grow with the step."""

import numpy as np
import xarray as xr

from hessview.commands import Density, command_to_json
from hessview.data.collect import collect
from hessview.messages import Event, JobStarted, Reading, RunEnded, RunQueued, RunStarted

SIZE = 80


def eigenvalues(training_step: int) -> np.ndarray:
    """Ascending; the largest is 1 + training_step / 10, the least -0.5 at any step."""
    bulk = np.random.default_rng(1).normal(0, 0.02, SIZE - 4)
    return np.sort(np.concatenate([bulk, [-0.5, 0.4, 0.7, 1 + training_step / 10]]))


def lanczos(values: np.ndarray, start: np.ndarray, steps: int) -> list[tuple[float, float]]:
    """Alpha and beta in the eigenbasis, reorthogonalised twice."""
    basis, found = [start / np.linalg.norm(start)], []
    for _ in range(steps):
        vector = values * basis[-1]
        alpha = float(vector @ basis[-1])
        for _ in range(2):
            vector = vector - np.array(basis).T @ (np.array(basis) @ vector)
        beta = float(np.linalg.norm(vector))
        found.append((alpha, beta))
        basis.append(vector / beta)
    return found


def run_of(
    training_step: int | None,
    *,
    probes: int = 3,
    steps: int = 20,
    stop: int | None = None,
    end: str = "done",
    error: float = 2e-4,
    model: str = "tiny",
    run: str = "",
    operator: str = "hessian",
) -> xr.Dataset:
    """A density run at a training step; of one that was stopped, so many readings."""
    payloads = [
        JobStarted(
            model=model,
            revision="",
            parameters=SIZE,
            blocks={"layer": SIZE},
            world_size=2,
            mesh={"shard": 2},
            device="cpu",
            dtype="float32",
            compute_dtype="float32",
            loss=5.5,
            gradient_norm=1.0,
            weight=4096.0,
            weight_unit="tokens",
            batches=4,
            digest="9f2c41d07be1",
            seed=0,
            tau=4.9e-3,
            versions={"hessview": "0.1.0", "torch": "2.13.0"},
            host="node-a",
        ),
        RunQueued(command=command_to_json(Density(steps=steps, probes=probes, operator=operator))),
    ]
    if stop is None or stop > 0:
        at = training_step or 0
        payloads.append(
            RunStarted(training_step=training_step, loss=5.5 / (1 + at / 50), gradient_norm=1.0)
        )
    random = np.random.default_rng(7)  # the same probes at every training step
    readings = [
        Reading(
            index={"probe": probe, "step": step},
            values={
                "alpha": alpha,
                "beta": beta,
                "epsilon": 1e-3,
                "rho": 5e-3,
                "error": error if step == 0 else np.nan,
                "seconds": 0.5,
            },
        )
        for probe in range(probes)
        for step, (alpha, beta) in enumerate(
            lanczos(eigenvalues(training_step or 0), random.choice([-1.0, 1.0], SIZE), steps)
        )
    ]
    payloads += readings[:stop]
    if end:
        payloads.append(RunEnded(state=end))
    name = run or f"at-{training_step}"
    events = [
        Event(seq=seq, time=1.79e9 + seq, job="job-1", run=name, payload=payload)
        for seq, payload in enumerate(payloads, start=1)
    ]
    return collect(events).dataset(name)
