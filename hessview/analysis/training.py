"""Density runs joined along the training step, and what they tell over a training.

`join_training` makes one dataset of them and `run_at` takes one out again; `history` gives extremes
and trace at each training step, and `trainings` says which runs belong to one training.
"""

import json
from collections.abc import Iterable
from typing import Any

import numpy as np
import xarray as xr

from hessview.analysis.headline import headline, warn_of_rounding
from hessview.analysis.ritz import ritz
from hessview.errors import InputError, RecordError
from hessview.record.commands import Density
from hessview.record.datasets import as_datasets, check_recorded
from hessview.record.events import ENDED
from hessview.record.fingerprints import ATTRIBUTE
from hessview.record.measurements import command_in
from hessview.record.validation import MOST_READINGS

QUANTITIES = ("largest", "smallest", "trace")
SAME = ("model", "parameters", "operator", "subset", "digest")
"""What runs must share for their spectra to be those of one training."""

_ENDS = ("uncertainty", "low", "high", "level")
_PER_RUN = (
    *("run", "state", "error", "note", "started", "job", "training_step", "steps", "probes"),
    ATTRIBUTE,  # a coordinate, since that of many runs takes more than a file's attribute may
)


def join_training(runs: xr.DataTree | Iterable[xr.Dataset]) -> xr.Dataset:
    """Join density runs of one training along the training step.

    A run carries its training step if the job polled with one: `job.poll(training_step=step)`.
    Other runs are left out. Of several at one training step, the one with most readings counts,
    and of equals the later one. Runs of other sizes are padded with NaN; `run_at` takes one out
    again.

    Args:
        runs: Datasets of runs, half-done ones too, or the tree of `hessview.open_runs`.

    Returns:
        The variables of a density over (training_step, probe, step), with loss and gradient_norm
        over (training_step); the coordinates run, state, probes and steps say which run each step
        comes from, where it stands and what it was asked for. attrs are what all runs share, and
        attrs["of_runs"] holds the others of each run, as JSON by training step; the state is
        "running" until all have ended.

    Raises:
        InputError: The runs are not of one training, such as of two models or operators, or of
            sizes that cannot be joined.
        RecordError: There is no density run that carries a training step.
    """
    by_training_step = _by_training_step(as_datasets(runs))
    if not by_training_step:
        raise RecordError(
            "no density run carries a training step; let the script call "
            "job.poll(training_step=step), and ask for densities meanwhile."
        )
    ordered = [by_training_step[training_step] for training_step in sorted(by_training_step)]
    _check_same(ordered)
    probes = max(ds.sizes["probe"] for ds in ordered)
    steps = max(ds.sizes["step"] for ds in ordered)
    if len(ordered) * probes * steps > MOST_READINGS:
        raise InputError(
            f"{len(ordered)} runs of up to {probes:,} probes and up to {steps:,} steps are too "
            "many to be joined; pass those of one size, such as "
            f"[ds for ds in runs if ds.sizes['step'] == {ordered[0].sizes['step']}]."
        )
    whole = {"probe": np.arange(probes), "step": np.arange(1, steps + 1)}
    names = [str(name) for name in ordered[0].data_vars if all(name in ds for ds in ordered)]
    padded = [ds[names].drop_attrs().reindex(whole) for ds in ordered]
    joined = xr.concat(padded, xr.Variable("training_step", sorted(by_training_step)), join="exact")
    for name in (*names, *whole):
        joined[name].attrs = ordered[0][name].attrs
    joined.training_step.attrs = {"units": "1", "long_name": "step of the training"}
    return (
        joined.assign(
            loss=_over(ordered, "loss", "mean loss", "loss"),
            gradient_norm=_over(ordered, "gradient_norm", "norm of the gradient", "loss"),
        )
        .assign_coords(
            run=("training_step", np.array([ds.attrs.get("run", "") for ds in ordered], object)),
            state=("training_step", np.array([_state(ds) for ds in ordered], object)),
            fingerprints=("training_step", np.array([_marks(ds) for ds in ordered], object)),
            probes=("training_step", [ds.sizes["probe"] for ds in ordered]),
            steps=("training_step", [ds.sizes["step"] for ds in ordered]),
        )
        .assign_attrs(_shared_attrs(ordered))
    )


