"""The headline numbers of a run as plain text, each with what it is worth."""

import math
from typing import Any

import numpy as np
import xarray as xr

from hessview.analysis.accuracy import theory
from hessview.analysis.benchmark import benchmark, say_spread
from hessview.analysis.coupling import (
    CONTRADICTED,
    DOUBTED,
    FEW,
    TRUSTED,
    WORTHLESS,
    coupling_summary,
)
from hessview.analysis.headline import ends_of, headline, rounding, worst_effect
from hessview.analysis.sweep import measured_settings, setting_of
from hessview.errors import RecordError
from hessview.page.contract import Tile
from hessview.page.status import progress
from hessview.record.operator_facts import facts_in
from hessview.spectral.bounds import NOT_A_DERIVATIVE
from hessview.views.sweep import SYMBOLS
from hessview.wording import (
    NOT_NEGATIVE,
    between,
    counted,
    limits_of,
    measured,
    number,
    share,
    span,
)

_TONES = {TRUSTED: "good", DOUBTED: "warn", FEW: "warn", CONTRADICTED: "bad", WORTHLESS: "bad"}


def tile(label: str, value: str, note: str = "", basis: str = "", *, verdict: str = "") -> Tile:
    """A tile of the page.

    Args:
        label: What the number is.
        value: The number.
        note: Its uncertainty, or why there is none.
        basis: How the uncertainty was obtained, at length.
        verdict: Whether it is to be believed, in one of the words of `analysis.coupling`.

    Returns:
        A dict of these texts, and tone: the colour of the verdict, as `views.theme` names it.
    """
    tone = _TONES.get(verdict, "")
    return {
        "label": label,
        "value": value,
        "note": note,
        "basis": basis,
        "verdict": verdict,
        "tone": tone,
    }


def missing(label: str) -> Tile:
    """The tile of a number that is not measured, or not yet.

    Args:
        label: What the number is.

    Returns:
        The tile.
    """
    return tile(label, "–", "not measured")


def withheld(label: str, reason: str) -> Tile:
    """The tile of a number that is not given, with the reason in its place.

    Args:
        label: What the number is.
        reason: Why, in words; what follows a colon or comma stands in the details only.

    Returns:
        The tile.
    """
    return tile(label, "–", brief(reason), reason)


def brief(basis: str) -> str:
    """What a tile has room for of how a number was obtained, or why there is none."""
    text = basis.removeprefix("withheld: ")
    start = "withheld: " if text != basis else ""
    return start + text.split(";")[0].split(",")[0].split(":")[0]


def density_tiles(ds: xr.Dataset) -> list[Tile]:
    """Tiles of a density run.

    Args:
        ds: Dataset of the run; also one with nothing measured yet.

    Returns:
        The tiles, in the order in which they are shown.
    """
    try:
        numbers: xr.Dataset | None = headline(ds)
    except RecordError:
        numbers = None
    return [
        _quantity("Largest eigenvalue", numbers, "largest"),
        _quantity("Smallest eigenvalue", numbers, "smallest"),
        _quantity("Trace", numbers, "trace"),
        _negative_mass(numbers),
        _steps(ds),
        _epsilon(ds),
    ]


def _quantity(label: str, numbers: xr.Dataset | None, name: str) -> Tile:
    if numbers is None:
        return missing(label)
    row = numbers.sel(quantity=name)
    basis = str(row.basis.item())
    if not np.isfinite(row.value):
        return withheld(label, basis)
    value, spread = measured(
        float(row.value), float(row.uncertainty), limits=limits_of(name), ends=ends_of(row)
    )
    return tile(label, value, spread or brief(basis), basis)


def _negative_mass(numbers: xr.Dataset | None) -> Tile:
    label = "Negative mass"
    if numbers is None:
        return missing(label)
    row, unresolved_row = (
        numbers.sel(quantity=name) for name in ("negative_mass", "unresolved_mass")
    )
    if not np.isfinite(row.value):
        return withheld(label, str(row.basis.item()))
    edge = number(100 * numbers.attrs["resolution"], 1)
    unresolved = between(float(unresolved_row.low), float(unresolved_row.high))
    return tile(
        label,
        between(float(row.low), float(row.high)),
        f"of the spectrum; {unresolved} so near to 0 that no sign is told",
        f"share of the spectrum below −{edge} % of the largest eigenvalue's size: "
        f"{share(float(row.value))} by quadrature, and surely between the ends given, whatever the "
        f"quadrature does not see; {row.basis.item()}. Unresolved is what lies within {edge} % of "
        f"zero ({share(float(unresolved_row.value))} by quadrature): it is measured, but Lanczos "
        "cannot tell its sign",
    )


