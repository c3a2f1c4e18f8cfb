"""How far spectra of a sweep lie apart."""

import numpy as np
import xarray as xr

from hessview.data.as_dataset import as_dataset
from hessview.data.ritz import ritz
from hessview.errors import InputError, RecordError
from hessview.spectral import quadrature

SETTINGS = ("epsilon", "fraction")

COMMENT = (
    "distance: first Wasserstein distance between the quadratures of the same probe at a setting "
    "and at the reference, so that what probes differ by cancels; relative_distance: over the "
    "range of the reference's Ritz values. spread: standard error over probes, NaN for one. "
    "product_error: the largest D of the setting; where it is near 1, its spectrum is noise. The "
    "quadrature of m steps itself lies about 1e-3 of the range from the exact spectrum."
)


def distances(ds: xr.Dataset, *, reference: float | None = None) -> xr.Dataset:
    """Wasserstein distances of each setting's spectrum to that of a reference setting.

    Args:
        ds: Dataset of a sweep, whole or still running.
        reference: The setting to compare with; None takes the largest fraction, or the epsilon
            whose products have the least error D.

    Returns:
        Over the setting (epsilon or fraction): distance (mean over probes that are whole at
        both settings, in units of the loss), spread, relative_distance, relative_spread, and
        product_error (the largest D). The reference stands in attrs.

    Raises:
        RecordError: Not a sweep, or the reference is not measured yet.
        InputError: The reference is none of the settings.
    """
    ds = as_dataset(ds)
    setting = setting_of(ds)
    settings = ds[setting].values
    errors = ds.error.max(["probe", "step"])
    place = _reference(ds, setting, reference, errors)
    spectra = [spectrum(ds, setting, index) for index in range(len(settings))]
    base = spectra[place]
    if base is None or not bool(base.finished.any()):
        raise RecordError(
            f"the reference, {setting}={settings[place]:g}, has no finished probe yet; wait for "
            "it, or choose another reference."
        )
    width = quadrature.extent(base.node.values) or np.nan
    rows = np.array([distance(found, base) for found in spectra])
    attrs = {**ds.attrs, "reference": float(settings[place]), "comment": COMMENT}
    units = str(ds.alpha.attrs.get("units", "loss"))
    return xr.Dataset(
        {
            "distance": (setting, rows[:, 0], {"units": units}),
            "spread": (setting, rows[:, 1], {"units": units}),
            "relative_distance": (setting, rows[:, 0] / width, {"units": "1"}),
            "relative_spread": (setting, rows[:, 1] / width, {"units": "1"}),
            "product_error": (setting, errors.values, {"units": "1"}),
        },
        {setting: ds[setting]},
        attrs,
    )


def setting_of(ds: xr.Dataset) -> str:
    """What a sweep goes over: "epsilon" or "fraction".

    Raises:
        RecordError: Not a sweep.
    """
    for setting in SETTINGS:
        if "alpha" in ds and setting in ds.alpha.dims:
            return setting
    raise RecordError(
        f"the dataset holds {sorted(map(str, ds.data_vars))} over {list(ds.dims)}, not spectra "
        "over epsilon or fraction; pass the dataset of a sweep."
    )


def spectrum(ds: xr.Dataset, setting: str, index: int) -> xr.Dataset | None:
    """Quadrature of all probes at a setting, as `data.ritz.ritz` gives it; None before it."""
    one = ds.isel({setting: index})
    return ritz(one) if bool(np.isfinite(one.alpha.isel(step=0)).any()) else None


def distance(found: xr.Dataset | None, base: xr.Dataset) -> tuple[float, float]:
    """Wasserstein distance of two spectra of the same probes.

    Args:
        found: Quadrature as `data.ritz.ritz` gives it, or None for one not measured yet.
        base: The other, of the same probes in the same order.

    Returns:
        Mean over the probes that are whole in both, and its standard error, in units of the
        loss; NaN where there are too few.
    """
    if found is None:
        return np.nan, np.nan
    both = np.flatnonzero(found.finished.values & base.finished.values).tolist()
    each = [quadrature.wasserstein(_rule(found, probe), _rule(base, probe)) for probe in both]
    if not each:
        return np.nan, np.nan
    spread = np.std(each, ddof=1) / np.sqrt(len(each)) if len(each) > 1 else np.nan
    return float(np.mean(each)), float(spread)


def _reference(ds: xr.Dataset, setting: str, wanted: float | None, errors: xr.DataArray) -> int:
    settings = ds[setting].values
    if wanted is not None:
        (places,) = np.nonzero(np.isclose(settings, wanted, rtol=1e-9, atol=0))
        if not len(places):
            raise InputError(
                f"reference={wanted!r} is none of the settings; use one of {settings.tolist()}."
            )
        return int(places[0])
    if setting == "fraction":
        return len(settings) - 1
    if not np.isfinite(errors).any():
        raise RecordError(
            "no D is measured by which to choose the reference; name one, such as "
            f"reference={settings[len(settings) // 2]:g}, or sweep with error_every >= 1."
        )
    return int(np.nanargmin(errors.values))


def _rule(found: xr.Dataset, probe: int) -> quadrature.Ritz:
    node, weight, residual = (found[n].values[probe] for n in ("node", "weight", "residual"))
    there = np.isfinite(node)
    return quadrature.Ritz(node[there], weight[there], residual[there])
