"""Spectra of several density runs on one figure."""

import html
from collections.abc import Iterable
from typing import Any

import numpy as np
import plotly.graph_objects as go
import xarray as xr
from numpy.typing import NDArray

from hessview.data.comparison import comparison
from hessview.data.ritz import ritz
from hessview.views import broadening
from hessview.views.heading import LINE, heading
from hessview.views.overlay import MARGIN, density_axis, limits, mean, shown
from hessview.views.theme import SERIES, strip, template

Array = NDArray[np.float64]


def compare(
    runs: xr.DataTree | Iterable[xr.Dataset], *, sigma: float | None = None, axis: str = "linear"
) -> go.Figure:
    """Spectral densities of several runs over one eigenvalue axis, with one kernel width.

    A curve is the mean over whole probes of a run; of a run without one, its longest probe,
    dotted. A curve's name says what tells its run from the others, such as operator, training
    step, model or ε; hovering also tells its Wasserstein distance to the first.

    Args:
        runs: Datasets of density runs, half-done ones too, or the tree of `hessview.open_runs`.
            Runs in which nothing is measured are left out, and the figure says so.
        sigma: Width of the Gaussian kernel in units of the eigenvalue; None takes the widest of
            what each run's number of steps supports. On a symlog axis it is the width at zero.
        axis: "linear" or "symlog" eigenvalue axis, as of `views.density`.

    Returns:
        The figure; each trace says in `meta["run"]` which run it is.

    Raises:
        InputError: sigma not > 0, or an unknown axis.
        RecordError: No density run has a measured step.

    Reference: Ghorbani, Krishnan & Xiao (ICML 2019) for the density.
    """
    broadening.check_sigma(sigma)
    there, apart = comparison(runs)
    spectra = [ritz(ds) for ds in there]
    nodes = np.concatenate([found.node.values[np.isfinite(found.node.values)] for found in spectra])
    on = broadening.axis(axis, nodes)
    width = sigma or max(
        broadening.default_sigma(on, found.node.values, int(found.steps.max())) for found in spectra
    )
    at = broadening.grid(on, nodes, width)
    drawn = [shown(found) for found in spectra]
    curves = [mean(found, on, at, width) for found in drawn]
    bottom, top = limits(curves, drawn, on, at)
    figure = bare(apart, broadening.say_sigma(on, width))
    eigenvalues = on.eigenvalue(at)
    for trace, curve in zip(figure["data"], curves, strict=True):
        trace |= {"x": at, "y": np.maximum(curve, bottom / MARGIN), "customdata": eigenvalues}
    layout = figure["layout"]
    layout["xaxis"] |= broadening.ticks(on, nodes)
    layout |= {
        "meta": {"axis": on.name, "scale": on.scale, "sigma": width},
        "yaxis": density_axis(bottom, top),
        "shapes": [strip(float(on.coordinate(on.scale)), on.scale)],
    }
    return go.Figure(figure)


def bare(apart: xr.Dataset, words: str = "") -> dict[str, Any]:
    """The figure of `compare` without what is computed from coefficients: a page does that.

    Args:
        apart: How the runs compare, as `data.comparison` gives it.
        words: What its subtitle tells besides the number of runs.

    Returns:
        data, a trace for each run without arrays, and layout, in which ranges and ticks of the
        axes and the place of the strip around zero are still to be set.
    """
    columns = zip(apart.run.values, apart.distance.values, apart.whole.values, strict=True)
    left = int(apart.attrs["left_out"])
    counted = f"{apart.sizes['run']} run{'s' * (apart.sizes['run'] != 1)}"
    missing = f"{left} left out, nothing measured" if left else ""
    subtitle = " · ".join(filter(None, [counted, missing, words]))
    return {
        "data": [
            _trace(str(name), place, float(far), whole=bool(whole))
            for place, (name, far, whole) in enumerate(columns)
        ],
        "layout": {
            "template": template(),
            **heading(
                "Comparison of spectra", apart.attrs, subtitle, body=400 + LINE * apart.sizes["run"]
            ),
            "xaxis": {"title": {"text": "eigenvalue λ"}},
            "yaxis": density_axis(0.1, 1.0),
            "hovermode": "closest",
            "showlegend": True,
            "shapes": [strip(0.0, 0.0)],
        },
    }


def _trace(name: str, place: int, distance: float, *, whole: bool) -> dict[str, Any]:
    dash = ("solid", "dash")[place // len(SERIES) % 2] if whole else "dot"
    far = f"{distance:.2g}" if np.isfinite(distance) else "not known yet"
    return {
        "type": "scatter",
        "name": html.escape(name, quote=False) + ("" if whole else " (no whole probe yet)"),
        "meta": {"role": "density", "run": name},
        "mode": "lines",
        "line": {"color": SERIES[place % len(SERIES)], "width": 1.75, "dash": dash},
        "hovertemplate": "λ %{customdata:.4~g}<br>density %{y:.3~g}<br>"
        f"distance to the first {far}<extra>%{{fullData.name}}</extra>",
    }
