"""Runs that measured the same thing at other steps, and may be read as one."""

import dataclasses
import math
from collections.abc import Sequence

import xarray as xr

from hessview.commands.wire import COMMANDS

# What makes two runs the same measurement besides their commands. The loss and the gradient's
# norm tell weights apart that changed without a training step; a rerun's agree to the last bit.
_SAME = (
    *("model", "revision", "digest", "parameters", "blocks", "weight", "job_seed"),
    *("dtype", "compute_dtype", "world_size", "mesh", "device", "tau"),
)
_SAME_ONCE_STARTED = ("training_step", "loss", "gradient_norm")
_ROUNDING = 1e-6  # relative; between two passes of a device that sums in no fixed order


def siblings(datasets: Sequence[xr.Dataset]) -> list[list[xr.Dataset]]:
    """Group runs whose commands differ in their epsilons only, of one model at the same weights.

    Args:
        datasets: Datasets of runs, whole or still running.

    Returns:
        Groups in the order of their first members; a run without siblings is a group of one.
    """
    groups: list[list[xr.Dataset]] = []
    for ds in datasets:
        for group in groups:
            if _are_siblings(group[0], ds):
                group.append(ds)
                break
        else:
            groups.append([ds])
    return groups


def same_matrix(one: xr.Dataset, other: xr.Dataset) -> bool:
    """Whether two runs, of any commands, measured one operator with the same probes.

    Args:
        one: Dataset of a run, whole or still running.
        other: Dataset of another.

    Returns:
        Whether model, data, weights, operator, subset and seed are the same.
    """
    names = ["operator", "subset", "seed", *_same_weights(one, other)]
    return all(_equal(one.attrs.get(name), other.attrs.get(name)) for name in names)


def _are_siblings(one: xr.Dataset, other: xr.Dataset) -> bool:
    command = COMMANDS.get(str(one.attrs.get("command")))
    if command is None or "epsilons" not in (fields := _fields(command)):
        return False
    names = ["command", *(name for name in fields if name != "epsilons")]
    names += _same_weights(one, other)
    return all(_equal(one.attrs.get(name), other.attrs.get(name)) for name in names)


def _same_weights(one: xr.Dataset, other: xr.Dataset) -> list[str]:
    """What two runs must share to be of one model at the same weights."""
    if "started" in one.attrs and "started" in other.attrs:
        return [*_SAME, *_SAME_ONCE_STARTED]
    return [*_SAME, "job"]  # one waits: only the job says at which weights it will be measured


def _fields(command: type) -> list[str]:
    return [field.name for field in dataclasses.fields(command)]


def _equal(one: object, other: object) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=_ROUNDING)
    return one == other
