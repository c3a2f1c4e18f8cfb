"""Readings of a spectral density: Lanczos coefficients, probe by probe."""

import dataclasses
import itertools
import time
from collections.abc import Generator

import numpy as np
from torch import Tensor

from hessview.commands import Density
from hessview.job.located import located
from hessview.job.operator_of import WHY, products_of, stand_in
from hessview.job.pairs import pairs
from hessview.job.settling import Probe, settled
from hessview.messages import Reading
from hessview.operators.base import LossSurface, Operator, Product
from hessview.operators.differences import Differences
from hessview.spectral.bounds import ENDS, Pair, Steps, blind, extreme
from hessview.spectral.lanczos import LanczosStep, lanczos


def density(command: Density, surface: LossSurface) -> Generator[Reading, None, str]:
    """Run Lanczos from each random probe.

    Args:
        command: How many steps and probes, and how.
        surface: The loss whose curvature is asked for.

    Yields:
        A reading a Lanczos step: coefficients, and what made the product trustworthy. A probe
        whose process broke down ends with beta = 0, before its last step. Where errors are
        measured and all vectors kept, a probe's last reading is of its extreme Ritz vectors.

    Returns:
        Why the run ended before its last probe, and why a probe was measured anew by exact
        products, where differences turned out to be blind; "" if neither.
    """
    operator, _ = products_of(command.operator, surface, command.epsilon)
    finished: list[Probe] = []
    note = ""
    while len(finished) < command.probes:
        probe = len(finished)
        found: dict[str, list[float]] = {field.name: [] for field in dataclasses.fields(Steps)}
        products = _Latest(operator, command.error_every, probe)
        started = time.perf_counter()
        process = _Process(
            lanczos(
                products.matvec,
                surface.space.probe(command.seed, probe),
                command.steps,
                space=surface.space,
                reorthogonalize=command.reorthogonalize,
            )
        )
        for index, step in enumerate(process):
            now = time.perf_counter()
            product = products.latest
            values = {
                "alpha": step.alpha,
                "beta": step.beta,
                "asymmetry": step.asymmetry,
                "epsilon": product.epsilon,
                "rho": product.rho,
                "error": product.error,
                "gradients": float(product.gradients),
                "perturbation_error": product.perturbation_error,
                "perturbation_effect": product.perturbation_effect,
                "change": product.change,
                "flips": product.flips,
                "seconds": now - started,
            }
            yield Reading(index={"probe": probe, "step": index}, values=dict(values))
            started = now
            for name, column in found.items():
                column.append(values[name])
        anew: list[Pair] = []
        if command.error_every and process.basis is not None:
            reading, anew = pairs(command.operator, operator, surface, process.basis, found, probe)
            yield reading
        full = process.basis is not None
        del process  # and its basis, before the next one is made
        steps = Steps(**{name: np.array(column) for name, column in found.items()})
        if not note and full and blind(steps, surface.machine_epsilon):
            exact = stand_in(command.operator, surface, command.epsilon)
            if exact is not None and isinstance(operator, Differences):
                operator = exact
                note = f"probe {probe} was measured twice, as its products had no symmetry: {WHY}"
                continue  # its readings take the place of those before
        finished.append(_probe(found, steps, anew, surface.machine_epsilon, full=full))
        if probe + 1 < command.probes and (reason := settled(command, finished)):
            return "; ".join(filter(None, (reason, note)))
    return note


def _probe(
    found: dict[str, list[float]],
    steps: Steps,
    anew: list[Pair],
    machine_epsilon: float,
    *,
    full: bool,
) -> Probe:
    """What a finished probe says."""
    extremes = {
        end: extreme(steps, end, machine_epsilon=machine_epsilon, pair=pair, full=full)
        for end, pair in itertools.zip_longest(ENDS, anew)
    }
    return Probe(found["alpha"], found["beta"], extremes)


class _Process:
    """The steps of a Lanczos process, and the basis that it leaves."""

    basis: Tensor | None = None

    def __init__(self, steps: Generator[LanczosStep, None, Tensor | None]) -> None:
        self._steps = steps

    def __iter__(self) -> Generator[LanczosStep, None, None]:
        self.basis = yield from self._steps


class _Latest:
    """Keeps what the last product said of itself; Lanczos itself only sees vectors."""

    latest: Product

    def __init__(self, operator: Operator, error_every: int, probe: int) -> None:
        self._operator = operator
        self._error_every = error_every
        self._probe = probe
        self._count = 0

    def matvec(self, vector: Tensor) -> Tensor:
        # The first vector is random, the second lies among the top eigenvectors: both kinds count.
        every, count = self._error_every, self._count
        measure = every > 0 and (count == 0 or (count - 1) % every == 0)
        with located(probe=self._probe, step=count):
            product = self._operator.matvec(vector, measure_error=measure)
        self._count += 1
        # Else it would be kept until the next product is there.
        self.latest = dataclasses.replace(product, vector=vector.new_empty(0))
        return product.vector