def training(runs: xr.DataTree | Iterable[xr.Dataset]) -> xr.Dataset:
    """The name that `join_training` had in 0.1.0; it goes with the next version.

    Args:
        runs: As `join_training` takes them.

    Returns:
        What `join_training` gives.

    Raises:
        InputError: The runs are not of one training.
        RecordError: There is no density run that carries a training step.
    """
    return join_training(runs)


def run_at(ds: xr.Dataset, index: int) -> xr.Dataset:
    """The density run at one of the training steps, without padding.

    Args:
        ds: What `join_training` gave.
        index: Position along training_step.

    Returns:
        A dataset as of a density run, with its own state, training step, loss and run in attrs.

    Raises:
        RecordError: Not joined by `join_training`.
    """
    _check_joined(ds)
    row = ds.isel(training_step=index)
    own = {
        **json.loads(ds.attrs.get("of_runs", "{}")).get(str(int(row.training_step)), {}),
        "run": str(row.run.item()),
        "state": str(row.state.item()),
        "training_step": int(row.training_step),
        **{name: float(row[name]) for name in ("loss", "gradient_norm") if row[name].notnull()},
    }
    if marks := str(row.fingerprints.item()) if ATTRIBUTE in row.coords else "":
        own[ATTRIBUTE] = marks
    sizes = {"probe": slice(int(row.probes)), "step": slice(int(row.steps))}
    dropped = [
        "training_step",
        "run",
        "state",
        "probes",
        "steps",
        "loss",
        "gradient_norm",
        ATTRIBUTE,
    ]
    shared = {key: value for key, value in ds.attrs.items() if key != "of_runs"}
    run: xr.Dataset = row.isel(sizes).drop_vars(dropped, errors="ignore").drop_attrs(deep=False)
    return run.assign_attrs({**shared, **own})


def each_run(ds: xr.Dataset) -> list[xr.Dataset]:
    """The density runs at all training steps, as `run_at` gives them.

    Raises:
        RecordError: Not joined by `join_training`.
    """
    _check_joined(ds)
    return [run_at(ds, index) for index in range(ds.sizes["training_step"])]


def history(ds: xr.Dataset) -> xr.Dataset:
    """Extremes and trace at each training step, with their uncertainties.

    Args:
        ds: What `join_training` gave.

    Returns:
        value, uncertainty, low, high, level and basis over (quantity, training_step), as
        `hessview.summary` gives them; NaN where nothing is measured yet, or a number withheld.

    Raises:
        RecordError: Not joined by `join_training`.
    """
    columns = [_summary(run) for run in each_run(ds)]
    joined = xr.concat(columns, ds.training_step.variable, join="exact", coords="minimal")
    return joined.transpose("quantity", "training_step").assign_attrs(ds.attrs)


def _summary(ds: xr.Dataset) -> xr.Dataset:
    check_recorded(ds)
    try:
        warn_of_rounding(ds)
        return headline(ds, shares=False).sel(quantity=list(QUANTITIES)).drop_attrs()
    except RecordError:
        shape = len(QUANTITIES)
        return xr.Dataset(
            {
                "value": ("quantity", np.full(shape, np.nan)),
                **{name: ("quantity", np.full(shape, np.nan)) for name in _ENDS},
                "basis": ("quantity", np.array(["nothing is measured yet"] * shape, object)),
            },
            {
                "quantity": np.array(QUANTITIES, object),
                "units": ("quantity", np.array(["loss"] * shape, object)),
            },
        )


