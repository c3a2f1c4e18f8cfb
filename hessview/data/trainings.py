"""Which density runs tell of which training."""

from collections.abc import Iterable
from typing import Any

import xarray as xr

from hessview.data.ritz import ritz
from hessview.data.training import SAME, each_run, training
from hessview.errors import InputError, RecordError


def trainings(runs: Iterable[xr.Dataset]) -> list[list[xr.Dataset]]:
    """Group density runs by their training, where there are spectra to follow through it.

    Args:
        runs: Datasets of runs of any command, half-done ones too.

    Returns:
        Groups that `training` joins, in the order of their first members: of two or more
        training steps, at one of which at least a probe is whole. Other runs are in none.
    """
    groups: dict[tuple[Any, ...], list[xr.Dataset]] = {}
    for ds in runs:
        if ds.attrs.get("training_step") is not None and ds.attrs.get("command") == "density":
            groups.setdefault(tuple(ds.attrs.get(key) for key in SAME), []).append(ds)
    return [group for group in groups.values() if _can_be_followed(group)]


def _can_be_followed(group: list[xr.Dataset]) -> bool:
    if len({ds.attrs["training_step"] for ds in group}) < 2:
        return False
    try:
        joined = training(group)
    except InputError:  # of sizes that cannot be joined
        return False
    return any(_has_spectrum(run) for run in each_run(joined))


def _has_spectrum(run: xr.Dataset) -> bool:
    try:
        return bool(ritz(run).finished.any())
    except RecordError:  # nothing measured
        return False
