"""Curvature during training: spectra over the training step, and what the extremes do."""

import math
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go
import xarray as xr
from numpy.typing import NDArray

from hessview.analysis.ritz import copies_in, ritz, rules_of, say_copies
from hessview.analysis.training import each_run, history
from hessview.errors import RecordError
from hessview.record.datasets import as_dataset
from hessview.spectral import quadrature
from hessview.spectral.bounds import NOT_A_DERIVATIVE
from hessview.views import broadening
from hessview.views.theme import LIGHT, heading, template
from hessview.wording import counted

Array = NDArray[np.float64]

LEAST_ROWS, MOST_ROWS = 241, 961  # eigenvalues at which a spectrum is coloured
_MOST_GAPS = 32  # columns; of more, gaps would be stripes
DECADES = 8  # of density that colours tell at most


class Spectrum(NamedTuple):
    """Quadrature of the whole probes at a training step.

    Attributes:
        nodes: Ritz values of each probe, shapes (node,).
        weights: Their weights, shapes (node,).
        steps: Lanczos steps of the shortest of them.
        copies: Ritz values that were merged with others (see `analysis.ritz.copies_in`).
    """

    nodes: list[Array]
    weights: list[Array]
    steps: int
    copies: int


def spectra(ds: xr.Dataset) -> list[Spectrum | None]:
    """Quadrature at each training step; None where no probe is finished yet.

    Args:
        ds: What `hessview.join_training` joined.

    Returns:
        One for each training step.

    Raises:
        RecordError: Not joined by `hessview.join_training`, or no probe is finished at any training
            step.
    """
    nodes_and_weights = [_spectrum(run) for run in each_run(ds)]
    if not any(nodes_and_weights):
        raise RecordError(
            "no probe is finished yet at any training step; wait for the first, or read the "
            "runs' errors if they have ended."
        )
    return nodes_and_weights


def _every_node(nodes_and_weights: list[Spectrum | None]) -> Array:
    """All Ritz values of all training steps, shape (node,)."""
    return np.concatenate(
        [nodes for spectrum in nodes_and_weights if spectrum for nodes in spectrum.nodes]
    )


def default_sigma(axis: broadening.Axis, nodes_and_weights: list[Spectrum | None]) -> float:
    """Kernel width that the least number of Lanczos steps supports, in units of the eigenvalue."""
    least = min(spectrum.steps for spectrum in nodes_and_weights if spectrum)
    return broadening.default_sigma(axis, _every_node(nodes_and_weights), least)


def rows(axis: broadening.Axis, nodes: Array, sigma: float) -> Array:
    """Coordinates of the heatmap's rows: evenly spaced, and dense enough for the kernel.

    Args:
        axis: The axis.
        nodes: Ritz values, shape (node,).
        sigma: Kernel width in units of the eigenvalue.

    Returns:
        Ascending coordinates, shape (row,).
    """
    grid = axis.coordinate(nodes)
    width = axis.width(sigma)
    beyond = max(quadrature.REACH / 2 * width, quadrature.PADDING * float(np.ptp(grid)))
    low, high = float(grid.min()) - beyond, float(grid.max()) + beyond
    point_count = math.floor(quadrature.POINTS_PER_SIGMA * (high - low) / width + 0.5) + 1
    return np.linspace(low, high, min(max(point_count, LEAST_ROWS), MOST_ROWS))


def _densities(axis: broadening.Axis, spectrum: Spectrum, grid: Array, sigma: float) -> Array:
    """Density of each probe at coordinates, shape (probe, point)."""
    return np.array(
        [
            broadening.broaden(axis, nodes, weights, grid, sigma)
            for nodes, weights in zip(spectrum.nodes, spectrum.weights, strict=True)
        ]
    )


def _spectrum(ds: xr.Dataset) -> Spectrum | None:
    try:
        nodes_and_weights = ritz(ds)
    except RecordError:
        return None
    nodes, weights, rules = [], [], rules_of(nodes_and_weights)
    whole = nodes_and_weights.isel(probe=np.flatnonzero(nodes_and_weights.finished.values))
    if not whole.sizes["probe"]:
        return None
    for probe in np.flatnonzero(nodes_and_weights.finished.values):
        nodes.append(rules[probe].nodes)
        weights.append(rules[probe].weights)
    return Spectrum(nodes, weights, int(whole.steps.min()), copies_in(whole))


def heatmap(
    nodes_and_weights: list[Spectrum | None], axis: broadening.Axis, sigma: float
) -> dict[str, Any]:
    """The heatmap's arrays: a column is the mean density over the whole probes of a training step.

    Args:
        nodes_and_weights: Quadratures, as `spectra` gives them.
        axis: The axis.
        sigma: Kernel width in units of the eigenvalue.

    Returns:
        y, z (the decimal logarithm of the density), customdata, and the ends of its colours.
    """
    grid = rows(axis, _every_node(nodes_and_weights), sigma)
    columns = [
        np.full(len(grid), np.nan)
        if spectrum is None
        else _densities(axis, spectrum, grid, sigma).mean(axis=0)
        for spectrum in nodes_and_weights
    ]
    values = np.array(columns).T
    bottom, top = _limits(nodes_and_weights, values, axis, sigma)
    return {
        "y": grid,
        "z": np.log10(np.maximum(values, 10.0**bottom)),
        "customdata": np.broadcast_to(axis.eigenvalue(grid)[:, None], values.shape),
        "zmin": bottom,
        "zmax": top,
    }


