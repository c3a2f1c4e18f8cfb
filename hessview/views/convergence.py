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
from hessview.views.density import LOCATED
from hessview.views.theme import BAR, LIGHT, heading, template
from hessview.wording import counted

ROOM = {"y": (0.7, 1.0), "y2": (0.39, 0.65), "y3": (0.0, 0.34)}
HEIGHT = 570
TICKS, EDGE = 6, 0.04  # of the bounds' axis: most of them, and the share beyond the outermost
BELOW = 112  # pixels: ticks, title and legend
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
    found = settled(ds, probe=probe, extremes=extremes)
    norm = float(np.nanmax(np.abs(found.value)))
    floor = ROUNDING * (norm or 1.0)
    traces = []
    for end, colour, axis in ENDS:
        one = found.sel(end=end)
        label = f"{extremes} {end}" if extremes > 1 else end
        traces.append(_values(one, end, colour, axis, label))
        traces.append(_bounds(traces[-1], floor))
    stated = bounds(ds, found.attrs["probe"])
    for end, colour, _ in ENDS:
        traces.append(_stated(stated.get(end, math.nan), end, colour, found.sizes["step"]))
    traces += [_skew(asymmetry(ds, found)), *_marks()]
    layout = _layout(found)
    layout["yaxis3"] |= _bound_axis([trace["y"] for trace in traces if trace.get("yaxis") == "y3"])
    return go.Figure(traces, layout)


def _bound_axis(curves: list[np.ndarray]) -> dict[str, Any]:
    """The logarithmic axis of bounds: whole decades, since ticks between them are long."""
    values = np.concatenate([np.asarray(curve, dtype=float) for curve in curves])
    values = np.log10(values[values > 0])  # NaN is not
    low, high = math.floor(values.min()), math.ceil(values.max())
    high = max(high, low + 1)
    beyond = EDGE * (high - low)
    return {"range": (low - beyond, high + beyond), "dtick": math.ceil((high - low) / TICKS)}


def describe(found: xr.Dataset) -> str:
    """Which probe is shown and how far it got, in a line.

    Args:
        found: What `analysis.ritz` gives.

    Returns:
        Plain text.
    """
    step = found.sizes["step"]
    copies = say_copies(int(found.copies[-1]))
    parts = [f"Probe {found.attrs['probe'] + 1}", counted(step, "step"), copies]
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
    return {end: one.bound for end, one in extremes.items() if not one.withheld}


def asymmetry(ds: xr.Dataset, found: xr.Dataset) -> np.ndarray:
    """What each product of a probe leaves along earlier Lanczos vectors.

    Args:
        ds: Dataset of a density run.
        found: What `analysis.ritz` gives for one of its probes.

    Returns:
        Shape (step,), in units of the loss; empty for records that lack it.
    """
    if "asymmetry" not in ds:
        return np.zeros(0)
    rows = ds if "probe" in ds.dims else ds.expand_dims("probe")
    values = rows.asymmetry.sel(probe=found.attrs["probe"]).values[: found.sizes["step"]]
    return np.asarray(values) if np.isfinite(values).any() else np.zeros(0)


def _skew(values: np.ndarray) -> dict[str, Any]:
    return {
        "type": "scatter",
        "x": np.arange(1, len(values) + 1),
        "y": np.where(values > 0, values, np.nan),
        "xaxis": "x3",
        "yaxis": "y3",
        "name": "asymmetry of the products",
        "meta": {"role": "asymmetry"},
        "mode": "lines",
        "line": {"color": LIGHT["muted"], "width": 1.5, "dash": "dot"},
        "showlegend": bool((values > 0).any()),
        "hovertemplate": "step %{x}: asymmetry %{y:.2~g}<extra></extra>",
    }


def _values(one: xr.Dataset, end: str, colour: str, axis: str, label: str) -> dict[str, Any]:
    """Ritz values of all ranks as one trace, with a gap after each rank."""
    rank, step = np.meshgrid(one["rank"].values, one.step.values, indexing="ij")
    columns = [
        np.where(np.isfinite(one.value.values), values, np.nan)
        for values in (step, one.value.values, rank, one.residual.values)
    ]
    x, y, ranks, residuals = (
        np.pad(c, ((0, 0), (0, 1)), constant_values=np.nan).ravel() for c in columns
    )
    located = residuals <= LOCATED * np.abs(y)
    return {
        "type": "scatter",
        "x": x,
        "y": y,
        "xaxis": axis.replace("y", "x"),
        "yaxis": axis,
        "customdata": np.column_stack([ranks, residuals, y]),
        "name": label,
        "meta": {"role": end},
        "mode": "lines+markers",
        "line": {"color": LIGHT[colour], "width": 1},
        "marker": {
            "size": 6,
            "color": LIGHT[colour],
            "symbol": np.where(located, "circle", "circle-open").tolist(),
        },
        "hovertemplate": f"step %{{x}}, number %{{customdata[0]}} of the {end}<br>"
        "λ %{customdata[2]:.5~g}, residual bound %{customdata[1]:.1~g}<extra></extra>",
    }


def _bounds(values: dict[str, Any], floor: float) -> dict[str, Any]:
    return {
        **values,
        "y": np.maximum(values["customdata"][:, 1], floor),
        "xaxis": "x3",
        "yaxis": "y3",
        "meta": {"role": f"{values['meta']['role']}_residual"},
        "showlegend": False,
    }


def _stated(bound: float, end: str, colour: str, steps: int) -> dict[str, Any]:
    known = math.isfinite(bound) and bound > 0
    return {
        "type": "scatter",
        "x": np.array([0.5, steps + 0.5]) if known else np.zeros(0),
        "y": np.full(2, bound) if known else np.zeros(0),
        "xaxis": "x3",
        "yaxis": "y3",
        "name": f"{end}: bound with the products' errors",
        "meta": {"role": f"{end}_bound"},
        "mode": "lines",
        "line": {"color": LIGHT[colour], "width": 1.5, "dash": "dash"},
        "showlegend": known,
        "hovertemplate": f"{end} ± %{{y:.2~g}}, the products' errors included<extra></extra>",
    }


def _marks() -> list[dict[str, Any]]:
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


def _layout(found: xr.Dataset) -> dict[str, Any]:
    # Margins that fit themselves to labels can chase each other where three plots share them.
    fixed = {"automargin": False, "tickfont": {"size": 10}}
    hidden = {**fixed, "showticklabels": False, "matches": "x3", "title": {"text": ""}}
    above = heading("Convergence of the extremes", found.attrs, describe(found), body=HEIGHT)
    return {
        "template": template(),
        **above,
        "margin": {**above["margin"], "b": BELOW},
        "xaxis": {**hidden, "anchor": "y"},
        "xaxis2": {**hidden, "anchor": "y2"},
        "xaxis3": {**fixed, "title": {"text": "Lanczos step"}, "anchor": "y3"},
        "yaxis": {**fixed, "title": {"text": "largest λ"}, "domain": ROOM["y"]},
        "yaxis2": {**fixed, "title": {"text": "smallest λ"}, "domain": ROOM["y2"]},
        "yaxis3": {
            **fixed,
            "title": {"text": "residual bound"},
            "domain": ROOM["y3"],
            "type": "log",
        },
        "hovermode": "closest",
    }
