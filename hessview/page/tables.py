"""What a figure shows, as a table: for where no script runs."""

from typing import NamedTuple

import numpy as np
import xarray as xr

from hessview.analysis.accuracy import theory
from hessview.analysis.coupling import coupling_summary
from hessview.analysis.headline import ends_of
from hessview.analysis.ritz import convergence, say_copies
from hessview.analysis.sweep import apart_by, measured_settings, setting_of, spectrum
from hessview.analysis.training import QUANTITIES, history
from hessview.page.panels import EXTREMES
from hessview.page.tiles import brief
from hessview.views.convergence import bounds, describe
from hessview.views.sweep import SYMBOLS
from hessview.wording import ANYTHING, NOT_NEGATIVE, Ends, limits_of, measured, number


class Table(NamedTuple):
    """A table of plain text.

    Attributes:
        caption: What it shows.
        head: Names of its columns.
        rows: Its cells; the first of a row names it.
    """

    caption: str
    head: list[str]
    rows: list[list[str]]


def accuracy_table(ds: xr.Dataset) -> Table:
    """Errors of products, a row for each epsilon and a column for each direction.

    Args:
        ds: Dataset of an accuracy run.

    Returns:
        The table; a star marks errors that may be the reference's.
    """
    resolved = theory(ds).resolved.values.T
    errors = ds.relative_error.values.T
    rows = [
        [number(epsilon), *(_marked(*cell) for cell in zip(*line, strict=True))]
        for epsilon, *line in zip(ds.epsilon.values.tolist(), errors, resolved, strict=True)
    ]
    unresolved = bool((np.isfinite(errors) & ~resolved).any())
    caption = "Relative error of the product" + "; * may be the reference's" * unresolved
    return Table(caption, ["ε", *map(str, ds.direction.values)], rows)


def sweep_table(ds: xr.Dataset) -> Table:
    """How far each setting's spectrum lies from the reference's.

    Args:
        ds: Dataset of a sweep.

    Returns:
        The table, of the settings with a finished probe.

    Raises:
        RecordError: There is none.
    """
    part, differences = measured_settings(ds)
    setting = setting_of(part)
    rows = []
    for index, value in enumerate(part[setting].values.tolist()):
        quadrature = spectrum(part, setting, index)
        assert quadrature is not None, "comparison left it out"
        row = differences.isel({setting: index})
        ends = (number(float(end)) for end in (quadrature.node.max(), quadrature.node.min()))
        error = number(float(row.product_error))
        rows.append([number(value), *ends, apart_by(row), error])
    reference = f"{SYMBOLS[setting]} {number(differences.attrs['reference'])}"
    copies = say_copies(int(differences.attrs["copies"]))
    caption = " · ".join(filter(None, [f"Distance to the spectrum at {reference}", copies]))
    head = [setting, "largest Ritz value", "smallest", "distance / range", "product error D"]
    return Table(caption, head, rows)


def coupling_table(ds: xr.Dataset) -> Table:
    """What the block-diagonal product misses in each block, and its strongest partner.

    Args:
        ds: Dataset of a coupling run.

    Returns:
        The table.
    """
    summary = coupling_summary(ds)
    names = [str(name) for name in summary.block.values]
    partners = summary.coefficient.values.copy()
    np.fill_diagonal(partners, np.nan)
    rows = []
    for index, name in enumerate(names):
        row, line = summary.isel(block=index), partners[index]
        best = int(np.nanargmax(line)) if np.isfinite(line).any() else -1
        most = f"{names[best]} ({number(float(line[best]), 2)})" if best >= 0 else "–"
        error = _with_error(row.row_error, row.row_uncertainty, limits=NOT_NEGATIVE)
        noise = number(float(row.row_noise), 1)
        rows.append([name, error, noise, str(row.verdict_of_row.item()), most])
    whole = [_of_all(summary.sel(quantity=name)) for name in summary["quantity"].values]
    head = ["block", "error", "noise", "verdict", "most coupled to (coefficient)"]
    caption = "Block-diagonal product, by block (means over probes of ratios)"
    return Table(caption, head, [*rows, *whole])


