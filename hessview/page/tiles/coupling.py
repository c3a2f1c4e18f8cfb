"""Tiles of a coupling run: the block-diagonal product, and whether noise makes it worthless."""

import numpy as np
import xarray as xr

from hessview.counted import counted
from hessview.data.coupling import coupling_summary
from hessview.data.digits import limits_of
from hessview.data.table import ends_of
from hessview.page.status import progress
from hessview.page.tiles.tile import Tile, missing, tile
from hessview.page.wording import measured, number

LABELS = {
    "block_error_pooled": "Block-diagonal error",
    "block_error": "Its mean of ratios",
    "cosine_pooled": "Cosine",
    "kappa": "Scale κ",
}
MEANINGS = {
    "block_error_pooled": "ratio of means: root of mean |Hv − H_B v|² over mean |Hv|², where H_B "
    "keeps the diagonal blocks only; with exact products the root of the off-diagonal blocks' "
    "share of the squared norm, below 1",
    "block_error": "mean over probes of |Hv − H_B v| / |Hv|, another number than the ratio of "
    "means; it may exceed 1, also with exact products, where |Hv| is small for some probes",
    "cosine_pooled": "ratio of means: of ⟨Hv, H_B v⟩ over the root of mean |Hv|² times that of "
    "|H_B v|²",
    "kappa": "ratio of means: of ⟨Hv, H_B v⟩ over |H_B v|²; 1 on average for exact products",
}


def coupling_tiles(ds: xr.Dataset) -> list[Tile]:
    """The numbers of the block-diagonal product with their verdicts, and the largest cell.

    Args:
        ds: Dataset of a coupling run; also one with nothing measured yet.

    Returns:
        The tiles, in the order in which they are shown.
    """
    found = coupling_summary(ds)
    done, total = progress(ds)
    probes, blocks = ds.sizes["probe"], ds.sizes["block"]
    size = f"of {total}, {counted(probes, 'probe')} × {counted(blocks, 'block')}"
    return [
        *(_quantity(found.sel(quantity=name), name) for name in LABELS),
        _strongest(found),
        tile("Columns", f"{done}", size, "two products of the part of a probe in one block"),
    ]


def _quantity(row: xr.Dataset, name: str) -> Tile:
    value = float(row.value)
    if not np.isfinite(value):
        return missing(LABELS[name])
    text, note = measured(value, float(row.uncertainty), limits=limits_of(name), ends=ends_of(row))
    if not note:
        note = f"noise {number(float(row.noise), 1)}"
    basis = f"{MEANINGS[name]}; {row.basis.item()}"
    return tile(LABELS[name], text, note, basis, verdict=str(row.verdict.item()))


def _strongest(found: xr.Dataset) -> Tile:
    """The largest coefficient between two different blocks."""
    label = "Strongest coupling"
    values = found.coefficient.values.copy()
    np.fill_diagonal(values, np.nan)
    values[~np.isfinite(values)] = np.nan  # a diagonal block that noise left at zero
    if not np.isfinite(values).any():
        return missing(label)
    row, column = np.unravel_index(np.nanargmax(values), values.shape)
    names = found.block.values
    basis = "norm of the block over the geometric mean of those of its two diagonal blocks"
    return tile(
        label,
        number(float(values[row, column]), 2),
        f"{names[column]} → {names[row]}",
        f"{basis}: {found.verdict_of_cell.values[row, column]}",
        verdict=str(found.verdict_of_cell.values[row, column]),
    )
