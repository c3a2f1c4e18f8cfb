"""Tiles of a sweep: how far the spectra lie apart, and which of them are noise."""

import math

import numpy as np
import xarray as xr

from hessview.data.coupling import WORTHLESS
from hessview.data.sweep import setting_of
from hessview.errors import RecordError
from hessview.page.comparison import measured_settings
from hessview.page.status import progress
from hessview.page.tiles.tile import Tile, missing, tile
from hessview.page.wording import between, number, share
from hessview.spectral.bounds import NOT_A_DERIVATIVE
from hessview.views.sweep import SYMBOLS

APART = "Largest distance"


def sweep_tiles(ds: xr.Dataset) -> list[Tile]:
    """The largest distances to the reference's spectrum, with and without noise.

    Args:
        ds: Dataset of a sweep; also one with nothing measured yet.

    Returns:
        The tiles, in the order in which they are shown.
    """
    symbol, settings = SYMBOLS[setting_of(ds)], ds.sizes[setting_of(ds)]
    try:
        _, apart = measured_settings(ds)
    except RecordError:
        found = [missing(APART), missing("Reference")]
        return [*found, tile("Settings", "0", f"of {settings} finished"), _steps(ds)]
    noisy = apart.product_error.fillna(0).values >= NOT_A_DERIVATIVE
    whole = [_largest(APART, apart, noisy, np.ones_like(noisy))]
    if noisy.any():
        whole.append(_largest("Largest without noise", apart, noisy, ~noisy))
    count = f"of {settings} finished" + (f", {noisy.sum()} of them noise" if noisy.any() else "")
    return [
        *whole,
        _reference(apart, symbol),
        tile("Settings", f"{len(noisy)}", count, "noise: the error D of the products is near 1"),
        _steps(ds),
    ]


def _largest(label: str, apart: xr.Dataset, noisy: np.ndarray, kept: np.ndarray) -> Tile:
    setting = _setting(apart)
    settings = apart[setting].values
    distance = np.where(kept, apart.relative_distance.values, np.nan)
    distance[settings == apart.attrs["reference"]] = np.nan
    if not np.isfinite(distance).any():
        return tile(label, "–", "nothing to compare with yet")
    place = int(np.nanargmax(distance))
    one = apart.isel({setting: place})
    where = f"of the range, at {SYMBOLS[setting]} {number(float(settings[place]), 2)}"
    known = np.isfinite(one.relative_high)
    ends = between(float(one.relative_low), float(one.relative_high)) if known else ""
    basis = (
        "first Wasserstein distance between the mean spectra of the same probes, over the range of "
        "the reference's Ritz values; "
    )
    basis += (
        f"{100 * apart.attrs['level']:g} % interval from an underestimate (cross-validated over "
        "probes) and an overestimate (of their means), Student's t, and what half of the steps "
        "would change"
        if known
        else "1 probe: an overestimate, and no interval"
    )
    verdict = WORTHLESS if noisy[place] else ""
    note = f"({ends}) {where}" if known else where
    return tile(label, share(float(one.relative_distance)), note, basis, verdict=verdict)


def _setting(apart: xr.Dataset) -> str:
    return str(next(iter(apart.dims)))


def _reference(apart: xr.Dataset, symbol: str) -> Tile:
    reference = float(apart.attrs["reference"])
    error = float(apart.product_error.sel({_setting(apart): reference}))
    note = f"D ≤ {number(error, 1)}" if math.isfinite(error) else "D not measured"
    if apart.attrs.get("operator") == "exact":
        note = "exact products"
    return tile("Reference", f"{symbol} {number(reference, 2)}", note)


def _steps(ds: xr.Dataset) -> Tile:
    done, total = progress(ds)
    sizes = [ds.sizes[setting_of(ds)], ds.sizes["probe"], ds.sizes["step"]]
    note = f"of {total}, {' × '.join(map(str, sizes))}"
    return tile("Lanczos steps", f"{done}", note, "settings × probes × steps, one product each")