def _steps(ds: xr.Dataset) -> Tile:
    done, total = progress(ds)
    probes, steps = np.atleast_2d(ds.alpha.values).shape
    note = f"of {total}, {counted(probes, 'probe')} × {steps}"
    return tile("Lanczos steps", f"{done}", note, "one Hessian-vector product each")


def _epsilon(ds: xr.Dataset) -> Tile:
    epsilon, rho = (_finite(ds, name) for name in ("epsilon", "rho"))
    label = "ε"
    if facts_in(ds.attrs).exact:
        return tile(
            label, "none", "exact products", "double backward, which errs by rounding alone"
        )
    if not epsilon.size:
        return missing(label)
    note = f"ρ {span(rho.min(), rho.max())}" if rho.size else ""
    error = _finite(ds, "error")
    worth = (
        f"error D of a product, by a second ε: at most {number(error.max(), 2)} "
        f"in {error.size} measured"
        if error.size
        else "the error of the products was not measured"
    )
    basis = f"along unit vectors; ρ is the relative change of the gradient; {worth}"
    if rounded := rounding(ds):
        effect = worst_effect(ds)  # of records that are too old, only the displacement's own
        note += (
            f", rounded off by up to {float(ds.perturbation_error.max()):.0%}"
            if math.isnan(effect)
            else f", products moved by rounding by up to {effect:.0%}"
        )
        basis += f"; {rounded}"
    return tile(label, span(epsilon.min(), epsilon.max()), note, basis)


def _finite(ds: xr.Dataset, name: str) -> Any:
    values = ds[name].values if name in ds else np.array([])
    return values[np.isfinite(values)]


_MOST_DIRECTIONS = 5  # more are read off the figure


def accuracy_tiles(ds: xr.Dataset) -> list[Tile]:
    """The automatic epsilon's error in each direction, and against what it is measured.

    Args:
        ds: Dataset of an accuracy run; also one with nothing measured yet.

    Returns:
        The tiles, in the order in which they are shown.
    """
    merged = xr.merge([ds, theory(ds)], compat="override")
    rows = [merged.isel(direction=index) for index in range(merged.sizes["direction"])]
    done, total = progress(ds)
    return [
        *(_direction(row) for row in rows[:_MOST_DIRECTIONS]),
        _reference(ds),
        tile("Products", f"{done}", f"of {total}", "the automatic ε of each direction included"),
    ]


def _direction(row: xr.Dataset) -> Tile:
    label = f"Automatic ε, {row.direction.item()}"
    error = float(row.auto_relative_error)
    if not np.isfinite(error):
        return missing(label)
    bound = "" if bool(row.auto_resolved) else "≲ "
    basis = f"relative error of the product {_against(row)}"
    if bound:
        basis += "; the reference is not good enough to tell more than this bound"
    if np.isfinite(float(row.floor)):
        basis += (
            f"; theorem 3.1 foretells {number(float(row.floor), 2)} at its best, "
            f"ε {number(float(row.optimum), 2)}"
        )
    note = f"error at ε {number(float(row.auto_epsilon), 2)}"
    return tile(label, f"{bound}{number(error, 2)}", note, basis)


def _reference(ds: xr.Dataset) -> Tile:
    indices = np.flatnonzero(np.isfinite(ds.exact.values))
    if not len(indices):
        return missing("Reference")
    begun = ds.isel(direction=indices)
    exact = bool((begun.exact == 1).all())
    error = begun.reference_error.values[np.isfinite(begun.reference_error.values)]
    good = f"good to {number(float(error.max()), 1)}" if len(error) else "of unknown error"
    return tile("Reference", "double backward" if exact else "extrapolated", good)


def _against(row: xr.Dataset) -> str:
    if float(row.exact) == 1:
        return "against double backward in float64"
    return "against products extrapolated to ε = 0"


_APART = "Largest distance"


def sweep_tiles(ds: xr.Dataset) -> list[Tile]:
    """The largest distances to the reference's spectrum, with and without noise.

    Args:
        ds: Dataset of a sweep; also one with nothing measured yet.

    Returns:
        The tiles, in the order in which they are shown.
    """
    symbol, settings = SYMBOLS[setting_of(ds)], ds.sizes[setting_of(ds)]
    try:
        _, differences = measured_settings(ds)
    except RecordError:
        unmeasured = [missing(_APART), missing("Reference")]
        return [*unmeasured, tile("Settings", "0", f"of {settings} finished"), _sweep_steps(ds)]
    noisy = differences.product_error.fillna(0).values >= NOT_A_DERIVATIVE
    whole = [_largest(_APART, differences, noisy, np.ones_like(noisy))]
    if noisy.any():
        whole.append(_largest("Largest without noise", differences, noisy, ~noisy))
    count = f"of {settings} finished" + (f", {noisy.sum()} of them noise" if noisy.any() else "")
    return [
        *whole,
        _sweep_reference(differences, symbol),
        tile("Settings", f"{len(noisy)}", count, "noise: the error D of the products is near 1"),
        _sweep_steps(ds),
    ]