def _heatmap(training_steps: Array) -> dict[str, Any]:
    low, high = _ROOM["spectra"]
    colours = [
        [0, LIGHT["card"]],
        [0.02, LIGHT["grid"]],
        [0.65, LIGHT["accent"]],
        [1, LIGHT["ink"]],
    ]
    return {
        "type": "heatmap",
        "x": training_steps,
        "colorscale": colours,
        "colorbar": {
            "title": {"text": "log₁₀ density", "side": "right"},
            "thickness": 12,
            "outlinewidth": 0,
            "len": high - low,
            "y": (low + high) / 2,
        },
        # A gap tells neighbours apart where little changes.
        "xgap": int(len(training_steps) <= _MOST_GAPS),
        "meta": {"role": "spectra"},
        "hoverongaps": False,
        "hovertemplate": "training step %{x}<br>λ %{customdata:.4~g}<br>"
        "log₁₀ density %{z:.2f}<extra></extra>",
    }


def _limits(
    nodes_and_weights: list[Spectrum | None], values: Array, axis: broadening.Axis, sigma: float
) -> tuple[float, float]:
    """Powers of ten from the faintest Ritz value beyond the unresolved strip to the highest peak.

    Some decades below the peak are left out where outliers are fainter still.
    """
    top = math.log10(float(np.nanmax(values)))
    peaks = [
        _densities(axis, spectrum, np.sort(axis.coordinate(outliers)), sigma).mean(axis=0).min()
        for spectrum in nodes_and_weights
        if spectrum
        for outliers in [
            np.concatenate(spectrum.nodes)[np.abs(np.concatenate(spectrum.nodes)) > axis.scale]
        ]
        if len(outliers)
    ]
    faintest = math.log10(min(peaks)) - 0.5 if peaks else top - DECADES
    return max(faintest, top - DECADES), top


_ROOM = {"spectra": (0.46, 1.0), "extremes": (0.2, 0.38), "trace": (0.0, 0.13)}
_HEIGHT = 668
_BARS = "bars: bounds of the extremes, 95 % interval of the trace"
QUANTITIES = (
    ("largest", "largest eigenvalue", "accent", "y2"),
    ("smallest", "smallest eigenvalue", "ritz", "y2"),
    ("trace", "trace", "running", "y3"),
)


def training(ds: xr.Dataset, *, sigma: float | None = None, axis: str = "symlog") -> go.Figure:
    """Spectra over the training step as a heatmap; below it the extremes and the trace.

    A column is the mean density over the whole probes of one run; all have one kernel width and
    one colour scale. Extremes and trace carry the uncertainties of `hessview.summary`; products
    that are no derivatives (D near 1) make their point a cross, and numbers that are withheld for
    that have none: the legend counts them.

    Args:
        ds: What `hessview.join_training` joined.
        sigma: Width of the Gaussian kernel in units of the eigenvalue; None takes what the
            number of steps supports. On a symlog axis it is the width at zero.
        axis: "linear" or "symlog" eigenvalue axis. On symlog, the heatmap's y is the coordinate
            asinh(eigenvalue / scale).

    Returns:
        The figure; each trace says in `meta["role"]` what it is.

    Raises:
        InputError: sigma not > 0, or an unknown axis.
        RecordError: Not joined by `hessview.join_training`, or no probe is finished yet.

    Reference: Ghorbani, Krishnan & Xiao (ICML 2019) follow spectra through training in this way.
    """
    broadening.check_sigma(sigma)
    ds = as_dataset(ds)
    nodes_and_weights = spectra(ds)
    nodes = _every_node(nodes_and_weights)
    x_axis = broadening.axis(axis, nodes)
    width = sigma or default_sigma(x_axis, nodes_and_weights)
    figure = recipe(ds)
    figure["data"][0] |= heatmap(nodes_and_weights, x_axis, width)
    layout = figure["layout"]
    words = f"{describe(ds, nodes_and_weights)} · {broadening.say_sigma(x_axis, width)}"
    layout |= heading("Curvature during training", ds.attrs, words, body=_HEIGHT)
    layout["meta"] = {"axis": x_axis.name, "scale": x_axis.scale, "sigma": width}
    layout["yaxis"] |= broadening.ticks(x_axis, nodes)
    edge = float(x_axis.coordinate(x_axis.scale))
    layout["shapes"] = [_edge(-edge, x_axis.scale), _edge(edge, x_axis.scale)]
    return go.Figure(figure)


def recipe(ds: xr.Dataset) -> dict[str, Any]:
    """The figure of `training` without what is computed from coefficients: a page does that.

    Args:
        ds: What `hessview.training` joined.

    Returns:
        data, the heatmap without its arrays and the whole traces below it, and layout, in which
        the ticks of the eigenvalue axis and the edges of the unresolved strip are still to be set.
    """
    steps = ds.training_step.values
    return {"data": [_heatmap(steps), *_history(ds)], "layout": _layout(steps)}