def _of_all(row: xr.Dataset) -> list[str]:
    """The row of a number of the whole block-diagonal product."""
    name = str(row["quantity"].item())
    kind = "mean of ratios" if name in ("block_error", "cosine") else "ratio of means"
    words = name.removesuffix("_pooled").replace("_", " ")
    noise = number(float(row.noise), 1)
    value = _with_error(row.value, row.uncertainty, limits=limits_of(name), ends=ends_of(row))
    return [f"all: {words}, {kind}", value, noise, str(row.verdict.item()), ""]


def convergence_table(ds: xr.Dataset) -> Table:
    """Extreme Ritz values after the last step of the probe that got furthest.

    Args:
        ds: Dataset of a density run.

    Returns:
        The table; each value with its residual bound.

    Raises:
        RecordError: Nothing is measured yet.
    """
    ritz_values = convergence(ds, extremes=EXTREMES)
    last = ritz_values.isel(step=-1)
    rows = [
        [str(rank), *map(_with_error, last.value.sel(rank=rank), last.residual.sel(rank=rank))]
        for rank in last["rank"].values.tolist()
        if np.isfinite(last.value.sel(rank=rank)).any()
    ]
    stated = bounds(ds, ritz_values.attrs["probe"])
    outermost = last.value.sel(rank=1)
    bounds_in_words = [
        f"{end} {' '.join(measured(float(outermost.sel(end=end)), bound))}"
        for end, bound in stated.items()
    ]
    more = (
        f"; with the products' errors, {' and '.join(bounds_in_words)}" if bounds_in_words else ""
    )
    caption = f"Convergence of the extremes: {describe(ritz_values)} · ± residual bound{more}"
    return Table(caption, ["number", "largest λ", "smallest λ"], rows)


def training_table(ds: xr.Dataset) -> Table:
    """Extremes and trace at each training step, with their uncertainties.

    Args:
        ds: What `hessview.join_training` joined.

    Returns:
        The table; a dash where nothing is measured yet, the reason where a number is withheld.
    """
    quantities = history(ds).sel(quantity=list(QUANTITIES))
    rows = [
        [str(training_step), *map(_or_reason, row.value, row.uncertainty, row.basis)]
        for index, training_step in enumerate(quantities.training_step.values.tolist())
        for row in [quantities.isel(training_step=index)]
    ]
    head = ["training step", "largest eigenvalue", "smallest eigenvalue", "trace"]
    return Table("Curvature during training", head, rows)


def readings_table(ds: xr.Dataset) -> Table:
    """What is measured of each variable, for runs of which nothing more is known.

    Args:
        ds: Dataset of a run.

    Returns:
        The table, a row for each variable.
    """
    rows = []
    for name, variable in ds.data_vars.items():
        values = variable.values[np.isfinite(variable.values)]
        ends = [number(float(end)) for end in (values.min(), values.max())] if values.size else []
        words = str(variable.attrs.get("long_name", name))
        counts = f"{values.size:,} of {variable.size:,}"
        rows.append([words, str(variable.attrs.get("units", "")), counts, *(ends or ["–", "–"])])
    head = ["variable", "units", "measured", "smallest", "largest"]
    return Table("What is measured", head, rows)


def _or_reason(value: xr.DataArray, error: xr.DataArray, basis: xr.DataArray) -> str:
    reason = str(basis.item())
    return brief(reason) if reason.startswith("withheld") else _with_error(value, error)


def _with_error(
    value: xr.DataArray,
    error: xr.DataArray,
    *,
    limits: Ends = ANYTHING,
    ends: Ends | None = None,
) -> str:
    return " ".join(measured(float(value), float(error), limits=limits, ends=ends)).strip()


def _marked(error: float, resolved: bool) -> str:
    return number(error) + ("" if resolved or not np.isfinite(error) else "*")
