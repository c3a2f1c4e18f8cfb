"""Runs that measured the same thing at other epsilons, and one dataset over them all."""

import dataclasses
import json
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from hessview.record.datasets import check_recorded
from hessview.record.events import ENDED
from hessview.record.fingerprints import fingerprints
from hessview.record.measurements import MEASUREMENTS

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


def same_matrix(first: xr.Dataset, other: xr.Dataset) -> bool:
    """Whether two runs, of any commands, measured one operator with the same probes.

    Args:
        first: Dataset of a run, whole or still running.
        other: Dataset of another.

    Returns:
        Whether model, data, weights, operator, subset and seed are the same.
    """
    names = ["operator", "subset", "seed", *_same_weights(first, other)]
    return all(_equal(first.attrs.get(name), other.attrs.get(name)) for name in names)


def _are_siblings(first: xr.Dataset, other: xr.Dataset) -> bool:
    measurement = MEASUREMENTS.get(str(first.attrs.get("command")))
    if measurement is None or "epsilons" not in (fields := _fields(measurement.command)):
        return False
    names = ["command", *(name for name in fields if name != "epsilons")]
    names += _same_weights(first, other)
    return all(_equal(first.attrs.get(name), other.attrs.get(name)) for name in names)


def _same_weights(first: xr.Dataset, other: xr.Dataset) -> list[str]:
    """What two runs must share to be of one model at the same weights."""
    if "started" in first.attrs and "started" in other.attrs:
        return [*_SAME, *_SAME_ONCE_STARTED]
    return [*_SAME, "job"]  # one waits: only the job says at which weights it will be measured


def _fields(command: type) -> list[str]:
    return [field.name for field in dataclasses.fields(command)]


def _equal(first: object, other: object) -> bool:
    if isinstance(first, float) and isinstance(other, float):
        return math.isclose(first, other, rel_tol=_ROUNDING)
    return first == other


Array = NDArray[np.float64]

_SAME_EPSILON = 1e-9  # relative; such epsilons differ by how they were typed


def unite(datasets: Sequence[xr.Dataset]) -> xr.Dataset:
    """Join runs over epsilon: same directions or probes, all epsilons, ascending.

    At an epsilon that several runs measured, all numbers are those of the run that has most of
    them, since a spectrum pieced together from two Lanczos processes would be neither's.

    Args:
        datasets: Siblings (see `analysis.grouping`) in the order in which they were asked for; at
            least one.

    Raises:
        RecordError: Numbers are not those that a run recorded.

    Returns:
        One dataset, that of the run itself if there is only one. Its attrs are the first run's,
        but for epsilons; runs, a JSON list of identities; and run, state and error, which are
        those of a run under way, or else of the latest that left something unmeasured.
    """
    first = datasets[0]
    if len(datasets) == 1:
        return first
    sources = _sources(datasets)
    deciding = _deciding(datasets, sources)
    epsilons = np.array([source.epsilon for source in sources])
    for ds in datasets:
        check_recorded(ds)
    arrays = {
        str(name): (tuple(map(str, variable.dims)), _joined(datasets, sources, str(name)))
        for name, variable in first.data_vars.items()
    }
    labels = {str(dim): first[dim].values for dim in first.dims} | {"epsilon": epsilons}
    return xr.Dataset(
        {name: (dims, values, first[name].attrs) for name, (dims, values) in arrays.items()},
        {
            **first.drop_vars("epsilon").coords,
            "epsilon": ("epsilon", epsilons, first.epsilon.attrs),
        },
        {
            **first.attrs,
            "epsilons": json.dumps(epsilons.tolist()),
            "runs": json.dumps([str(ds.attrs.get("run", "")) for ds in datasets]),
            **{name: str(deciding.attrs.get(name, "")) for name in ("run", "state", "error")},
            **fingerprints(arrays, labels, first.attrs),
        },
    )


class _Source(NamedTuple):
    """Where the numbers at an epsilon come from, and how many there are."""

    epsilon: float
    run: int
    position: int
    measured: int


def _sources(datasets: Sequence[xr.Dataset]) -> list[_Source]:
    """Each epsilon once, ascending."""
    every = sorted(
        _Source(epsilon, run, index, count)
        for run, ds in enumerate(datasets)
        for index, (epsilon, count) in enumerate(
            zip(ds.epsilon.values.tolist(), _measured(ds).tolist(), strict=True)
        )
    )
    chosen: list[_Source] = []
    for source in every:
        if not (chosen and math.isclose(source.epsilon, chosen[-1].epsilon, rel_tol=_SAME_EPSILON)):
            chosen.append(source)
        elif source.measured > chosen[-1].measured:
            chosen[-1] = source
    return chosen


def _measured(ds: xr.Dataset) -> NDArray[np.int64]:
    """How many numbers there are at each epsilon, shape (epsilon,)."""
    variables = [ds[name].transpose("epsilon", ...) for name in ds if "epsilon" in ds[name].dims]
    counts = [
        np.isfinite(variable.values).reshape(len(variable), -1).sum(axis=1)
        for variable in variables
    ]
    return np.asarray(np.sum(counts, axis=0))


def _joined(datasets: Sequence[xr.Dataset], sources: list[_Source], name: str) -> Array:
    dims = datasets[0][name].dims
    if "epsilon" in dims:
        axis = dims.index("epsilon")
        columns = [
            datasets[source.run][name].values.take(source.position, axis) for source in sources
        ]
        return np.stack(columns, axis=axis)
    values = np.asarray(datasets[0][name].values)
    for ds in datasets[1:]:  # what every run measures again, such as the automatic epsilon
        values = np.where(np.isnan(values), ds[name].values, values)
    return values


def _deciding(datasets: Sequence[xr.Dataset], sources: list[_Source]) -> xr.Dataset:
    """The run whose state is that of all: see `unite`."""
    for ds in datasets:
        if ds.attrs.get("state", "done") not in ENDED:
            return ds
    whole = max(source.measured for source in sources)
    incomplete_runs = {source.run for source in sources if source.measured < whole}
    for run, ds in reversed(list(enumerate(datasets))):
        if run in incomplete_runs and ds.attrs.get("state", "done") != "done":
            return ds
    return next((ds for ds in datasets if ds.attrs.get("state", "done") == "done"), datasets[0])
