"""Extreme Ritz values over the Lanczos step as a figure, and how well they are located."""

import math
from typing import Any

import numpy as np
import plotly.graph_objects as go
import xarray as xr

from hessview.analysis.extremes import of_probe
from hessview.analysis.ritz import convergence as settled
from hessview.analysis.ritz import one_density, say_copies
from hessview.record.datasets import as_dataset
from hessview.views.density import LOCATED, merged
from hessview.views.theme import BAR, LIGHT, heading, template
from hessview.wording import counted

_ROOM = {"y": (0.7, 1.0), "y2": (0.39, 0.65), "y3": (0.0, 0.34)}
_HEIGHT = 570
TICKS, EDGE = 6, 0.04  # of the bounds' axis: most of them, and the share beyond the outermost
_BELOW = 112  # pixels: ticks, title and legend
_LOWEST = {"xaxis": "x3", "yaxis": "y3"}
ENDS = (("largest", "accent", "y"), ("smallest", "ritz", "y2"))
ROUNDING = float(np.finfo(np.float64).eps)  # share of the largest Ritz value, below which is noise


def convergence(ds: xr.Dataset, *, probe: int | None = None, extremes: int = 3) -> go.Figure:
    """The largest and smallest Ritz values of a probe over the Lanczos step, and their bounds.

    A point is filled once it is located: its residual bound is below 1 % of it. The lowest plot
    shows that bound, with bounds below the rounding of float64 drawn there. The dashed lines are
    the bounds of the probe's largest and smallest that hold the products' errors too, as
    `hessview.summary` has them: residual bounds below promise more than the products hold. The
    dotted one is the asymmetry of each step's product: what it leaves along earlier Lanczos
    vectors, where exact products of a symmetric operator leave nothing.

    Args:
        ds: Dataset of a density run, also a half-done one.
        probe: The probe, by its value of the coordinate probe; None takes the one that got
            furthest.
        extremes: How many of the largest and of the smallest, >= 1.

    Returns:
        The figure; each trace says in `meta["role"]` what it is. Customdata holds rank, residual
        bound and Ritz value.

    Raises:
        InputError: A probe that is none of the run's, or extremes < 1.
        RecordError: Not a density, or no step of the probe is measured yet.

    Reference: Parlett, The Symmetric Eigenvalue Problem (1998), 13.2.
    """
    ds = as_dataset(ds)
    ritz_values = settled(ds, probe=probe, extremes=extremes)
    norm = float(np.nanmax(np.abs(ritz_values.value)))
    floor = ROUNDING * (norm or 1.0)
    computed = []
    for end, _, _ in ENDS:
        computed.append(_values(ritz_values.sel(end=end)))
        computed.append(_bounds(computed[-1], floor))
    stated = bounds(ds, ritz_values.attrs["probe"])
    for end, _, _ in ENDS:
        computed.append(_stated(stated.get(end, math.nan), ritz_values.sizes["step"]))
    computed += [_skew(asymmetry(ds, ritz_values)), {}, {}]
    figure = recipe(extremes)
    for trace, arrays in zip(figure["data"], computed, strict=True):
        trace.update(merged(trace, arrays))
    layout = figure["layout"]
    above = heading(
        "Convergence of the extremes", ritz_values.attrs, describe(ritz_values), body=_HEIGHT
    )
    layout |= above | {"margin": above["margin"] | {"b": _BELOW}}
    lowest = [trace["y"] for trace in figure["data"] if trace.get("yaxis") == "y3"]
    layout["yaxis3"] |= _bound_axis(lowest)
    return go.Figure(figure)


def recipe(extremes: int) -> dict[str, Any]:
    """The figure of `convergence` without what is computed from coefficients: a page does that.

    Args:
        extremes: How many of the largest and of the smallest.

    Returns:
        data, a trace for each role in `meta["role"]` without arrays, and layout, in which the
        range of the axis of bounds is still to be set.
    """
    traces = []
    for end, colour, axis in ENDS:
        traces.append(_line(end, colour, axis, f"{extremes} {end}" if extremes > 1 else end))
        role = {"role": f"{end}_residual"}
        traces.append(traces[-1] | _LOWEST | {"meta": role, "showlegend": False})
    traces += [_bound(end, colour) for end, colour, _ in ENDS]
    return {"data": [*traces, _asymmetry(), *_legend_only()], "layout": _layout()}


def _bound_axis(curves: list[np.ndarray]) -> dict[str, Any]:
    """The logarithmic axis of bounds: whole decades, since ticks between them are long."""
    values = np.concatenate([np.asarray(curve, dtype=float) for curve in curves])
    values = np.log10(values[values > 0])  # NaN is not
    low, high = math.floor(values.min()), math.ceil(values.max())
    high = max(high, low + 1)
    beyond = EDGE * (high - low)
    return {"range": (low - beyond, high + beyond), "dtick": math.ceil((high - low) / TICKS)}


def describe(ritz_values: xr.Dataset) -> str:
    """Which probe is shown and how far it got, in a line.

    Args:
        ritz_values: What `analysis.ritz` gives.

    Returns:
        Plain text.
    """
    step = ritz_values.sizes["step"]
    copies = say_copies(int(ritz_values.copies[-1]))
    parts = [f"Probe {ritz_values.attrs['probe'] + 1}", counted(step, "step"), copies]
    return BAR.join(filter(None, parts))


def bounds(ds: xr.Dataset, probe: int) -> dict[str, float]:
    """How far a probe's extremes are from eigenvalues, the errors of products included.

    Args:
        ds: Dataset of a density run.
        probe: The probe, by its value of the coordinate probe.

    Returns:
        The bound of the largest and of the smallest by these names, in units of the loss, of
        which `hessview.summary` takes that of the probe that surely reaches furthest; without
        those that it withholds.
    """
    run = one_density(ds)
    extremes = of_probe(run, run.probe.values.tolist().index(probe)) or {}
    return {end: extreme.bound for end, extreme in extremes.items() if not extreme.withheld}


