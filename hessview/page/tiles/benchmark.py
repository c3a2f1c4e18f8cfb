"""Tiles of a benchmark: what products cost, in gradients."""

import xarray as xr

from hessview.data.benchmark import benchmark
from hessview.errors import RecordError
from hessview.page.status import progress
from hessview.page.tiles.tile import Tile, missing, tile

MOST = 5  # pieces of work; all are in the table


def benchmark_tiles(ds: xr.Dataset) -> list[Tile]:
    """The time of each product over that of a gradient.

    Args:
        ds: Dataset of a benchmark run; also one with nothing measured yet.

    Returns:
        The tiles, in the order in which they are shown.
    """
    products = [str(work) for work in ds.work.values if work != "gradient"][:MOST]
    done, total = progress(ds)
    counted = tile("Measurements", f"{done}", f"of {total}")
    try:
        ratios = benchmark(ds)
    except RecordError:
        return [*(missing(f"Product, {work}") for work in products), counted]
    basis = "median over repetitions and half the range between quartiles, each repetition against "
    basis += "its own gradient"
    rows = [(work, ratios.sel(work=work)) for work in products]
    return [
        *(
            tile(f"Product, {work}", f"{row.ratio:.2f}", f"± {row.spread:.2f} gradients", basis)
            for work, row in rows
        ),
        counted,
    ]
