"""Where a run stands: its state, how far it is, how long it will take."""

from typing import Any

import numpy as np
import xarray as xr

from hessview.data.schema import SCHEMAS
from hessview.page.wording import duration

LABELS = {"running": "streaming"}
UNFINISHED = (
    "This page was written while the run was under way; it shows what was measured by then."
)


def status(ds: xr.Dataset, *, final: bool = False) -> dict[str, Any]:
    """Status of a run, as the page shows it.

    Args:
        ds: Dataset of the run.
        final: Whether the page stays as it is: a run under way then counts as "unfinished".

    Returns:
        state and its label, message (why it ended early), done and total readings, and left:
        the time that the remaining ones will take, in words, while it runs.
    """
    state = str(ds.attrs.get("state", "done"))
    message = str(ds.attrs.get("error", ""))
    if final and state in ("queued", "running"):
        state, message = "unfinished", UNFINISHED
    done, total = progress(ds)
    seconds = ds.seconds.values if "seconds" in ds else np.array([])
    seconds = seconds[np.isfinite(seconds)]
    left = ""
    if state == "running" and seconds.size and done < total:
        left = f"about {duration(float(seconds.mean()) * (total - done))} left"
    return {
        "state": state,
        "label": LABELS.get(state, state),
        "message": message,
        "done": done,
        "total": total,
        "left": left,
    }


def progress(ds: xr.Dataset) -> tuple[int, int]:
    """Readings that a run has, and how many it can have.

    Args:
        ds: Dataset of the run.

    Returns:
        Both counts. A probe that broke down (beta is 0) has all that it can give.
    """
    first = next(iter(SCHEMAS[str(ds.attrs.get("command", "density"))].variables))
    known = ds[first].notnull()
    if "seconds" in ds:  # a reading may hold a row of numbers, and its time once
        known = known.any([dim for dim in known.dims if dim not in ds.seconds.dims])
    done = int(known.sum())
    beta = np.atleast_2d(ds["beta"].values) if "beta" in ds else np.ones((1, 1))
    after_breakdown = np.logical_or.accumulate(beta == 0, axis=-1)[..., :-1]
    return done, int(known.size - after_breakdown.sum())
