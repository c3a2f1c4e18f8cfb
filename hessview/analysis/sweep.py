"""Spectra over epsilon, or over parts of the data: how far they lie from that of a reference.

`distances` tells Wasserstein distances with their intervals, `measured_settings` those that can be
told while other settings are still measured.
"""

import math
from typing import NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from hessview.analysis.ritz import copies_in, ritz, rules_of
from hessview.analysis.trace import LEVEL, reach
from hessview.errors import InputError, NotMeasuredError, RecordError
from hessview.record.datasets import as_dataset, as_run
from hessview.spectral import quadrature
from hessview.wording import between, share

Array = NDArray[np.float64]

SETTINGS = ("epsilon", "fraction")

COMMENT = (
    "distance: first Wasserstein distance between the mean spectra over probes at a setting and at "
    "the reference. Few probes overestimate it, since what they differ by does not cancel. So it "
    "is the mean of two numbers: this overestimate, and an underestimate in which each probe is "
    "weighed by the sign of the others' difference (cross-validation). low and high: Student's t "
    "below the one and above the other, and resolution beyond both; NaN for one probe. resolution: "
    "by how much half of the Lanczos steps would change the number. relative: over the range of "
    "the reference's Ritz values. product_error: the largest D of the setting; where it is near 1, "
    "its spectrum is noise. The spectra are those of the operators as applied: what products err "
    "by is in them."
)


