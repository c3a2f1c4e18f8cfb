"""How the extreme Ritz values of a probe settle, step by step."""

import numpy as np
import xarray as xr

from hessview.data.as_dataset import as_dataset
from hessview.data.ritz import (
    count_copies,
    keeps_all,
    machine_epsilon,
    one_density,
    quadrature_of,
    ritz,
    steps_of,
)
from hessview.errors import InputError, RecordError

ENDS = ("largest", "smallest")


def convergence(ds: xr.Dataset, *, probe: int | None = None, extremes: int = 3) -> xr.Dataset:
    """The largest and the smallest Ritz values of one probe after each Lanczos step.

    The largest only grow and the smallest only fall: the values of one step interlace with those
    of the next. Copies of an eigenvalue, which arise where old vectors are given up, count once.

    Args:
        ds: Dataset of a density run, also a half-done one.
        probe: The probe, by its value of the coordinate probe; None takes the one that got
            furthest, of equals the first.
        extremes: How many of the largest and of the smallest, >= 1.

    Returns:
        Variables value and residual (an eigenvalue of the operator as applied lies within it),
        both in units of the loss, over (end, rank, step); end is "largest" or "smallest", rank 1
        is the outermost. NaN before step 2 * rank, but for the first step's only value, which is
        at both ends: inner values belong to neither. copies over (step) counts the Ritz values
        that were merged with others. attrs["probe"] is the probe.

    Raises:
        InputError: A probe that is none of the run's, or extremes < 1.
        RecordError: Not a density, or no step of the probe is measured yet.

    Reference: Parlett, The Symmetric Eigenvalue Problem (1998), 10.1 and 13.2.
    """
    ds = as_dataset(ds)
    if extremes < 1:
        raise InputError(f"extremes={extremes!r} is not allowed; use a whole number >= 1.")
    found = ritz(ds)
    lengths = found.steps.values
    known = found.probe.values.tolist()
    if probe is not None and probe not in known:
        raise InputError(f"probe={probe!r} is not allowed; use one of {known}, or None.")
    place = int(np.argmax(lengths)) if probe is None else known.index(probe)
    length = int(lengths[place])
    if not length:
        raise RecordError(
            f"no Lanczos step of probe={probe} is measured yet; wait for its first, or choose "
            f"one of {[known[one] for one in np.flatnonzero(lengths)]}."
        )
    run = one_density(ds)
    seen, epsilon, full = steps_of(run, place, length), machine_epsilon(run), keeps_all(run)
    columns = np.full((2, len(ENDS), extremes, length), np.nan)
    merged = np.zeros(length, dtype=np.int64)
    for step in range(1, length + 1):
        rule, copies = quadrature_of(seen.first(step), epsilon, full)
        merged[step - 1] = count_copies(copies)
        count = len(rule.nodes)
        there = min(extremes, max(count // 2, 1))  # others are not of this end rather than that
        for row, values in enumerate((rule.nodes, rule.residuals)):
            columns[row, 0, :there, step - 1] = values[::-1][:there]
            columns[row, 1, :there, step - 1] = values[:there]
    units = {"units": found.node.attrs["units"]}
    dims = ("end", "rank", "step")
    return xr.Dataset(
        {
            "value": (dims, columns[0], {**units, "long_name": "Ritz value"}),
            "residual": (dims, columns[1], {**units, "long_name": "residual bound"}),
            "copies": ("step", merged, {"units": "1", "long_name": "Ritz values that were merged"}),
        },
        {
            "end": np.array(ENDS, dtype=object),
            "rank": np.arange(1, extremes + 1),
            "step": np.arange(1, length + 1),
        },
        {**ds.attrs, "probe": known[place]},
    )