def asymmetry(ds: xr.Dataset, ritz_values: xr.Dataset) -> np.ndarray:
    """What each product of a probe leaves along earlier Lanczos vectors.

    Args:
        ds: Dataset of a density run.
        ritz_values: What `analysis.ritz` gives for one of its probes.

    Returns:
        Shape (step,), in units of the loss; empty for records that lack it.
    """
    if "asymmetry" not in ds:
        return np.zeros(0)
    rows = ds if "probe" in ds.dims else ds.expand_dims("probe")
    values = rows.asymmetry.sel(probe=ritz_values.attrs["probe"]).values[
        : ritz_values.sizes["step"]
    ]
    return np.asarray(values) if np.isfinite(values).any() else np.zeros(0)


def _skew(values: np.ndarray) -> dict[str, Any]:
    return {
        "x": np.arange(1, len(values) + 1),
        "y": np.where(values > 0, values, np.nan),
        "showlegend": bool((values > 0).any()),
    }


def _asymmetry() -> dict[str, Any]:
    return {
        "type": "scatter",
        **_LOWEST,
        "name": "asymmetry of the products",
        "meta": {"role": "asymmetry"},
        "mode": "lines",
        "line": {"color": LIGHT["muted"], "width": 1.5, "dash": "dot"},
        "hovertemplate": "step %{x}: asymmetry %{y:.2~g}<extra></extra>",
    }


def _values(at_end: xr.Dataset) -> dict[str, Any]:
    """Ritz values of all ranks as one trace, with a gap after each rank."""
    rank, step = np.meshgrid(at_end["rank"].values, at_end.step.values, indexing="ij")
    columns = [
        np.where(np.isfinite(at_end.value.values), values, np.nan)
        for values in (step, at_end.value.values, rank, at_end.residual.values)
    ]
    x, y, ranks, residuals = (
        np.pad(c, ((0, 0), (0, 1)), constant_values=np.nan).ravel() for c in columns
    )
    located = residuals <= LOCATED * np.abs(y)
    return {
        "x": x,
        "y": y,
        "customdata": np.column_stack([ranks, residuals, y]),
        "marker": {"symbol": np.where(located, "circle", "circle-open").tolist()},
    }


def _line(end: str, colour: str, axis: str, label: str) -> dict[str, Any]:
    return {
        "type": "scatter",
        "xaxis": axis.replace("y", "x"),
        "yaxis": axis,
        "name": label,
        "meta": {"role": end},
        "mode": "lines+markers",
        "line": {"color": LIGHT[colour], "width": 1},
        "marker": {"size": 6, "color": LIGHT[colour]},
        "hovertemplate": f"step %{{x}}, number %{{customdata[0]}} of the {end}<br>"
        "λ %{customdata[2]:.5~g}, residual bound %{customdata[1]:.1~g}<extra></extra>",
    }


def _bounds(values: dict[str, Any], floor: float) -> dict[str, Any]:
    return {**values, "y": np.maximum(values["customdata"][:, 1], floor)}


def _stated(bound: float, steps: int) -> dict[str, Any]:
    drawn = math.isfinite(bound) and bound > 0
    return {
        "x": np.array([0.5, steps + 0.5]) if drawn else np.zeros(0),
        "y": np.full(2, bound) if drawn else np.zeros(0),
        "showlegend": drawn,
    }


def _bound(end: str, colour: str) -> dict[str, Any]:
    return {
        "type": "scatter",
        **_LOWEST,
        "name": f"{end}: bound with the products' errors",
        "meta": {"role": f"{end}_bound"},
        "mode": "lines",
        "line": {"color": LIGHT[colour], "width": 1.5, "dash": "dash"},
        "hovertemplate": f"{end} ± %{{y:.2~g}}, the products' errors included<extra></extra>",
    }


def _legend_only() -> list[dict[str, Any]]:
    """Points that stand in the legend only."""
    return [
        {
            "type": "scatter",
            "x": [None],
            "y": [None],
            "name": label,
            "meta": {"role": role},
            "mode": "markers",
            "marker": {"size": 7, "color": LIGHT["muted"], "symbol": symbol},
            "showlegend": True,
        }
        for role, label, symbol in (
            ("located", f"located to {100 * LOCATED:.0f} %", "circle"),
            ("unlocated", "not yet located", "circle-open"),
        )
    ]


def _layout() -> dict[str, Any]:
    # Margins that fit themselves to labels can chase each other where three plots share them.
    fixed = {"automargin": False, "tickfont": {"size": 10}}
    hidden = {**fixed, "showticklabels": False, "matches": "x3", "title": {"text": ""}}
    return {
        "height": _HEIGHT,  # and that of a title above it, where there is one
        "margin": {"t": 0},
        "template": template(),
        "xaxis": {**hidden, "anchor": "y"},
        "xaxis2": {**hidden, "anchor": "y2"},
        "xaxis3": {**fixed, "title": {"text": "Lanczos step"}, "anchor": "y3"},
        "yaxis": {**fixed, "title": {"text": "largest λ"}, "domain": _ROOM["y"]},
        "yaxis2": {**fixed, "title": {"text": "smallest λ"}, "domain": _ROOM["y2"]},
        "yaxis3": {
            **fixed,
            "title": {"text": "residual bound"},
            "domain": _ROOM["y3"],
            "type": "log",
        },
        "hovermode": "closest",
    }
