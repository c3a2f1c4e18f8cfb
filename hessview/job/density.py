"""Readings of a spectral density: Lanczos coefficients, probe by probe."""

import dataclasses
import time
from collections.abc import Generator

from torch import Tensor

from hessview.commands import Density
from hessview.job.located import located
from hessview.job.operator_of import operator_of
from hessview.job.settling import Coefficients, settled
from hessview.messages import Reading
from hessview.operators.base import LossSurface, Operator, Product
from hessview.spectral.lanczos import lanczos


def density(command: Density, surface: LossSurface) -> Generator[Reading, None, str]:
    """Run Lanczos from each random probe.

    Args:
        command: How many steps and probes, and how.
        surface: The loss whose curvature is asked for.

    Yields:
        A reading a Lanczos step: coefficients, and what made the product trustworthy. A probe
        whose process broke down ends with beta = 0, before its last step.

    Returns:
        Why the run ended before its last probe, "" if it did not.
    """
    operator = operator_of(command.operator, surface, command.epsilon)
    finished: list[Coefficients] = []
    for probe in range(command.probes):
        finished.append(([], []))
        products = _Latest(operator, command.error_every, probe)
        started = time.perf_counter()
        steps = lanczos(
            products.matvec,
            surface.space.probe(command.seed, probe),
            command.steps,
            space=surface.space,
            reorthogonalize=command.reorthogonalize,
        )
        for index, step in enumerate(steps):
            now = time.perf_counter()
            product = products.latest
            yield Reading(
                index={"probe": probe, "step": index},
                values={
                    "alpha": step.alpha,
                    "beta": step.beta,
                    "epsilon": product.epsilon,
                    "rho": product.rho,
                    "error": product.error,
                    "gradients": float(product.gradients),
                    "perturbation_error": product.perturbation_error,
                    "perturbation_effect": product.perturbation_effect,
                    "flips": product.flips,
                    "seconds": now - started,
                },
            )
            started = now
            finished[-1][0].append(step.alpha)
            finished[-1][1].append(step.beta)
        if probe + 1 < command.probes and (reason := settled(command, finished)):
            return reason
    return ""


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
