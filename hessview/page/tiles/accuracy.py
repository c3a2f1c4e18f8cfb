"""Tiles of an accuracy run: what the automatic step is worth in each direction."""

import numpy as np
import xarray as xr

from hessview.data.accuracy import theory
from hessview.page.status import progress
from hessview.page.tiles.tile import Tile, missing, tile
from hessview.page.wording import number

MOST_DIRECTIONS = 5  # more are read off the figure


def accuracy_tiles(ds: xr.Dataset) -> list[Tile]:
    """The automatic step's error in each direction, and against what it is measured.

    Args:
        ds: Dataset of an accuracy run; also one with nothing measured yet.

    Returns:
        The tiles, in the order in which they are shown.
    """
    found = xr.merge([ds, theory(ds)], compat="override")
    shown = [found.isel(direction=place) for place in range(found.sizes["direction"])]
    done, total = progress(ds)
    return [
        *(_direction(one) for one in shown[:MOST_DIRECTIONS]),
        _reference(ds),
        tile("Products", f"{done}", f"of {total}", "the automatic step of each direction included"),
    ]


def _direction(one: xr.Dataset) -> Tile:
    label = f"Automatic step, {one.direction.item()}"
    error = float(one.auto_relative_error)
    if not np.isfinite(error):
        return missing(label)
    bound = "" if bool(one.auto_resolved) else "≲ "
    basis = f"relative error of the product {_against(one)}"
    if bound:
        basis += "; the reference is not good enough to tell more than this bound"
    if np.isfinite(float(one.floor)):
        basis += (
            f"; theorem 3.1 foretells {number(float(one.floor), 2)} at its best step, "
            f"ε {number(float(one.optimum), 2)}"
        )
    note = f"error at ε {number(float(one.auto_epsilon), 2)}"
    return tile(label, f"{bound}{number(error, 2)}", note, basis)


def _reference(ds: xr.Dataset) -> Tile:
    known = np.flatnonzero(np.isfinite(ds.exact.values))
    if not len(known):
        return missing("Reference")
    begun = ds.isel(direction=known)
    exact = bool((begun.exact == 1).all())
    error = begun.reference_error.values[np.isfinite(begun.reference_error.values)]
    good = f"good to {number(float(error.max()), 1)}" if len(error) else "of unknown error"
    return tile("Reference", "double backward" if exact else "extrapolated", good)


def _against(one: xr.Dataset) -> str:
    if float(one.exact) == 1:
        return "against double backward in float64"
    return "against products extrapolated to ε = 0"