def _largest(label: str, differences: xr.Dataset, noisy: np.ndarray, kept: np.ndarray) -> Tile:
    setting = _setting(differences)
    settings = differences[setting].values
    distance = np.where(kept, differences.relative_distance.values, np.nan)
    distance[settings == differences.attrs["reference"]] = np.nan
    if not np.isfinite(distance).any():
        return tile(label, "–", "nothing to compare with yet")
    index = int(np.nanargmax(distance))
    row = differences.isel({setting: index})
    location = f"of the range, at {SYMBOLS[setting]} {number(float(settings[index]), 2)}"
    has_interval = np.isfinite(row.relative_high)
    ends = between(float(row.relative_low), float(row.relative_high)) if has_interval else ""
    basis = (
        "first Wasserstein distance between the mean spectra of the same probes, over the range of "
        "the reference's Ritz values; "
    )
    basis += (
        f"{100 * differences.attrs['level']:g} % interval from an underestimate (cross-validated "
        "over probes) and an overestimate (of their means), Student's t, and what half of the "
        "steps would change"
        if has_interval
        else "1 probe: an overestimate, and no interval"
    )
    verdict = WORTHLESS if noisy[index] else ""
    note = f"({ends}) {location}" if has_interval else location
    return tile(label, share(float(row.relative_distance)), note, basis, verdict=verdict)


def _setting(differences: xr.Dataset) -> str:
    return str(next(iter(differences.dims)))


def _sweep_reference(differences: xr.Dataset, symbol: str) -> Tile:
    reference = float(differences.attrs["reference"])
    error = float(differences.product_error.sel({_setting(differences): reference}))
    note = f"D ≤ {number(error, 1)}" if math.isfinite(error) else "D not measured"
    if facts_in(differences.attrs).exact:
        note = "exact products"
    return tile("Reference", f"{symbol} {number(reference, 2)}", note)


def _sweep_steps(ds: xr.Dataset) -> Tile:
    done, total = progress(ds)
    sizes = [ds.sizes[setting_of(ds)], ds.sizes["probe"], ds.sizes["step"]]
    note = f"of {total}, {' × '.join(map(str, sizes))}"
    return tile("Lanczos steps", f"{done}", note, "settings × probes × steps, one product each")


_LABELS = {
    "block_error_pooled": "Block-diagonal error",
    "block_error": "Its mean of ratios",
    "cosine_pooled": "Cosine",
    "kappa": "Scale κ",
}
_MEANINGS = {
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
    summary = coupling_summary(ds)
    done, total = progress(ds)
    probes, blocks = ds.sizes["probe"], ds.sizes["block"]
    size = f"of {total}, {counted(probes, 'probe')} × {counted(blocks, 'block')}"
    return [
        *(_coupling_quantity(summary.sel(quantity=name), name) for name in _LABELS),
        _strongest(summary),
        tile("Columns", f"{done}", size, "two products of the part of a probe in one block"),
    ]


def _coupling_quantity(row: xr.Dataset, name: str) -> Tile:
    value = float(row.value)
    if not np.isfinite(value):
        return missing(_LABELS[name])
    text, note = measured(value, float(row.uncertainty), limits=limits_of(name), ends=ends_of(row))
    if not note:
        note = f"noise {number(float(row.noise), 1)}"
    basis = f"{_MEANINGS[name]}; {row.basis.item()}"
    return tile(_LABELS[name], text, note, basis, verdict=str(row.verdict.item()))


def _strongest(summary: xr.Dataset) -> Tile:
    """The largest coefficient between two different blocks."""
    label = "Strongest coupling"
    values = summary.coefficient.values.copy()
    np.fill_diagonal(values, np.nan)
    values[~np.isfinite(values)] = np.nan  # a diagonal block that noise left at zero
    if not np.isfinite(values).any():
        return missing(label)
    row, column = np.unravel_index(np.nanargmax(values), values.shape)
    names = summary.block.values
    basis = "norm of the block over the geometric mean of those of its two diagonal blocks"
    return tile(
        label,
        number(float(values[row, column]), 2),
        f"{names[column]} → {names[row]}",
        f"{basis}: {summary.verdict_of_cell.values[row, column]}",
        verdict=str(summary.verdict_of_cell.values[row, column]),
    )


_MOST = 5  # pieces of work; all are in the table


def benchmark_tiles(ds: xr.Dataset) -> list[Tile]:
    """The time of each product over that of a gradient.

    Args:
        ds: Dataset of a benchmark run; also one with nothing measured yet.

    Returns:
        The tiles, in the order in which they are shown.
    """
    products = [str(work) for work in ds.work.values if work != "gradient"][:_MOST]
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
