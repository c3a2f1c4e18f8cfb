"""What a benchmark says: everything as a ratio to a gradient of the same run."""

import numpy as np
import xarray as xr

from hessview.data.as_dataset import as_dataset
from hessview.errors import RecordError


def benchmark(ds: xr.Dataset) -> xr.Dataset:
    """Ratios of a benchmark, which a disturbance of the machine touches least.

    Args:
        ds: Dataset of a benchmark run, with one repetition or more.

    Returns:
        Variables over work (a gradient, products): ratio and its spread over repetitions (the
        median and half the range between quartiles of each repetition's ratio to its own
        gradient), seconds (their median), peak_memory in bytes, collectives by kind; over
        depth: overhead and its overhead_spread, a Lanczos step's time beside its product, as a
        share of the first operator's product.

    Raises:
        RecordError: Not a benchmark, or nothing was timed yet.
    """
    ds = as_dataset(ds)
    if "orthogonalise_seconds" not in ds:
        raise RecordError(
            f"the dataset holds {sorted(map(str, ds.data_vars))}, not seconds of gradients and "
            "products; pass the dataset of a benchmark run."
        )
    timed = ds.isel(repetition=ds.seconds.notnull().all("work").values)
    if not timed.sizes["repetition"]:
        raise RecordError("nothing was timed yet; wait for the first repetition.")
    ratio = timed.seconds / timed.seconds.sel(work="gradient")
    overhead = timed.orthogonalise_seconds / timed.seconds.isel(work=1, drop=True)
    return xr.Dataset(
        {
            "seconds": timed.seconds.median("repetition"),
            "ratio": ratio.median("repetition"),
            "spread": _spread(ratio),
            "overhead": overhead.median("repetition"),
            "overhead_spread": _spread(overhead),
            "peak_memory": timed.peak_memory,
            "collectives": timed.collectives,
        },
        attrs=ds.attrs,
    )


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
        known = [f"{n:.0f}" if np.isfinite(n) else "–" for n in row.collectives.values]
        counts = "  ".join(f"{count:>14}" for count in known)
        memory = float(row.peak_memory) / 2**20
        size = "not measured" if np.isnan(memory) else f"{memory:9.1f}"
        time = f"{float(row.ratio):.2f} ± {float(row.spread):.2f}"
        lines.append(f"{work!s:{width}}  {time:>17}  {size:>9}  {counts}")
    for depth in ratios.depth.values:
        row = ratios.sel(depth=depth)
        share = f"+ {float(row.overhead):.1%} ± {float(row.overhead_spread):.1%}"
        lines.append(f"Lanczos step {int(depth)}: {share} of a product")
    return "\n".join(lines)


def _spread(samples: xr.DataArray) -> xr.DataArray:
    """Half the range between quartiles over repetitions."""
    low, high = (samples.quantile(q, "repetition").drop_vars("quantile") for q in (0.25, 0.75))
    half: xr.DataArray = (high - low) / 2
    return half
