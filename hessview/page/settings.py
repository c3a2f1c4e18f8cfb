"""What a figure over settings says at each of them, as rows of text for the page's slider."""

from typing import Any

import numpy as np
import xarray as xr

from hessview.data.accuracy import theory
from hessview.data.sweep import setting_of
from hessview.page.comparison import apart_by
from hessview.page.wording import number

Json = dict[str, Any]

# What a slider moves over, by the setting: its label and whether it is logarithmic.
_LABELS = {"epsilon": ("Step ε", True), "fraction": ("Part of the data", False)}


def steps_over(ds: xr.Dataset) -> Json:
    """The steps of an accuracy run, and its numbers at each.

    Args:
        ds: Dataset of an accuracy run, also a half-done one.

    Returns:
        label, axis (of the figure), log, askable (whether another can be measured), values (the
        measured settings, ascending), head, and rows: for each value a list of rows of text.
    """
    resolved = theory(ds).resolved
    places = np.flatnonzero(np.isfinite(ds.relative_error.values).any(axis=0)).tolist()
    rows = []
    for place in places:
        one, own = ds.isel(epsilon=place), resolved.isel(epsilon=place)
        there = np.flatnonzero(np.isfinite(one.relative_error.values)).tolist()
        rows.append([_direction(one.isel(direction=n), bool(own[n])) for n in there])
    head = ["direction", "error", "1 − cosine", "ρ", "D"]
    return _over("epsilon", "x", ds.epsilon.values[places], head, rows)


def settings_over(part: xr.Dataset, apart: xr.Dataset) -> Json:
    """The settings of a sweep, and how far its spectra lie from the reference's.

    Args:
        part: Dataset of a sweep, its finished settings only.
        apart: Their distances, as `data.sweep.distances` gives them.

    Returns:
        As of `steps_over`.
    """
    setting = setting_of(part)
    rows = []
    for value in part[setting].values.tolist():
        one = apart.sel({setting: value})
        own = value == apart.attrs["reference"]
        words = "the reference itself" if own else f"{apart_by(one)} of the range"
        rows.append([[words, number(float(one.product_error), 2)]])
    head = [f"distance to {number(float(apart.attrs['reference']))}", "D ≤"]
    return _over(setting, "x2", part[setting].values, head, rows)


def _direction(one: xr.Dataset, resolved: bool) -> list[str]:
    error = number(float(one.relative_error)) + ("" if resolved else " (not resolved)")
    numbers = [number(value, 2) for value in (1 - one.cosine.item(), one.rho.item())]
    return [str(one.direction.item()), error, *numbers, number(one.error.item(), 2)]


def _over(setting: str, axis: str, values: Any, head: list[str], rows: list[Any]) -> Json:
    label, log = _LABELS[setting]
    found = {"label": label, "axis": axis, "log": log, "askable": setting == "epsilon"}
    exact = [float(f"{value:.10g}") for value in values]  # as the figure's own coordinates
    return found | {"values": exact, "head": head, "rows": rows}
