"""The spectral density as a figure: curve, band over probes, Ritz values."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
import xarray as xr
from numpy.typing import NDArray

from hessview.analysis.extremes import extremes
from hessview.analysis.ritz import copies_in, ritz, rules_of, say_copies
from hessview.errors import InputError
from hessview.record.datasets import as_dataset
from hessview.record.events import ENDED
from hessview.views import broadening
from hessview.views.broadening import Axis
from hessview.views.compare import MARGIN, ROUNDING, density_axis, outermost, seen
from hessview.views.theme import LIGHT, heading, operator_name, strip, template
from hessview.wording import counted

Array = NDArray[np.float64]

LOCATED = 1e-2  # a Ritz value is located when its residual bound is below this share of it
_LEGEND = ("mean", "high", "low", "unfinished", "extremes", "located", "unlocated", "strip")


def density(
    ds: xr.Dataset,
    *,
    sigma: float | None = None,
    steps: int | None = None,
    probes: Sequence[int] | None = None,
    axis: str = "linear",
) -> go.Figure:
    """Spectral density over eigenvalue, log scale, with its Ritz values as stems.

    The curve is the mean over whole probes and the band reaches from the lowest to the highest
    of them; a probe in progress would distort both and is drawn apart. A stem is one Ritz value
    of one probe beyond the unresolved strip, as high as its own kernel. The strip is where
    Lanczos resolves neither mass nor sign. The smallest and the largest eigenvalue are marked on
    the axis with their bounds, and the curve ends there: beyond them it would be the kernel's.

    Args:
        ds: Dataset of a density run, also a half-done one.
        sigma: Width of the Gaussian kernel in units of the eigenvalue; None takes what the
            number of steps supports. On a symlog axis it is the width at zero and grows with
            the eigenvalue (see `broadening.Axis`).
        steps: Use only the first so many Lanczos steps; None uses all.
        probes: Use only the probes with these values of the coordinate probe; None uses all.
        axis: "linear" or "symlog" eigenvalue axis. On symlog, a trace's x is the coordinate
            asinh(eigenvalue / scale), and its customdata holds the eigenvalue.

    Returns:
        The figure; each trace says in `meta["role"]` what it is.

    Raises:
        InputError: sigma not > 0, steps < 1, probes that are none of the run's, or an unknown axis.
        RecordError: Not a density, or nothing measured yet.

    Reference: Ghorbani, Krishnan & Xiao (ICML 2019).
    """
    broadening.check_sigma(sigma)
    ds = as_dataset(ds)
    quadrature = ritz(ds if probes is None else _chosen(ds, probes), steps=steps)
    nodes = quadrature.node.values
    x_axis = broadening.axis(axis, nodes)
    width = sigma or broadening.default_sigma(x_axis, nodes, int(quadrature.steps.max()))
    curves = _curves(quadrature, x_axis, width)
    heads = _heads(quadrature, x_axis, curves)
    bottom, top = _limits(curves, heads)
    chosen = steps is not None or probes is not None
    marked = outermost(quadrature) if chosen else marks(ds, quadrature)
    (low, below), (high, above) = marked
    ends = min(low - below, float(np.nanmin(nodes))), max(high + above, float(np.nanmax(nodes)))
    for curve in curves:
        _cut(curve, x_axis, ends, bottom / MARGIN)
    marker = _extremes(x_axis, marked, bottom, "residual bound" if chosen else "uncertainty")
    figure = recipe(quadrature.attrs)
    computed = [*curves, _stems(heads, bottom / MARGIN), *heads, marker]
    for trace, arrays in zip(figure["data"], computed, strict=True):
        trace.update(merged(trace, arrays))
    figure["layout"] |= _layout(quadrature, x_axis, width) | {"yaxis": density_axis(bottom, top)}
    return go.Figure(figure)


def recipe(attrs: Mapping[Any, Any]) -> dict[str, Any]:
    """The figure of `density` without what is computed from coefficients: a page does that.

    Args:
        attrs: Attributes of the run's dataset.

    Returns:
        data, a trace for each role in `meta["role"]` without arrays, and layout, in which ranges
        and ticks of the axes and the place of the strip around zero are still to be set.
    """
    filled = {"fill": "tonexty", "fillcolor": LIGHT["band"], "hoverinfo": "skip"}
    return {
        "data": [
            _curve("low", "band", width=0) | {"hoverinfo": "skip"},
            _curve("high", "band", width=0) | filled,
            _curve("mean", "accent", width=2),
            _curve("unfinished", "running", width=1.5, dash="dot"),
            _line_of_stems(),
            _marks("unlocated", "not yet located", "card"),
            _marks("located", "Ritz value located to 1 %", "ritz"),
            _mark_of_extremes(),
        ],
        "layout": {
            "template": template(),
            "xaxis": {"title": {"text": f"eigenvalue λ of the {operator_name(attrs)}"}},
            "yaxis": density_axis(0.1, 1.0),
            "hovermode": "closest",
            "legend": {"traceorder": "normal"},  # a filled band would turn it around
            "shapes": [strip(0.0, 0.0) | {"legendrank": _LEGEND.index("strip")}],
        },
    }


def merged(trace: Mapping[str, Any], computed: Mapping[str, Any]) -> dict[str, Any]:
    """A trace with what is computed for it; its error bars and lines keep their looks.

    Args:
        trace: As a recipe has it.
        computed: Its arrays, and whatever else goes with them.
    """
    nested = {name: value for name, value in trace.items() if isinstance(value, dict)}
    return {
        name: nested[name] | value if name in nested else value for name, value in computed.items()
    }


def marks(
    ds: xr.Dataset, quadrature: xr.Dataset
) -> tuple[tuple[float, float], tuple[float, float]]:
    """The smallest and the largest eigenvalue of a whole run, each with its uncertainty.

    Args:
        ds: Dataset of a density run.
        quadrature: Its quadrature, as `analysis.ritz.ritz` gives it.

    Returns:
        As `hessview.summary` has them; where it withholds one, or its bound, the Ritz value and
        its residual bound, since the curve is that of Ritz values.
    """
    numbers = extremes(ds)
    low, high = (
        (estimate.value, estimate.uncertainty)
        if np.isfinite(estimate.value + estimate.uncertainty)
        else drawn
        for estimate, drawn in zip(
            (numbers["smallest"], numbers["largest"]), outermost(quadrature), strict=True
        )
    )
    return low, high


def _cut(curve: dict[str, Any], axis: Axis, ends: tuple[float, float], floor: float) -> None:
    """Leave of a curve what lies where the spectrum was seen, and above the floor."""
    if not len(curve["y"]):
        return
    kept = seen(axis, curve["x"], ends)
    curve["y"] = np.maximum(curve["y"][kept], floor)
    for name in ("x", "customdata"):
        curve[name] = curve[name][kept]


def _extremes(
    axis: Axis, marked: Sequence[tuple[float, float]], floor: float, bound: str
) -> dict[str, Any]:
    """Marks of the extremes on the axis, with error bars along it."""
    values, bounds = np.array(marked).T
    x = axis.coordinate(values)
    return {
        "x": x,
        "y": np.full(2, floor),
        "error_x": {
            "array": axis.coordinate(values + bounds) - x,
            "arrayminus": x - axis.coordinate(values - bounds),
        },
        "customdata": np.column_stack([values, bounds]),
        "name": f"extremes and their {bound}",
        "hovertemplate": f"λ %{{customdata[0]:.5~g}}, {bound} %{{customdata[1]:.2~g}}"
        "<extra>%{fullData.name}</extra>",
    }


def _mark_of_extremes() -> dict[str, Any]:
    error = {
        "type": "data",
        "symmetric": False,
        "color": LIGHT["ink"],
        "thickness": 1.5,
        "width": 4,
    }
    return {
        "type": "scatter",
        "meta": {"role": "extremes"},
        "mode": "markers",
        "error_x": error,
        "marker": {
            "symbol": "triangle-up",
            "size": 9,
            "color": LIGHT["ink"],
            "line": {"color": LIGHT["ink"], "width": 0},
        },
        "cliponaxis": False,
        "showlegend": True,
        "legendrank": _LEGEND.index("extremes"),
    }


def describe(quadrature: xr.Dataset) -> str:
    """What the figure shows, in a line: probes, steps, and what is still missing.

    Args:
        quadrature: Quadrature as `analysis.ritz.ritz` gives it.

    Returns:
        Plain text.
    """
    whole = int(quadrature.finished.sum())
    probes = counted(whole, "probe") if whole else "no whole probe yet"
    parts = [
        "Stochastic Lanczos quadrature",
        f"{probes} × {counted(int(quadrature.steps.max()), 'step')}" if whole else probes,
        say_copies(copies_in(quadrature)),
    ]
    if whole == 1:
        parts.append("no spread to show")
    return " · ".join(filter(None, parts))


def _chosen(ds: xr.Dataset, probes: Sequence[int]) -> xr.Dataset:
    recorded = ds.probe.values.tolist() if "probe" in ds.dims else []
    if not len(probes) or not set(probes) <= set(recorded):
        raise InputError(
            f"probes={list(probes)!r} is not allowed; use some of {recorded}, or None."
        )
    return ds.sel(probe=[probe for probe in recorded if probe in set(probes)])


def _whole_and_partial(quadrature: xr.Dataset) -> tuple[list[int], list[int]]:
    """Positions of the probes that enter the mean, and of those with some steps that do not."""
    whole = quadrature.finished.values.astype(bool)
    begun = np.isfinite(quadrature.node.values).any(axis=1)
    return np.flatnonzero(whole).tolist(), np.flatnonzero(begun & ~whole).tolist()


def _drawn(quadrature: xr.Dataset) -> list[int]:
    whole, partial = _whole_and_partial(quadrature)
    return whole + partial[-1:]


def _curves(quadrature: xr.Dataset, axis: Axis, sigma: float) -> list[dict[str, Any]]:
    """The band's two edges, the mean, and the probe in progress; empty where there is none."""
    whole, partial = _whole_and_partial(quadrature)
    grid = broadening.grid(axis, quadrature.node.values, sigma)
    rules = rules_of(quadrature)
    values = {
        probe: broadening.broaden(axis, rules[probe].nodes, rules[probe].weights, grid, sigma)
        for probe in whole + partial
    }
    stacked = np.array([values[probe] for probe in whole]).reshape(-1, len(grid))
    band = stacked if len(whole) > 1 else stacked[:, :0]
    mean = stacked.mean(axis=0) if whole else stacked[:, :0].ravel()
    unfinished = values[partial[-1]] if partial else mean[:0]
    label = f"mean of {len(whole)} probes" if len(whole) > 1 else "1 probe"
    low = band.min(axis=0, initial=np.inf)
    high = band.max(axis=0, initial=0.0)
    drawn = (
        ("", low),
        ("lowest to highest probe", high),
        (label, mean),
        (_unfinished_label(quadrature, partial), unfinished),
    )
    curves = []
    for name, y in drawn:
        x = grid[: len(y)]
        curves.append({"x": x, "y": y, "customdata": axis.eigenvalue(x), "name": name})
        curves[-1]["showlegend"] = bool(len(y) and name)
    return curves


