"""A job's events without a job: numpy Lanczos on a matrix with a network's kind of spectrum."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Literal

import numpy as np
import xarray as xr

from hessview.record.collect import Collector, collect
from hessview.record.commands import Density, command_to_json
from hessview.record.events import (
    Event,
    JobStarted,
    Payload,
    Reading,
    RunEnded,
    RunQueued,
    RunStarted,
)

OUTLIERS = np.array([41.3, 27.6, 19.5, 14.9, 11.8, 9.3, 7.4, 6.1, -1.9, -1.1])


JOB = {
    "model": "SmolLM2-135M-Instruct",
    "revision": "SmolLM2-135M-Instruct.Q4_1.gguf",
    "parameters": 134_515_008,
    "blocks": {"embedding": 28_311_552, "layer.0": 3_540_096},
    "world_size": 2,
    "mesh": {"shard": 2},
    "device": "cpu",
    "dtype": "float32",
    "compute_dtype": "float32",
    "loss": 2.874,
    "gradient_norm": 1.93,
    "weight": 4096.0,
    "weight_unit": "tokens",
    "batches": 4,
    "digest": "9f2c41d07be1",
    "seed": 0,
    "tau": 4.9e-3,
    "versions": {"hessview": "0.1.0", "torch": "2.13.0", "python": "3.11.9"},
    "host": "node-a",
}


def by_hand(ds: xr.Dataset) -> xr.Dataset:
    """A dataset whose numbers a test may set: it is that of no run any more, and claims none."""
    marks = ("fingerprints", "fingerprints_count_in")
    return ds.drop_attrs(deep=False).assign_attrs(
        {name: value for name, value in ds.attrs.items() if name not in marks}
    )


def spectrum(parameters: int = 600, seed: int = 0) -> np.ndarray:
    """A power-law bulk about zero, a tenth of it negative, and outliers; shape (parameters,)."""
    random = np.random.default_rng(seed)
    bulk = 2e-3 / random.uniform(1e-3, 1, parameters - len(OUTLIERS)) ** 1.1
    bulk[random.uniform(size=len(bulk)) < 0.1] *= -0.15
    return np.concatenate([bulk, OUTLIERS])


def lanczos(
    eigenvalues: np.ndarray, start: np.ndarray, steps: int, *, kept: int | None = None
) -> Iterator[tuple[float, float]]:
    """Alpha and beta of each step in the eigenbasis, reorthogonalised against the last so many."""
    basis = [start / np.linalg.norm(start)]
    for _ in range(steps):
        vector = eigenvalues * basis[-1]
        alpha = float(vector @ basis[-1])
        for _ in range(2):
            span = np.array(basis if kept is None else basis[-kept:])
            vector = vector - span.T @ (span @ vector)
        beta = float(np.linalg.norm(vector))
        yield alpha, beta
        basis.append(vector / beta)


def job_started(**changes: object) -> JobStarted:
    """What a job says first, with what a test changes of it."""
    return JobStarted(**{**JOB, **changes})


def payloads(
    *,
    probes: int = 4,
    steps: int = 48,
    model: str = JOB["model"],
    stop: int | None = None,
    end: str | None = "done",
    error: str = "",
    seed: int = 0,
    parameters: int = 600,
    reorthogonalize: int | Literal["full", "none"] = "full",
) -> Iterator[Payload]:
    """What a job says during a run; `stop` readings, then `end` ("" leaves it running)."""
    kept = {"full": None, "none": 2}.get(reorthogonalize, reorthogonalize)
    eigenvalues = spectrum(parameters, seed)
    random = np.random.default_rng(seed + 1)
    yield job_started(model=model)
    command = Density(steps=steps, probes=probes, seed=seed, reorthogonalize=reorthogonalize)
    yield RunQueued(command=command_to_json(command))
    if stop is None or stop >= 0:
        yield RunStarted(training_step=None, loss=2.874, gradient_norm=1.93)
    count = 0
    for probe in range(probes):
        start = random.standard_normal(parameters)
        start[-len(OUTLIERS) :] *= 1e-2  # as light as single directions of a large model
        for step, (alpha, beta) in enumerate(lanczos(eigenvalues, start, steps, kept=kept)):
            if stop is not None and count >= stop:
                break
            count += 1
            yield Reading(
                index={"probe": probe, "step": step},
                values={
                    "alpha": alpha,
                    "beta": beta,
                    "asymmetry": 1e-4 * (1 + np.sin(step) ** 2) if step else 0.0,
                    "epsilon": 4.8e-3 / np.hypot(alpha, beta),
                    "rho": 4.9e-3 * (1 + 0.2 * np.sin(step)),
                    "error": 3.1e-4 if step % 16 == 0 else np.nan,
                    "gradients": 2.0,
                    "seconds": 1.4,
                },
            )
    if end:
        yield RunEnded(state=end, error=error)


def recorded(run: str, payloads: Iterable[Payload]) -> list[Event]:
    """The events of payloads, of which the first may be the job's own word."""
    return [
        Event(
            seq=seq,
            time=1.79e9 + seq,
            job="job-1",
            run="" if isinstance(payload, JobStarted) else run,
            payload=payload,
        )
        for seq, payload in enumerate(payloads, start=1)
    ]


def events(run: str = "density-1", **options: object) -> list[Event]:
    """The record of `payloads`."""
    return recorded(run, payloads(**options))


def dataset(run: str = "density-1", **options: object) -> xr.Dataset:
    """The fold of `events`."""
    return collect(events(run, **options)).dataset(run)


class LiveRun:
    """A run whose events arrive one by one from a thread, as a session's do.

    It may pause after some events, until it is told to go on.
    """

    def __init__(
        self, *, seconds: float = 0.05, pause: int | None = None, **options: object
    ) -> None:
        self.id = "density-1"
        self._collector = Collector()
        self._callbacks: list[Callable[[], None]] = []
        self._events = events(self.id, **options)
        self._seconds = seconds
        self._pause = pause
        self._go_on = threading.Event()
        self.lost: Exception | None = None
        for _ in range(2):  # the job's word, and the command
            self._collector.add(self._events.pop(0))
        self._thread = threading.Thread(target=self._arrive, daemon=True)

    def start(self) -> "LiveRun":
        self._thread.start()
        return self

    def lose(self, error: Exception) -> None:
        self.lost = error
        self._tell()

    def go_on(self) -> None:
        self._go_on.set()

    def join(self) -> None:
        self._thread.join()

    @property
    def dataset(self) -> xr.Dataset:
        return self._collector.dataset(self.id)

    def on_change(self, callback: Callable[[], None]) -> Callable[[], None]:
        self._callbacks.append(callback)
        return lambda: self._callbacks.remove(callback)

    @property
    def watchers(self) -> int:
        return len(self._callbacks)

    def _arrive(self) -> None:
        for position, event in enumerate(self._events):
            if position == self._pause:
                self._go_on.wait()
            time.sleep(self._seconds)
            if self.lost is not None:
                return
            self._collector.add(event)
            self._tell()

    def _tell(self) -> None:
        for callback in list(self._callbacks):
            callback()
