"""Readings of a spectral density, probe by probe, until all are done or a quantity settled."""

import dataclasses
import itertools
import math
import time
from collections.abc import Generator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from torch import Tensor

from hessview.job.estimators.base import WHY, located, products_of, stand_in
from hessview.job.estimators.extremes import pairs
from hessview.operators.base import LossSurface, Operator, Product
from hessview.operators.finite_difference import Differences
from hessview.record.commands import Density
from hessview.record.events import Reading
from hessview.spectral.bounds import ENDS, End, Extreme, Pair, Steps, blind, extreme, furthest
from hessview.spectral.lanczos import LanczosStep, lanczos
from hessview.spectral.quadrature import standard_error

FEWEST = 4
"""Probes before a spread is believed: that of two is below half its expectation one time in
three, and a run that stops on such luck stops on a wrong number."""


class Probe(NamedTuple):
    """The result of a finished probe.

    Attributes:
        alpha: Lanczos diagonal coefficients.
        beta: Lanczos off-diagonal coefficients.
        extremes: Its largest and smallest Ritz value, with what they are worth.
    """

    alpha: Sequence[float]
    beta: Sequence[float]
    extremes: Mapping[End, Extreme]


def settled(command: Density, probes: Sequence[Probe]) -> str:
    """Why a run may end before its last probe.

    Args:
        command: Its `quantity` has to be known to within its `tolerance`, relative to itself.
        probes: Each finished probe; the same on all ranks, so that all come to the same answer.

    Returns:
        Which quantity settled, how well and after how many probes; "" if the run goes on.
    """
    if command.tolerance is None or len(probes) < FEWEST:
        return ""
    value, error = _estimate(command.quantity, probes)
    if not error <= command.tolerance * abs(value):
        return ""
    share = error / abs(value) if value else 0.0
    return (
        f"{command.quantity} settled to {share:.2g} of itself after {len(probes)} of "
        f"{command.probes} probes (tolerance {command.tolerance:g})"
    )


def _estimate(quantity: str, probes: Sequence[Probe]) -> tuple[float, float]:
    """Value of a quantity and its error."""
    match quantity:
        case "trace":
            return _mean([probe.alpha[0] for probe in probes])
        case "frobenius_norm":
            return _frobenius(probes)
        case "largest":
            return _extreme(probes, "largest")
        case _:
            return _extreme(probes, "smallest")


def _frobenius(probes: Sequence[Probe]) -> tuple[float, float]:
    square, error = _mean([probe.alpha[0] ** 2 + probe.beta[0] ** 2 for probe in probes])
    norm = math.sqrt(square)
    return norm, error / (2 * norm) if norm else error


def _extreme(probes: Sequence[Probe], end: End) -> tuple[float, float]:
    """The extreme eigenvalue; off by its bound, and by the spread between probes."""
    extremes = [probe.extremes[end] for probe in probes]
    best = furthest(extremes, end)
    if best.withheld:
        return math.nan, math.nan
    values = [estimate.value for estimate in extremes if not estimate.withheld]
    spread = float(np.std(values, ddof=1)) if len(values) > 1 else math.inf
    return best.value, best.bound + spread


def _mean(samples: Sequence[float]) -> tuple[float, float]:
    return float(np.mean(samples)), float(standard_error(samples))


def density(
    command: Density, surface: LossSurface, operator: Operator | None = None
) -> Generator[Reading, None, str]:
    """Run Lanczos from each random probe.

    Args:
        command: How many steps and probes, and how.
        surface: The loss whose curvature is asked for.
        operator: Gives its products; None makes the one that the command names.

    Yields:
        A reading a Lanczos step: coefficients, and what made the product trustworthy. A probe
        whose process broke down ends with beta = 0, before its last step. Where errors are
        measured and all vectors kept, a probe's last reading is of its extreme Ritz vectors.

    Returns:
        Why the run ended before its last probe, and why a probe was measured anew by exact
        products, where differences turned out to be blind; "" if neither.
    """
    if operator is None:
        operator, _ = products_of(command.operator, surface, command.epsilon)
    finished: list[Probe] = []
    note = ""
    while len(finished) < command.probes:
        probe = len(finished)
        columns: dict[str, list[float]] = {field.name: [] for field in dataclasses.fields(Steps)}
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
            finished_at = time.perf_counter()
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
                "seconds": finished_at - started,
            }
            yield Reading(index={"probe": probe, "step": index}, values=dict(values))
            started = finished_at
            for name, column in columns.items():
                column.append(values[name])
        ritz_pairs: list[Pair] = []
        if command.error_every and process.basis is not None:
            reading, ritz_pairs = pairs(
                command.operator, operator, surface, process.basis, columns, probe
            )
            yield reading
        full = process.basis is not None
        del process  # and its basis, before the next one is made
        steps = Steps(**{name: np.array(column) for name, column in columns.items()})
        if not note and full and blind(steps, surface.machine_epsilon):
            exact = stand_in(command.operator, surface, command.epsilon)
            if exact is not None and isinstance(operator, Differences):
                operator = exact
                note = f"probe {probe} was measured twice, as its products had no symmetry: {WHY}"
                continue  # its readings take the place of those before
        finished.append(_probe(columns, steps, ritz_pairs, surface.machine_epsilon, full=full))
        if probe + 1 < command.probes and (reason := settled(command, finished)):
            return "; ".join(filter(None, (reason, note)))
    return note


def _probe(
    columns: dict[str, list[float]],
    steps: Steps,
    ritz_pairs: list[Pair],
    machine_epsilon: float,
    *,
    full: bool,
) -> Probe:
    """The result of a finished probe."""
    extremes = {
        end: extreme(steps, end, machine_epsilon=machine_epsilon, pair=pair, full=full)
        for end, pair in itertools.zip_longest(ENDS, ritz_pairs)
    }
    return Probe(columns["alpha"], columns["beta"], extremes)


class _Process:
    """The steps of a Lanczos process, and the basis that it leaves."""

    basis: Tensor | None = None

    def __init__(self, steps: Generator[LanczosStep, None, Tensor | None]) -> None:
        self._steps = steps

    def __iter__(self) -> Generator[LanczosStep, None, None]:
        self.basis = yield from self._steps


class _Latest:
    """Keeps the latest product with its error estimates; Lanczos itself only sees vectors."""

    latest: Product

    def __init__(self, operator: Operator, error_every: int, probe: int) -> None:
        self._operator = operator
        self._error_every = error_every
        self._probe = probe
        self._count = 0

    def matvec(self, vector: Tensor) -> Tensor:
        # The first vector is random, the second lies among the top eigenvectors: D of both matters.
        every, count = self._error_every, self._count
        measure = every > 0 and (count == 0 or (count - 1) % every == 0)
        with located(probe=self._probe, step=count):
            product = self._operator.matvec(vector, measure_error=measure)
        self._count += 1
        # Else it would be kept until the next product is there.
        self.latest = dataclasses.replace(product, vector=vector.new_empty(0))
        return product.vector