def _curve(role: str, colour: str, **line: Any) -> dict[str, Any]:
    return {
        "type": "scatter",
        "meta": {"role": role},
        "mode": "lines",
        "line": {"color": LIGHT[colour], **line},
        "legendrank": _LEGEND.index(role),
        "hovertemplate": "λ %{customdata:.4~g}<br>density %{y:.3~g}<extra>%{fullData.name}</extra>",
    }


def _unfinished_label(quadrature: xr.Dataset, partial: list[int]) -> str:
    if not partial:
        return ""
    probe = partial[-1]
    step = int(quadrature.steps[probe])
    ended = quadrature.attrs.get("state") in ENDED
    return f"probe {quadrature.probe.values[probe] + 1}, " + (
        f"ended at step {step}" if ended else f"at step {step}"
    )


def _heads(
    quadrature: xr.Dataset, axis: Axis, curves: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Ritz values of every drawn probe beyond the unresolved strip, on the curve it is part of."""
    columns = ("node", "weight", "residual", "copies")
    node, weight, residual, copies = (quadrature[name].values for name in columns)
    probe = np.broadcast_to(quadrature.probe.values[:, None], node.shape)
    shown = np.isin(np.arange(len(node)), _drawn(quadrature))[:, None]
    drawn = np.isfinite(node) & (np.abs(node) > axis.scale) & shown
    located = residual <= LOCATED * np.abs(node)
    heads = []
    for chosen in (drawn & ~located, drawn & located):
        whole = np.broadcast_to(quadrature.finished.values[:, None], node.shape)[chosen]
        rows = np.column_stack(
            [node[chosen], weight[chosen], residual[chosen], probe[chosen] + 1, whole]
        )
        words = np.array(
            [
                f", {say_copies(int(copy_count))}" if copy_count > 1 else ""
                for copy_count in copies[chosen]
            ],
            dtype=object,
        )
        heads.append(
            {
                "x": axis.coordinate(rows[:, 0]),
                "y": _heights(rows, axis, curves),
                "customdata": np.column_stack([rows.astype(object), words]),
                "showlegend": bool(len(rows)),
            }
        )
    return heads


def _marks(role: str, label: str, fill: str) -> dict[str, Any]:
    return {
        "type": "scatter",
        "name": label,
        "meta": {"role": role},
        "mode": "markers",
        "marker": {
            "size": 6,
            "color": LIGHT[fill],
            "line": {"color": LIGHT["ritz"], "width": 1.25},
        },
        "legendrank": _LEGEND.index(role),
        "hovertemplate": "λ %{customdata[0]:.5~g}, residual %{customdata[2]:.1~g}<br>"
        "weight %{customdata[1]:.3~g}%{customdata[5]}<extra>probe %{customdata[3]}</extra>",
    }


def _heights(rows: Array, axis: Axis, curves: list[dict[str, Any]]) -> Array:
    """Height of the mean at the nodes of whole probes, of the unfinished curve at the others."""
    mean, unfinished = (curve["y"] for curve in curves[2:])
    grid = max((curve["x"] for curve in curves), key=len)
    x = axis.coordinate(rows[:, 0])
    heights = np.zeros(len(rows))
    for curve, own in ((mean, rows[:, 4] == 1), (unfinished, rows[:, 4] == 0)):
        if own.any():
            heights[own] = np.interp(x[own], grid, curve)  # a point is at sigma / 50 or nearer
    return heights


def _stems(heads: list[dict[str, Any]], floor: float) -> dict[str, Any]:
    x = np.concatenate([head["x"] for head in heads])
    y = np.concatenate([head["y"] for head in heads])
    gap = np.full_like(x, np.nan)
    return {
        "x": np.column_stack([x, x, gap]).ravel(),
        "y": np.column_stack([np.full_like(y, floor), y, gap]).ravel(),
    }


def _line_of_stems() -> dict[str, Any]:
    return {
        "type": "scatter",
        "meta": {"role": "stems"},
        "mode": "lines",
        "line": {"color": LIGHT["stem"], "width": 1},
        "showlegend": False,
        "hoverinfo": "skip",
    }


def _limits(curves: list[dict[str, Any]], heads: list[dict[str, Any]]) -> tuple[float, float]:
    """Visible range of the density: every stem's head, and room above the highest peak."""
    top = max(float(curve["y"].max(initial=0)) for curve in curves)
    heights = np.concatenate([head["y"] for head in heads])
    lowest = float(heights.min(initial=top * 1e-4))
    bottom = max(lowest / 4, top * ROUNDING)
    return bottom, top * (top / bottom) ** 0.06


def _layout(quadrature: xr.Dataset, axis: Axis, sigma: float) -> dict[str, Any]:
    words = f"{describe(quadrature)} · {broadening.say_sigma(axis, sigma)}"
    edge = float(axis.coordinate(axis.scale))
    return {
        **heading("Spectral density", quadrature.attrs, words, body=400),
        "meta": {"axis": axis.name, "scale": axis.scale, "sigma": sigma},
        "xaxis": {
            "title": {"text": f"eigenvalue λ of the {operator_name(quadrature.attrs)}"},
            **broadening.ticks(axis, quadrature.node.values),
        },
        "shapes": [strip(edge, axis.scale) | {"legendrank": _LEGEND.index("strip")}],
    }
