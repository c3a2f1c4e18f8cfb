"""A run of every command without a job, its numbers known: events folded by `collect`."""

from typing import Literal

import numpy as np
import xarray as xr

from helpers.coupled import NAMES, operator
from helpers.coupled import payloads as coupling_payloads
from helpers.emulated import OUTLIERS, lanczos, recorded, spectrum
from helpers.emulated import payloads as density_payloads
from hessview.record.collect import collect
from hessview.record.commands import (
    Accuracy,
    Benchmark,
    Command,
    Density,
    EpsilonSweep,
    FractionSweep,
    command_to_json,
)
from hessview.record.events import Payload, Reading, RunEnded, RunQueued, RunStarted

EPSILONS = np.logspace(-6, -1, 11)
SWEPT = (1e-5, 1e-4, 1e-3, 1e-2)
FRACTIONS = (0.25, 0.5, 1.0)
NOISE, BENDS, NORMS = 4e-6, (0.9, 2.1, 160.0), (1.4, 1.9, 41.0)
SIZES = (60, 40, 40, 30)


def v(direction: int, epsilon: np.ndarray | float) -> np.ndarray:
    """Errors as theorem 3.1 has them."""
    return (NOISE / epsilon + BENDS[direction] * epsilon**2) / NORMS[direction]


def accuracy_readings(*, exact: bool = True) -> list[Reading]:
    random = np.random.default_rng(3)
    readings = []
    for direction in range(3):
        best = (NOISE / (2 * BENDS[direction])) ** (1 / 3)
        own = {
            "auto_epsilon": 1.4 * best,
            "auto_relative_error": 0.5 * v(direction, 1.4 * best),
            "auto_error": 0.8 * v(direction, 1.4 * best),
            "auto_rho": 4.9e-3,
            "auto_cosine": 1 - 1e-9,
            "auto_seconds": 9.0,
            "norm": NORMS[direction],
            "curvature": 0.7 * NORMS[direction],
            "reference_error": 2e-9 if exact else 8e-4,
            "exact": float(exact),
            "noise": NOISE,
            "bend": BENDS[direction],
            "order": 2.0,
        }
        readings.append(Reading(index={"direction": direction}, values=own))
        for place, epsilon in enumerate(EPSILONS.tolist()):
            error = v(direction, epsilon) * random.uniform(0.4, 0.9)
            values = {
                "relative_error": error,
                "cosine": float(1 - min(error**2 / 2, 1)),
                "rho": epsilon,
                "error": 1.6 * error,
                "gradients": 2.0,
                "seconds": 1.5,
            }
            index = {"direction": direction, "epsilon": place}
            readings.append(Reading(index=index, values=values))
    return readings


def sweep_readings(
    setting: str, steps: int, probes: int, reorthogonalize: str = "full"
) -> list[Reading]:
    """Spectra that move with the setting; the least epsilon gives noise."""
    kept = {"full": None, "none": 2}[reorthogonalize]
    moves = {
        "epsilon": ((2.0, 0.9), (0.03, 0.02), (0.0, 0.002), (0.01, 0.03)),
        "fraction": ((0.25, 0.004), (0.1, 0.003), (0.0, 0.003)),
    }[setting]
    readings = []
    for place, (move, error) in enumerate(moves):
        random = np.random.default_rng(5)  # the same probes at every setting
        for probe in range(probes):
            start = random.standard_normal(600)
            start[-len(OUTLIERS) :] *= 3e-2
            eigenvalues = spectrum() * (1 + move)
            for step, (alpha, beta) in enumerate(lanczos(eigenvalues, start, steps, kept=kept)):
                values = {
                    "alpha": alpha,
                    "beta": beta,
                    "rho": 5e-3,
                    "error": error if step % 8 == 0 else np.nan,
                    "seconds": 1.0,
                }
                index = {setting: place, "probe": probe, "step": step}
                readings.append(Reading(index=index, values=values))
    return readings


def benchmark_readings(repetitions: int) -> list[Reading]:
    readings = [
        Reading(
            index={"work": place},
            values={"collectives": [4.0 * (1 + place)] * 3, "peak_memory": 2.0**28 * (1 + place)},
        )
        for place in range(2)
    ]
    for repetition in range(repetitions):
        slow = 1 + 0.02 * repetition
        values = {"seconds": [0.5, 1.02 * slow], "orthogonalise_seconds": [0.01, 0.02, 0.05]}
        readings.append(Reading(index={"repetition": repetition}, values=values))
    return readings


def payloads_of(command: Command, readings: list[Reading], end: str) -> list[Payload]:
    payloads: list[Payload] = [next(density_payloads())]
    payloads.append(RunQueued(command=command_to_json(command)))
    payloads += [RunStarted(training_step=None, loss=2.874, gradient_norm=1.93), *readings]
    return payloads + ([RunEnded(state=end)] if end else [])


def run_payloads(
    name: str,
    *,
    stop: int | None = None,
    end: str = "done",
    names: tuple[str, ...] = NAMES,
    noise: float = 1e-3,
    exact: bool = True,
    probes: int = 3,
    reorthogonalize: Literal["full", "none"] = "full",
    steps: int = 24,
) -> list[Payload]:
    """What a job says during a run of the command.

    Of one that was stopped, so many readings, and `end` ("": running). Of a coupling, names are
    its blocks', noise that of its products, and probes how many there are.
    """
    lanczos_of = {"steps": steps, "probes": 2, "reorthogonalize": reorthogonalize}
    if name == "coupling":
        payloads = list(
            coupling_payloads(
                operator(SIZES), SIZES, probes=probes, noise=noise, names=names, end=""
            )
        )
        payloads = payloads[:3] + payloads[3:][:stop] + ([RunEnded(state=end)] if end else [])
    else:
        command, readings = {
            "accuracy": lambda: (
                Accuracy(epsilons=tuple(EPSILONS)),
                accuracy_readings(exact=exact),
            ),
            "benchmark": lambda: (Benchmark(), benchmark_readings(3)),
            "density": lambda: (Density(**lanczos_of), []),
            "epsilon_sweep": lambda: (
                EpsilonSweep(epsilons=SWEPT, **lanczos_of),
                sweep_readings("epsilon", **lanczos_of),
            ),
            "fraction_sweep": lambda: (
                FractionSweep(fractions=FRACTIONS, **lanczos_of),
                sweep_readings("fraction", **lanczos_of),
            ),
        }[name]()
        payloads = payloads_of(command, readings[:stop], end)
    return payloads


def dataset_of(name: str, **options: object) -> xr.Dataset:
    """The fold of `run_payloads`, of which it takes the options."""
    run = f"{name}-1"
    return collect(recorded(run, run_payloads(name, **options))).dataset(run)
