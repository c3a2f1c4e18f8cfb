"""Density runs of a training without a job: a dense matrix whose outliers grow with the step."""

import dataclasses
from typing import Literal

import numpy as np
import xarray as xr

from helpers import emulated
from hessview.record.collect import collect
from hessview.record.commands import Density, command_to_json
from hessview.record.events import Reading, RunEnded, RunQueued, RunStarted

SIZE = 80


def eigenvalues(training_step: int) -> np.ndarray:
    """Ascending; the largest is 1 + training_step / 10, the least -0.5 at any step."""
    bulk = np.random.default_rng(1).normal(0, 0.02, SIZE - 4)
    return np.sort(np.concatenate([bulk, [-0.5, 0.4, 0.7, 1 + training_step / 10]]))


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
    reorthogonalize: Literal["full", "none"] = "full",
) -> xr.Dataset:
    """A density run at a training step; of one that was stopped, so many readings."""
    command = Density(
        steps=steps, probes=probes, operator=operator, reorthogonalize=reorthogonalize
    )
    payloads = [
        dataclasses.replace(
            next(emulated.payloads()),
            model=model,
            parameters=SIZE,
            blocks={"layer": SIZE},
            loss=5.5,
            gradient_norm=1.0,
        ),
        RunQueued(command=command_to_json(command)),
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
            emulated.lanczos(
                eigenvalues(training_step or 0),
                random.choice([-1.0, 1.0], SIZE),
                steps,
                kept=None if reorthogonalize == "full" else 2,
            )
        )
    ]
    payloads += readings[:stop]
    if end:
        payloads.append(RunEnded(state=end))
    name = run or f"at-{training_step}"
    return collect(emulated.recorded(name, payloads)).dataset(name)
