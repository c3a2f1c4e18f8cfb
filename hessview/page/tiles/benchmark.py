"""Tiles of a benchmark: what products cost, in gradients."""

import xarray as xr

from hessview.counted import counted
from hessview.data.benchmark import benchmark, say_spread
from hessview.data.digits import NOT_NEGATIVE
from hessview.errors import RecordError
from hessview.page.status import progress
from hessview.page.tiles.tile import Tile, missing, tile, withheld
from hessview.page.wording import measured

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
    return [*(_product(work, ratios) for work in products), counted]


def _product(work: str, ratios: xr.Dataset) -> Tile:
    label, row = f"Product, {work}", ratios.sel(work=work)
    if reason := str(row.reason.item()):
        return withheld(label, reason)
    value, spread = measured(float(row.ratio), float(row.spread), limits=NOT_NEGATIVE)
    count = int(ratios.attrs["repetitions"])
    over = f"gradients, {counted(count, 'repetition')}"
    return tile(
        label,
        value,
        f"{spread} {over}".strip(),
        f"{say_spread(ratios)}, each against its own gradient",
    )
