"""What a benchmark says: everything as a ratio to a gradient of the same run."""

import numpy as np
import xarray as xr

from hessview.errors import NotMeasuredError, RecordError
from hessview.record.datasets import as_dataset, as_run
from hessview.record.operator_facts import facts_of
from hessview.wording import NOT_NEGATIVE, written


def benchmark(ds: xr.Dataset) -> xr.Dataset:
    """Ratios of a benchmark, which a disturbance of the machine touches least.

    Args:
        ds: Dataset of a benchmark run, with one repetition or more.

    Returns:
        Variables over work (a gradient, products): ratio (the median of each repetition's ratio
        to its own gradient), spread (the farthest of these ratios from the median, and of the
        gradient's own times over their median, as root of the sum of squares; NaN for one
        repetition), least
        (gradients that the product computes, below which no ratio can lie; NaN if that is not
        known), reason (why a ratio is withheld, "" if it is not), seconds (their median),
        peak_memory in bytes, collectives by kind; over depth: overhead and its overhead_spread
        (the farthest from the median), a Lanczos step's time beside its product, as a share of
        the first operator's product. attrs["repetitions"] says over how many. A ratio below
        least by more than its spread is withheld (NaN): something disturbed the machine.

    Raises:
        RecordError: Not a benchmark, or one that was averaged or cut.
        NotMeasuredError: Nothing was timed yet.
    """
    ds = as_dataset(ds)
    if "orthogonalise_seconds" not in ds:
        raise RecordError(
            f"the dataset holds {sorted(map(str, ds.data_vars))}, not seconds of gradients and "
            "products; pass the dataset of a benchmark run."
        )
    ds = as_run(ds, "seconds", ("repetition", "work"))
    if "gradient" not in ds.work.values or ds.sizes["work"] < 2:
        raise RecordError(
            f"{list(map(str, ds.work.values))} is left of what was timed; a ratio needs the "
            "gradient and a product: pass the whole dataset."
        )
    timed = ds.isel(repetition=ds.seconds.notnull().all("work").values)
    if not timed.sizes["repetition"]:
        raise NotMeasuredError("nothing was timed yet; wait for the first repetition.")
    gradient = timed.seconds.sel(work="gradient", drop=True)
    ratio = timed.seconds / gradient
    median = ratio.median("repetition")
    own = _spread(gradient / gradient.median("repetition"))
    spread = np.hypot(_spread(ratio), own * median)
    least = _least(timed)
    # One repetition has no spread; a twentieth is what a quiet machine scatters by.
    possible = ~(median + spread.fillna(0) < least) | ~(median < (1 - _QUIET) * least)
    overhead = timed.orthogonalise_seconds / timed.seconds.isel(work=1, drop=True)
    return xr.Dataset(
        {
            "seconds": timed.seconds.median("repetition"),
            "ratio": median.where(possible),
            "spread": spread,
            "least": least,
            "reason": _reasons(median, least, possible),
            "overhead": overhead.median("repetition"),
            "overhead_spread": _spread(overhead),
            "peak_memory": timed.peak_memory,
            "collectives": timed.collectives,
        },
        attrs={**ds.attrs, "repetitions": timed.sizes["repetition"]},
    )


_QUIET = 0.05


def _least(ds: xr.Dataset) -> xr.DataArray:
    """Gradients that each piece of work takes at the very least, NaN where it is not known."""
    values = [
        1.0 if work == "gradient" else facts_of(str(work)).least_cost for work in ds.work.values
    ]
    return xr.DataArray(values, {"work": ds.work}, "work")


def _reasons(ratio: xr.DataArray, least: xr.DataArray, possible: xr.DataArray) -> xr.DataArray:
    """Why ratios are withheld, in words; "" where they are not."""
    rows = zip(ratio.values, least.values, possible.values, strict=True)
    words = [
        ""
        if is_possible
        else f"withheld: {value:.2f} gradients were timed, where it computes {most:g}; something "
        "disturbed the machine: repeat on a quiet one"
        for value, most, is_possible in rows
    ]
    return xr.DataArray(np.array(words, dtype=object), {"work": ratio.work}, "work")


def format_benchmark(ratios: xr.Dataset) -> str:
    """A table for people to read.

    Args:
        ratios: What `benchmark` gave.

    Returns:
        A line for each piece of work, then one for each depth.
    """
    kinds = [str(kind) for kind in ratios.collective.values]
    width = max(len(str(work)) for work in ratios.work.values)
    lines = [
        f"{'':{width}}  {'time / gradient':>17}  {'peak MiB':>9}  "
        + "  ".join(f"{kind:>14}" for kind in kinds)
    ]
    for work in ratios.work.values:
        row = ratios.sel(work=work)
        # Of a damaged record, where the counts may be missing and the times there.
        cells = [f"{n:.0f}" if np.isfinite(n) else "–" for n in row.collectives.values]
        counts = "  ".join(f"{count:>14}" for count in cells)
        memory = float(row.peak_memory) / 2**20
        size = "not measured" if np.isnan(memory) else f"{memory:9.1f}"
        time = "withheld" if row.reason.item() else _times(float(row.ratio), float(row.spread))
        lines.append(f"{work!s:{width}}  {time:>17}  {size:>9}  {counts}")
    for depth in ratios.depth.values:
        row = ratios.sel(depth=depth)
        overhead, spread = 100 * float(row.overhead), 100 * float(row.overhead_spread)
        share = written(overhead, spread, limits=NOT_NEGATIVE)
        lines.append(f"Lanczos step {int(depth)}: + ({share}) % of a product")
    lines.append(say_spread(ratios))
    for work in ratios.work.values:
        if reason := str(ratios.reason.sel(work=work).item()):
            lines.append(f"{work}: {reason}.")
    return "\n".join(lines)


def say_spread(ratios: xr.Dataset) -> str:
    """What the number behind ± is.

    Args:
        ratios: What `benchmark` gave.
    """
    count = int(ratios.attrs["repetitions"])
    if count == 1:
        return "1 repetition, which has no spread"
    return (
        f"median of {count} repetitions; ± reaches to the farthest of them, the gradient's own "
        f"scatter included: their range holds the true median {1 - 0.5 ** (count - 1):.0%} of the "
        "time"
    )


def _times(ratio: float, spread: float) -> str:
    return written(ratio, spread, limits=NOT_NEGATIVE) if np.isfinite(spread) else f"{ratio:.2f}"


def _spread(samples: xr.DataArray) -> xr.DataArray:
    """How far the farthest repetition lies from the median: of so few there are no quartiles."""
    farthest: xr.DataArray = abs(samples - samples.median("repetition")).max("repetition")
    return farthest if samples.sizes["repetition"] > 1 else farthest * np.nan