def _by_training_step(runs: Iterable[xr.Dataset]) -> dict[int, xr.Dataset]:
    by_training_step: dict[int, xr.Dataset] = {}
    for ds in runs:
        training_step = ds.attrs.get("training_step")
        if training_step is None or command_in(ds.attrs) != Density.name:
            continue
        previous = by_training_step.get(int(training_step))
        if previous is None or _readings(ds) >= _readings(previous):
            by_training_step[int(training_step)] = ds
    return by_training_step


def _readings(ds: xr.Dataset) -> int:
    return int(ds.alpha.notnull().sum())


def _check_same(runs: list[xr.Dataset]) -> None:
    for key in SAME:
        values = list(dict.fromkeys(ds.attrs.get(key) for ds in runs))
        if len(values) > 1:
            raise InputError(
                f"the runs differ in {key} ({', '.join(map(repr, values))}), so they are not of "
                "one training; pass those of one, such as "
                f"[ds for ds in runs if ds.attrs[{key!r}] == {values[0]!r}]."
            )


def _check_joined(ds: xr.Dataset) -> None:
    if "training_step" not in ds.dims:
        raise RecordError(
            f"the dataset has the dims {list(map(str, ds.dims))} and no training_step; join runs "
            "with hessview.join_training first."
        )


def _over(runs: list[xr.Dataset], name: str, words: str, units: str) -> tuple[str, Any, Any]:
    values = [float(ds.attrs.get(name, np.nan)) for ds in runs]
    return "training_step", values, {"units": units, "long_name": words}


def _marks(ds: xr.Dataset) -> str:
    return str(ds.attrs.get(ATTRIBUTE, ""))


def _state(ds: xr.Dataset) -> str:
    return str(ds.attrs.get("state", "done"))


def _shared_attrs(runs: list[xr.Dataset]) -> dict[str, Any]:
    have_ended = all(_state(ds) in ENDED for ds in runs)
    return {
        **_shared(runs),
        "of_runs": json.dumps(_own_attrs(runs)),
        "state": "done" if have_ended else "running",
    }


def _shared(runs: list[xr.Dataset]) -> dict[str, Any]:
    return {
        str(key): value
        for key, value in runs[0].attrs.items()
        if key not in _PER_RUN and all(ds.attrs.get(key) == value for ds in runs)
    }


def _own_attrs(runs: list[xr.Dataset]) -> dict[str, dict[str, Any]]:
    """Of each run what others do not share, such as whether it kept all Lanczos vectors."""
    shared = {*_shared(runs), *_PER_RUN, "loss", "gradient_norm"}
    return {
        str(int(ds.attrs["training_step"])): {
            str(key): ds.attrs[key] for key in ds.attrs if key not in shared
        }
        for ds in runs
    }


def trainings(runs: Iterable[xr.Dataset]) -> list[list[xr.Dataset]]:
    """Group density runs by their training, where there are spectra to follow through it.

    Args:
        runs: Datasets of runs of any command, half-done ones too.

    Returns:
        Groups that `join_training` joins, in the order of their first members: of two or more
        training steps, at one of which at least a probe is whole. Other runs are in none.
    """
    groups: dict[tuple[Any, ...], list[xr.Dataset]] = {}
    for ds in runs:
        if ds.attrs.get("training_step") is not None and ds.attrs.get("command") == Density.name:
            groups.setdefault(tuple(ds.attrs.get(key) for key in SAME), []).append(ds)
    return [group for group in groups.values() if _can_be_followed(group)]


def _can_be_followed(group: list[xr.Dataset]) -> bool:
    if len({ds.attrs["training_step"] for ds in group}) < 2:
        return False
    try:
        joined = join_training(group)
    except InputError:  # of sizes that cannot be joined
        return False
    return any(_has_spectrum(run) for run in each_run(joined))


def _has_spectrum(run: xr.Dataset) -> bool:
    try:
        return bool(ritz(run).finished.any())
    except RecordError:  # nothing measured
        return False
