"""Readings of spectra over epsilon, and over parts of the data."""

import dataclasses
import math
from collections.abc import Generator

from hessview.errors import InputError
from hessview.job.estimators.density import density
from hessview.job.loss import ShardedLoss
from hessview.operators.base import Operator
from hessview.record.commands import Density, EpsilonSweep, FractionSweep, LanczosCommand
from hessview.record.events import Reading


def epsilon_sweep(
    command: EpsilonSweep, surface: ShardedLoss, operator: Operator | None = None
) -> Generator[Reading, None, None]:
    """A spectrum at each epsilon, from the same probes.

    Args:
        command: Which epsilons, and how many Lanczos steps and probes.
        surface: The loss whose curvature is asked for.
        operator: Not used: each epsilon has one of its own.

    Yields:
        The readings of each density, at its place along epsilon.

    Raises:
        InputError: The operator's products have no epsilon.
    """
    for epsilon_index, epsilon in enumerate(command.epsilons):
        for reading in density(_density(command, epsilon=epsilon), surface):
            if math.isnan(float(reading.values.get("epsilon", epsilon))):  # type: ignore[arg-type]
                raise InputError(
                    f"operator {command.operator!r} has no epsilon, so its spectrum is the same at "
                    'every epsilon; use operator="hessian", or density.'
                )
            values = {name: v for name, v in reading.values.items() if name != "epsilon"}
            yield Reading(index={"epsilon": epsilon_index, **reading.index}, values=values)


def fraction_sweep(
    command: FractionSweep, surface: ShardedLoss, operator: Operator | None = None
) -> Generator[Reading, None, None]:
    """A spectrum on each part of the data, from the same probes.

    Args:
        command: Which parts, and how many Lanczos steps and probes.
        surface: The loss of the whole data set.
        operator: Not used: each part of the data has one of its own.

    Yields:
        For each part what it holds, then the readings of its density.

    Raises:
        InputError: Two of the parts hold the same batches.
    """
    objective = surface.objective
    batch_count = len(objective.batches)
    counts = [max(1, round(part * batch_count)) for part in command.fractions]
    if len(set(counts)) < len(counts):
        raise InputError(
            f"fractions={list(command.fractions)} of {batch_count} batches are {counts} batches, "
            f"some of them the same; use fractions that are further apart than 1/{batch_count}, or "
            "smaller batches."
        )
    for fraction_index, count in enumerate(counts):
        batches = [objective.batches[index] for index in range(count)]
        part = surface.part(
            objective=dataclasses.replace(objective, batches=batches), subset=command.subset
        )
        part.measure()
        yield Reading(
            index={"fraction": fraction_index},
            values={
                "batches": float(count),
                "part_weight": part.weight,
                "part_loss": part.loss,
                "part_gradient_norm": part.gradient_norm,
            },
        )
        for reading in density(_density(command), part):
            yield Reading(
                index={"fraction": fraction_index, **reading.index}, values=reading.values
            )


def _density(command: LanczosCommand, **changed: float) -> Density:
    """The density that a sweep asks for at one setting."""
    fields = {field.name: getattr(command, field.name) for field in _FIELDS}
    return Density(**(fields | changed))


_FIELDS = dataclasses.fields(LanczosCommand)
