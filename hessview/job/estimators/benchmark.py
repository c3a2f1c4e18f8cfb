"""Readings of what gradients, products and Lanczos steps cost on these ranks."""

import contextlib
import ctypes
import gc
import math
import pathlib
import sys
import time
from collections.abc import Callable, Generator
from typing import Any

import torch
import torch.distributed as dist

from hessview.errors import InputError
from hessview.job.estimators.base import operator_of
from hessview.job.memory import Collectives
from hessview.operators.base import LossSurface, Operator
from hessview.record.commands import Benchmark
from hessview.record.events import Reading


def benchmark(
    command: Benchmark, surface: LossSurface, operator: Operator | None = None
) -> Generator[Reading, None, None]:
    """Time a gradient, every operator's product and Lanczos steps, in turn and several times.

    Each repetition times everything once, so that a disturbance of the machine touches what is
    compared alike. Only ratios within one run mean anything.

    Args:
        command: What to time, and how often.
        surface: The loss.
        operator: Not used: those that the command names are made, and warmed up, in turn.

    Yields:
        Counts and memory of a gradient and of each operator's product; then, for each
        repetition, seconds of everything.
    """
    vector = surface.space.probe(command.seed, 0)
    gradient = surface.space.zeros()
    work: list[Callable[[], Any]] = [lambda: surface.gradient(gradient.zero_())]
    for name in command.operators:
        timed = operator_of(name, surface, command.epsilon)
        timed.matvec(vector)  # so that the rule for epsilon has its start
        work.append(lambda timed=timed: timed.matvec(vector))  # type: ignore[misc]

    for work_index, task in enumerate(work):
        yield Reading(
            index={"work": work_index},
            values={"collectives": _collectives(task), "peak_memory": _peak_memory(surface, task)},
        )

    deepest = _check_depth(command, surface)
    basis = torch.randn(deepest, surface.space.local_size, device=surface.space.device)
    basis = basis.to(surface.space.dtype).div_(math.sqrt(surface.space.size))
    for repetition in range(command.probes):
        seconds = [_seconds(surface, task) for task in work]
        orthogonalise_seconds = []
        for depth in command.depths:
            rows, vector_to_orthogonalise = basis[:depth], surface.space.zeros()

            def orthogonalise(
                rows: torch.Tensor = rows,
                vector_to_orthogonalise: torch.Tensor = vector_to_orthogonalise,
            ) -> None:
                first = surface.space.products(rows, vector_to_orthogonalise)[:-1]
                second = surface.space.products(rows, vector_to_orthogonalise, subtract=first)[:-1]
                surface.space.subtract(rows, second, vector_to_orthogonalise)

            orthogonalise_seconds.append(_seconds(surface, orthogonalise))
        yield Reading(
            index={"repetition": repetition},
            values={"seconds": seconds, "orthogonalise_seconds": orthogonalise_seconds},
        )


def _check_depth(command: Benchmark, surface: LossSurface) -> int:
    deepest = max(command.depths, default=1)
    if deepest > surface.space.size:
        raise InputError(
            f"depths={list(command.depths)} exceed the {surface.space.size:,} parameters; use "
            f"depths <= {surface.space.size}."
        )
    return deepest


def _seconds(surface: LossSurface, work: Callable[[], Any]) -> float:
    """Time from when all ranks are ready until all are done."""
    _meet(surface)
    started = time.perf_counter()
    work()
    _meet(surface)
    return time.perf_counter() - started


def _meet(surface: LossSurface) -> None:
    if surface.space.device.type == "cuda":
        torch.cuda.synchronize(surface.space.device)
    if dist.is_initialized():
        dist.barrier()


def _collectives(work: Callable[[], Any]) -> list[float]:
    """How many collectives of each kind a piece of work needs."""
    with Collectives() as collectives:
        work()
    return [float(collectives.counts[kind]) for kind in Benchmark.COLLECTIVES]


def _peak_memory(surface: LossSurface, work: Callable[[], Any]) -> float:
    """Peak memory of a piece of work above what was held before, in bytes; the largest rank's."""
    device = surface.space.device
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        work()
        peak = float(torch.cuda.max_memory_allocated(device) - before)
    elif sys.platform == "linux":
        gc.collect()
        _give_back()
        # 5 resets the high-water mark of this process's resident set, see proc(5).
        pathlib.Path("/proc/self/clear_refs").write_text("5")
        before = _resident("VmRSS")
        work()
        peak = float(_resident("VmHWM") - before)
    else:
        work()
        return math.nan
    largest = torch.tensor([peak], device=device, dtype=torch.float64)
    if dist.is_initialized():
        dist.all_reduce(largest, dist.ReduceOp.MAX)
    return float(largest)


def _give_back() -> None:
    """Return freed memory to the system; what the allocator keeps would be used again unseen."""
    with contextlib.suppress(OSError, AttributeError):  # a C library without malloc_trim
        ctypes.CDLL(None).malloc_trim(0)


def _resident(field: str) -> int:
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    return 0