def distances(ds: xr.Dataset, *, reference: float | None = None) -> xr.Dataset:
    """Wasserstein distances of each setting's spectrum to that of a reference setting.

    Args:
        ds: Dataset of a sweep, whole or still running.
        reference: The setting to compare with; None takes the largest fraction, or the epsilon
            whose products have the least error D.

    Returns:
        Over the setting (epsilon or fraction): distance (of the probes that are whole at both
        settings, in units of the loss), low and high, between which it lies at the level in attrs,
        resolution (what half of the steps would change), the same over the reference's range
        (relative_distance, relative_low, relative_high), and product_error (the largest D). The
        reference stands in attrs, and how many Ritz values were merged as copies.

    Raises:
        RecordError: Not a sweep, or one that was averaged.
        NotMeasuredError: The reference is not measured yet.
        InputError: The reference is none of the settings.
    """
    ds = as_dataset(ds)
    setting = setting_of(ds)
    ds = as_run(ds, "alpha", (setting, "probe", "step"))
    settings = ds[setting].values
    errors = ds.error.max(["probe", "step"])
    reference_index = _reference(ds, setting, reference, errors)
    spectra = [spectrum(ds, setting, index) for index in range(len(settings))]
    base = spectra[reference_index]
    if base is None or not bool(base.finished.any()):
        raise NotMeasuredError(
            f"the reference, {setting}={settings[reference_index]:g}, has no finished "
            "probe yet; wait for it, or choose another reference."
        )
    width = quadrature.extent(base.node.values) or np.nan
    half = max(ds.sizes["step"] // 2, 1)
    coarse = [spectrum(ds, setting, index, steps=half) for index in range(len(settings))]
    entries = [
        distance((full, rough), (base, coarse[reference_index]))
        for full, rough in zip(spectra, coarse, strict=True)
    ]
    rows = np.array(
        [(entry.distance, entry.low, entry.high, entry.resolution) for entry in entries]
    )
    attrs = {
        **ds.attrs,
        "reference": float(settings[reference_index]),
        "level": LEVEL,
        "copies": sum(
            copies_in(nodes_and_weights)
            for nodes_and_weights in spectra
            if nodes_and_weights is not None
        ),
        "comment": COMMENT,
    }
    units = {"units": str(ds.alpha.attrs.get("units", "loss"))}
    names = ("distance", "low", "high")
    return xr.Dataset(
        {
            **{name: (setting, rows[:, i], units) for i, name in enumerate(names)},
            **{
                f"relative_{name}": (setting, rows[:, i] / width, {"units": "1"})
                for i, name in enumerate(names)
            },
            "resolution": (setting, rows[:, 3], units),
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


def spectrum(
    ds: xr.Dataset, setting: str, index: int, *, steps: int | None = None
) -> xr.Dataset | None:
    """Quadrature of all probes at a setting, as `analysis.ritz.ritz` gives it; None before it."""
    part = ds.isel({setting: index})
    return ritz(part, steps=steps) if bool(np.isfinite(part.alpha.isel(step=0)).any()) else None


class Distance(NamedTuple):
    """How far two spectra lie apart, in units of the loss; NaN where nothing tells.

    Attributes:
        distance: The estimate.
        low: Lower end of what it may be, at `LEVEL`.
        high: Upper end.
        resolution: By how much half of the Lanczos steps would change the estimate.
    """

    distance: float
    low: float
    high: float
    resolution: float


_NOTHING = Distance(np.nan, np.nan, np.nan, np.nan)

Spectra = tuple[xr.Dataset | None, xr.Dataset | None]
"""Quadratures of a run as `analysis.ritz.ritz` gives them: of all steps, and of half of them."""


def distance(compared: Spectra, base: Spectra) -> Distance:
    """Wasserstein distance of two spectra, each the mean over probes.

    Of independent differences d_i between cumulative distributions the integral of |mean d_i| is
    too large on average (Jensen). That of sign(sum of the other d_j) d_i is too small on average,
    as no function with slopes of at most 1 tells the spectra further apart than their distance
    (Kantorovich and Rubinstein). The truth lies between what both average to.

    Args:
        compared: Spectra of a run; None for what is not measured yet.
        base: Those of the other. Probes are paired in order: of the same probe in both, what it
            scatters by cancels.

    Returns:
        Of the probes that are whole in both. One probe has no ends.
    """
    whole = _whole(compared[0], base[0])
    pairs = _pairs(compared[0], base[0], whole)
    if not pairs:
        return _NOTHING
    overestimate, by_pair, underestimates = _estimates(pairs)
    if len(pairs) == 1:
        return Distance(overestimate, np.nan, np.nan, np.nan)
    rough, _, _ = _estimates(_pairs(compared[1], base[1], whole))
    resolution = abs(overestimate - rough)
    below, above = (reach(samples, LEVEL) for samples in (underestimates, by_pair))
    least = max(float(underestimates.mean()), 0.0)
    return Distance(
        (overestimate + least) / 2,
        max(float(underestimates.mean()) - below - resolution, 0.0),
        overestimate + above + resolution,
        resolution,
    )


Pair = tuple[quadrature.Ritz, quadrature.Ritz]


def _whole(compared: xr.Dataset | None, base: xr.Dataset | None) -> list[int]:
    """Positions of the probes that are whole in both."""
    if compared is None or base is None:
        return []
    count = min(compared.sizes["probe"], base.sizes["probe"])
    both = compared.finished.values[:count] & base.finished.values[:count]
    return [int(index) for index in np.flatnonzero(both)]


def _pairs(compared: xr.Dataset | None, base: xr.Dataset | None, probes: list[int]) -> list[Pair]:
    if compared is None or base is None:
        return []
    rules, base_rules = rules_of(compared), rules_of(base)
    return [(rules[probe], base_rules[probe]) for probe in probes]


def _estimates(pairs: list[Pair]) -> tuple[float, Array, Array]:
    """The distance of the means, those of each pair, and each by the sign of the others."""
    grid = np.unique(np.concatenate([rule.nodes for pair in pairs for rule in pair]))
    gaps = np.diff(grid)
    excess = np.array([_cumulative(a, grid) - _cumulative(b, grid) for a, b in pairs])[:, :-1]
    total = excess.sum(axis=0)
    overestimate = float(np.abs(total) @ gaps) / len(pairs)
    return overestimate, np.abs(excess) @ gaps, (np.sign(total - excess) * excess) @ gaps


def _cumulative(rule: quadrature.Ritz, grid: Array) -> Array:
    """Weight of the nodes up to each point, shape of grid."""
    sums = np.concatenate([[0.0], np.cumsum(rule.weights)])
    return np.asarray(sums[np.searchsorted(rule.nodes, grid, side="right")])


def _reference(ds: xr.Dataset, setting: str, requested: float | None, errors: xr.DataArray) -> int:
    settings = ds[setting].values
    if requested is not None:
        (places,) = np.nonzero(np.isclose(settings, requested, rtol=1e-9, atol=0))
        if not len(places):
            raise InputError(
                f"reference={requested!r} is none of the settings; use one of {settings.tolist()}."
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


def measured_settings(ds: xr.Dataset) -> tuple[xr.Dataset, xr.Dataset]:
    """The settings that have a finished probe, and how far their spectra lie apart.

    Of a whole sweep these are all settings. Before, the reference is the best of those that are
    there, so that a page need not wait for the last one.

    Args:
        ds: Dataset of a sweep, whole or still running.

    Returns:
        The dataset restricted to these settings, and its `analysis.sweep.distances`. Without any D
        by which to choose, the reference is the one in the middle.

    Raises:
        RecordError: Not a sweep.
        NotMeasuredError: No probe is finished yet.
    """
    setting = setting_of(ds)
    spectra = [spectrum(ds, setting, index) for index in range(ds.sizes[setting])]
    has_finished = [
        nodes_and_weights is not None and bool(nodes_and_weights.finished.any())
        for nodes_and_weights in spectra
    ]
    if not any(has_finished):
        raise NotMeasuredError(
            "no probe is finished yet at any setting; wait for the first, or read the run's error "
            "if it has ended."
        )
    part = ds.isel({setting: np.flatnonzero(has_finished)})
    settings = part[setting].values
    has_errors = setting == "fraction" or bool(np.isfinite(part.error).any())
    reference = None if has_errors else float(settings[len(settings) // 2])
    return part, distances(part, reference=reference)


def apart_by(row: xr.Dataset) -> str:
    """A distance over the range with its interval, such as "1.2 % (0.8 – 1.9 %)".

    Args:
        row: A setting's entry of `analysis.sweep.distances`.
    """
    text = share(float(row.relative_distance))
    ends = float(row.relative_low), float(row.relative_high)
    return f"{text} ({between(*ends)})" if math.isfinite(ends[1]) else text
