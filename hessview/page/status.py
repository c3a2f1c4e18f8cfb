"""Where a run stands: its state, how far it is, how long it will take."""

from collections.abc import Sequence

import numpy as np
import xarray as xr

from hessview.analysis.ritz import keeps_all
from hessview.page.contract import Status
from hessview.record.commands import Density
from hessview.record.events import ENDED
from hessview.record.measurements import measurement_in
from hessview.wording import duration

_LABELS = {"running": "streaming"}
_UNFINISHED = (
    "This page was written while the run was under way; it shows what was measured by then."
)


def status(ds: xr.Dataset, *, parts: Sequence[xr.Dataset] = (), final: bool = False) -> Status:
    """Status of a run, as the page shows it.

    Args:
        ds: Dataset of the run.
        parts: The runs that it was united of, whose readings are counted; () for itself.
        final: Whether the page stays as it is: a run under way then counts as "unfinished".

    Returns:
        state and its label, message (why it ended early), done and total readings, the unit in
        which they are counted, and left: the time that the remaining ones will take, in words,
        while it runs, or that the extremes of a probe are being measured.
    """
    state = str(ds.attrs.get("state", "done"))
    message = str(ds.attrs.get("error", ""))
    if final and state in ("queued", "running"):
        state, message = "unfinished", _UNFINISHED
    counts = [progress(part) for part in parts or [ds]]
    done, total = (sum(column) for column in zip(*counts, strict=True))
    seconds = sum(
        _seconds_left(part, whole - part_done, known_from=ds)
        for part, (part_done, whole) in zip(parts or [ds], counts, strict=True)
        if part.attrs.get("state") not in ENDED
    )
    unit = measurement_in(ds.attrs).unit
    left = ""
    if state == "running" and seconds > 0:
        left = f"about {duration(seconds)} left"
    if state == "running" and any(_measures_anew(part) for part in parts or [ds]):
        left = "extremes are being measured anew"
    return {
        "state": state,
        "label": _LABELS.get(state, state),
        "message": message,
        "done": done,
        "total": total,
        "unit": unit.removesuffix("s") if total == 1 else unit,
        "left": left,
    }


def progress(ds: xr.Dataset) -> tuple[int, int]:
    """Readings that a run has, and how many it can have.

    Args:
        ds: Dataset of the run.

    Returns:
        Both counts. A probe that broke down (beta is 0) has all that it can give.
    """
    first = next(iter(measurement_in(ds.attrs).schema.variables))
    measured = ds[first].notnull()
    if "seconds" in ds:  # a reading may hold a row of numbers, and its time once
        measured = measured.any([dim for dim in measured.dims if dim not in ds.seconds.dims])
    done, total = int(measured.sum()), int(measured.size)
    if "auto_epsilon" in ds:  # the automatic epsilon is one more product in each direction
        done += int(ds.auto_epsilon.notnull().sum())
        total += int(ds.auto_epsilon.size)
    beta = np.atleast_2d(ds["beta"].values) if "beta" in ds else np.ones((1, 1))
    total = max(total, int(ds.attrs.get("readings_asked", 0)))  # a large run, cut to what is begun
    after_breakdown = np.logical_or.accumulate(beta == 0, axis=-1)[..., :-1]
    return done, int(total - after_breakdown.sum())


def _measures_anew(ds: xr.Dataset) -> bool:
    """Whether the latest probe has all its steps, but not its extremes, which take a while too."""
    if ds.attrs.get("command") != Density.name or ds.attrs.get("state") != "running":
        return False
    if not (ds.attrs.get("error_every") and keeps_all(ds) and "pair_value" in ds):
        return False
    begun = ds.isel(probe=ds.alpha.notnull().any("step").values)
    if not begun.sizes["probe"]:
        return False
    latest = begun.isel(probe=-1)
    return bool(latest.alpha.notnull().all() and latest.pair_value.isnull().all())


def _seconds_left(ds: xr.Dataset, readings: int, *, known_from: xr.Dataset) -> float:
    """The time that so many readings will take, 0 if nothing tells."""
    left = 0.0
    if "auto_seconds" in ds:  # the automatic epsilon has its reference measured with it: far longer
        autos = int(ds.auto_epsilon.isnull().sum())
        readings -= autos
        left += _mean_seconds(known_from, "auto_seconds") * autos
    return left + _mean_seconds(known_from, "seconds") * readings


def _mean_seconds(ds: xr.Dataset, name: str) -> float:
    seconds = ds[name].values if name in ds else np.array([])
    seconds = seconds[np.isfinite(seconds)]
    return float(seconds.mean()) if seconds.size else 0.0