def _history(ds: xr.Dataset) -> list[dict[str, Any]]:
    quantities = history(ds)
    worst = ds.error.max(["probe", "step"]).values if "error" in ds else np.zeros(0)
    noisy = (
        worst >= NOT_A_DERIVATIVE if len(worst) else np.zeros(len(quantities.training_step), bool)
    )
    return [
        _quantity(quantities.sel(quantity=name), name, label, colour, axis, noisy)
        for name, label, colour, axis in QUANTITIES
    ]


def _quantity(
    quantity: xr.Dataset, name: str, label: str, colour: str, axis: str, noisy: NDArray[np.bool_]
) -> dict[str, Any]:
    finite = np.isfinite(quantity.value.values)
    spread = quantity.uncertainty.values[finite]
    withheld = sum(str(basis).startswith("withheld") for basis in quantity.basis.values)
    return {
        "type": "scatter",
        "x": quantity.training_step.values[finite],
        "y": quantity.value.values[finite],
        "xaxis": axis.replace("y", "x"),
        "yaxis": axis,
        "error_y": {
            "array": np.nan_to_num(spread),
            "visible": bool(np.isfinite(spread).any()),
            "thickness": 1.25,
            "width": 3,
        },
        "customdata": np.column_stack([spread, quantity.basis.values[finite]]).astype(object),
        "name": label + (f" ({withheld} withheld: no derivative)" if withheld else ""),
        "meta": {"role": name},
        "mode": "lines+markers",
        "line": {"color": LIGHT[colour], "width": 1.75},
        "marker": {
            "size": 7,
            "color": LIGHT[colour],
            "symbol": np.where(noisy[finite], "x", "circle").tolist(),
        },
        "hovertemplate": f"training step %{{x}}<br>{label} %{{y:.4~g}}, uncertainty "
        "%{{customdata[0]:.2~g}}<br>%{customdata[1]}<extra></extra>",
    }


def describe(ds: xr.Dataset, nodes_and_weights: list[Spectrum | None]) -> str:
    """What the figure shows, in a line.

    Args:
        ds: What `hessview.join_training` joined.
        nodes_and_weights: Its `spectra`.

    Returns:
        Plain text.
    """
    measured = sum(spectrum is not None for spectrum in nodes_and_weights)
    probes = sorted({len(spectrum.nodes) for spectrum in nodes_and_weights if spectrum})
    fewest = "" if len(probes) == 1 else f"{probes[0]} to "
    parts = [
        counted(measured, "training step"),
        f"{fewest}{counted(probes[-1], 'probe')} at each",
        f"{len(nodes_and_weights) - measured} not measured yet"
        if measured < len(nodes_and_weights)
        else "",
        say_copies(sum(spectrum.copies for spectrum in nodes_and_weights if spectrum)),
        _BARS,
    ]
    return " · ".join(filter(None, parts))


def _layout(training_steps: Array) -> dict[str, Any]:
    label = {"showticklabels": False, "title": {"text": ""}}
    ends = _ends(training_steps)
    return {
        "height": _HEIGHT,  # and that of a title above it, where there is one
        "margin": {"t": 0},
        "template": template(),
        "xaxis": {**label, "range": ends, "anchor": "y", "showgrid": False},
        "xaxis2": {**label, "matches": "x", "range": ends, "anchor": "y2"},
        "xaxis3": {
            "title": {"text": "training step"},
            "matches": "x",
            "range": ends,
            "anchor": "y3",
        },
        "yaxis": {
            "title": {"text": "eigenvalue λ"},
            "domain": _ROOM["spectra"],
            "showgrid": False,
        },
        "yaxis2": {"title": {"text": "extremes"}, "domain": _ROOM["extremes"]},
        "yaxis3": {"title": {"text": "trace"}, "domain": _ROOM["trace"]},
        "hovermode": "closest",
        "shapes": [_edge(-1.0, 1.0), _edge(1.0, 1.0)],
    }


def _edge(position: float, scale: float) -> dict[str, Any]:
    """A line along the heatmap where the unresolved strip around zero ends."""
    return {
        "type": "line",
        "xref": "x domain",
        "yref": "y",
        "x0": 0,
        "x1": 1,
        "y0": position,
        "y1": position,
        "line": {"color": LIGHT["muted"], "width": 1, "dash": "dot"},
        "name": f"not resolved: |λ| < {scale:.2g}",
        "showlegend": position > 0,
    }


def _ends(training_steps: Array) -> list[float]:
    """Range of the training steps: each column of the heatmap reaches half way to the next."""
    if len(training_steps) < 2:
        return [float(training_steps[0]) - 0.5, float(training_steps[0]) + 0.5]
    first, last = (
        (training_steps[1] - training_steps[0]) / 2,
        (training_steps[-1] - training_steps[-2]) / 2,
    )
    return [float(training_steps[0] - first), float(training_steps[-1] + last)]
