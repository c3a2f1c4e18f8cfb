"""Curvature during training: spectra over the training step, and what the extremes do."""

from typing import Any

import numpy as np
import plotly.graph_objects as go
import xarray as xr
from numpy.typing import NDArray

from hessview.counted import counted
from hessview.data.as_dataset import as_dataset
from hessview.data.ritz import say_copies
from hessview.data.training import history
from hessview.spectral.bounds import NOT_A_DERIVATIVE
from hessview.views import broadening
from hessview.views.heading import heading
from hessview.views.theme import LIGHT, template
from hessview.views.training_spectra import Spectrum, default_sigma, every_node, heatmap, spectra

Array = NDArray[np.float64]

ROOM = {"spectra": (0.46, 1.0), "extremes": (0.2, 0.38), "trace": (0.0, 0.13)}
HEIGHT = 668
BARS = "bars: bounds of the extremes, 95 % interval of the trace"
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
        ds: What `hessview.training` joined.
        sigma: Width of the Gaussian kernel in units of the eigenvalue; None takes what the
            number of steps supports. On a symlog axis it is the width at zero.
        axis: "linear" or "symlog" eigenvalue axis. On symlog, the heatmap's y is the coordinate
            asinh(eigenvalue / scale).

    Returns:
        The figure; each trace says in `meta["role"]` what it is.

    Raises:
        InputError: sigma not > 0, or an unknown axis.
        RecordError: Not joined by `hessview.training`, or no probe is finished yet.

    Reference: Ghorbani, Krishnan & Xiao (ICML 2019) follow spectra through training in this way.
    """
    broadening.check_sigma(sigma)
    ds = as_dataset(ds)
    found = spectra(ds)
    nodes = every_node(found)
    on = broadening.axis(axis, nodes)
    width = sigma or default_sigma(on, found)
    steps = ds.training_step.values
    return go.Figure(
        [heatmap(found, steps, on, width, ROOM["spectra"]), *_history(ds)],
        _layout(ds, found, on, width),
    )


def _history(ds: xr.Dataset) -> list[dict[str, Any]]:
    found = history(ds)
    worst = ds.error.max(["probe", "step"]).values if "error" in ds else np.zeros(0)
    noisy = worst >= NOT_A_DERIVATIVE if len(worst) else np.zeros(len(found.training_step), bool)
    return [
        _quantity(found.sel(quantity=name), name, label, colour, axis, noisy)
        for name, label, colour, axis in QUANTITIES
    ]


def _quantity(
    one: xr.Dataset, name: str, label: str, colour: str, axis: str, noisy: NDArray[np.bool_]
) -> dict[str, Any]:
    there = np.isfinite(one.value.values)
    spread = one.uncertainty.values[there]
    held = sum(str(basis).startswith("withheld") for basis in one.basis.values)
    return {
        "type": "scatter",
        "x": one.training_step.values[there],
        "y": one.value.values[there],
        "xaxis": axis.replace("y", "x"),
        "yaxis": axis,
        "error_y": {
            "array": np.nan_to_num(spread),
            "visible": bool(np.isfinite(spread).any()),
            "thickness": 1.25,
            "width": 3,
        },
        "customdata": np.column_stack([spread, one.basis.values[there]]).astype(object),
        "name": label + (f" ({held} withheld: no derivative)" if held else ""),
        "meta": {"role": name},
        "mode": "lines+markers",
        "line": {"color": LIGHT[colour], "width": 1.75},
        "marker": {
            "size": 7,
            "color": LIGHT[colour],
            "symbol": np.where(noisy[there], "x", "circle").tolist(),
        },
        "hovertemplate": f"training step %{{x}}<br>{label} %{{y:.4~g}}, uncertainty "
        "%{{customdata[0]:.2~g}}<br>%{customdata[1]}<extra></extra>",
    }


def describe(ds: xr.Dataset, found: list[Spectrum | None]) -> str:
    """What the figure shows, in a line.

    Args:
        ds: What `hessview.training` joined.
        found: Its `spectra`.

    Returns:
        Plain text.
    """
    there = sum(one is not None for one in found)
    probes = sorted({len(one.nodes) for one in found if one})
    each = "" if len(probes) == 1 else f"{probes[0]} to "
    parts = [
        counted(there, "training step"),
        f"{each}{counted(probes[-1], 'probe')} at each",
        f"{len(found) - there} not measured yet" if there < len(found) else "",
        say_copies(sum(one.copies for one in found if one)),
        BARS,
    ]
    return " · ".join(filter(None, parts))


def _layout(
    ds: xr.Dataset, found: list[Spectrum | None], on: broadening.Axis, sigma: float
) -> dict[str, Any]:
    edge = float(on.coordinate(on.scale))
    words = f"{describe(ds, found)} · {broadening.say_sigma(on, sigma)}"
    label = {"showticklabels": False, "title": {"text": ""}}
    steps = ds.training_step.values
    ends = _ends(steps)
    return {
        "template": template(),
        **heading("Curvature during training", ds.attrs, words, body=HEIGHT),
        "meta": {"axis": on.name, "scale": on.scale, "sigma": sigma},
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
            "domain": ROOM["spectra"],
            "showgrid": False,
            **broadening.ticks(on, every_node(found)),
        },
        "yaxis2": {"title": {"text": "extremes"}, "domain": ROOM["extremes"]},
        "yaxis3": {"title": {"text": "trace"}, "domain": ROOM["trace"]},
        "hovermode": "closest",
        "shapes": [
            {
                "type": "line",
                "xref": "x domain",
                "yref": "y",
                "x0": 0,
                "x1": 1,
                "y0": side * edge,
                "y1": side * edge,
                "line": {"color": LIGHT["muted"], "width": 1, "dash": "dot"},
                "name": f"not resolved: |λ| < {on.scale:.2g}",
                "showlegend": side > 0,
            }
            for side in (-1, 1)
        ],
    }


def _ends(steps: Array) -> list[float]:
    """Range of the training steps: each column of the heatmap reaches half way to the next."""
    if len(steps) < 2:
        return [float(steps[0]) - 0.5, float(steps[0]) + 0.5]
    first, last = (steps[1] - steps[0]) / 2, (steps[-1] - steps[-2]) / 2
    return [float(steps[0] - first), float(steps[-1] + last)]
