"""Spectra of a sweep, one above the other, and how far they lie apart."""

import math
from typing import Any

import numpy as np
import plotly.graph_objects as go
import xarray as xr
from numpy.typing import NDArray
from plotly.colors import sample_colorscale

from hessview.data.summary import NOT_A_DERIVATIVE
from hessview.data.sweep import distances, setting_of, spectrum
from hessview.errors import InputError
from hessview.spectral import quadrature
from hessview.views import broadening
from hessview.views.theme import LIGHT, template

Array = NDArray[np.float64]

DECADES = 6  # of a density that are shown
BEYOND = 0.3  # share of the reference's range that is shown on either side of it
SYMBOLS = {"epsilon": "ε", "fraction": "part"}


def sweep(
    ds: xr.Dataset, *, sigma: float | None = None, reference: float | None = None
) -> go.Figure:
    """Spectral densities at all settings, and their Wasserstein distances to the reference.

    All densities have one kernel width, and the range of the reference; what noise throws
    further out is not drawn, but counts in the distance. A setting whose products are no
    derivatives (D near 1) is drawn dotted.

    Args:
        ds: Dataset of a sweep over epsilon or fraction, also a half-done one.
        sigma: Width of the Gaussian kernel in units of the eigenvalue; None takes what the
            number of steps supports at the reference.
        reference: Setting to compare with; see `data.sweep.distances`.

    Returns:
        The figure; each trace says in `meta["role"]` and `meta["setting"]` what it is.

    Raises:
        InputError: sigma not > 0, or the reference is none of the settings.
        RecordError: Not a sweep, or the reference is not measured yet.

    Reference: figure 8 of Granziol & Juarev, arXiv 2602.00816, is of this kind.
    """
    if sigma is not None and not (np.isfinite(sigma) and sigma > 0):
        raise InputError(
            f"sigma={sigma!r} is not allowed; use a finite number > 0, in units of the "
            "eigenvalue, or None for what the steps support."
        )
    apart = distances(ds, reference=reference)
    setting = setting_of(ds)
    settings = ds[setting].values
    base = spectrum(ds, setting, int(np.flatnonzero(settings == apart.attrs["reference"])[0]))
    assert base is not None, "distances would have refused it"
    nodes = base.node.values
    on = broadening.axis("linear", nodes)
    width = sigma or broadening.default_sigma(on, nodes, base.sizes["node"])
    low, high = float(np.nanmin(nodes)), float(np.nanmax(nodes))
    margin = max(BEYOND * (high - low), quadrature.REACH * width)
    points = math.ceil(quadrature.POINTS_PER_SIGMA * (high - low + 2 * margin) / width)
    at = np.linspace(
        low - margin,
        high + margin,
        min(max(points, quadrature.LEAST_POINTS), quadrature.MOST_POINTS),
    )
    shades = sample_colorscale("Viridis", np.linspace(0.05, 0.8, len(settings)).tolist())
    curves = [
        _curve(ds, setting, place, on, at, width, shades[place], float(apart.product_error[place]))
        for place in range(len(settings))
    ]
    return go.Figure(
        [*curves, _distance(apart, setting, shades), _products(apart, setting)],
        _layout(apart, setting, curves, width),
    )


def _curve(
    ds: xr.Dataset,
    setting: str,
    place: int,
    on: broadening.Axis,
    at: Array,
    sigma: float,
    colour: str,
    error: float,
) -> dict[str, Any]:
    found = spectrum(ds, setting, place)
    value = float(ds[setting][place])
    noisy = math.isfinite(error) and error >= NOT_A_DERIVATIVE
    y: Array = np.zeros(0)
    if found is not None and bool(found.finished.any()):
        whole = found.isel(probe=found.finished.values)
        y = np.mean([_density(whole, probe, on, at, sigma) for probe in range(len(whole.probe))], 0)
    trust = f"D ≤ {error:.1g}" if math.isfinite(error) else "D not measured"
    return {
        "type": "scatter",
        "x": at[: len(y)],
        "y": y,
        "name": f"{SYMBOLS[setting]} {value:.3g}" + (" (noise)" if noisy else ""),
        "meta": {"role": "density", "setting": value},
        "mode": "lines",
        "line": {"color": colour, "width": 1.75, "dash": "dot" if noisy else "solid"},
        "showlegend": bool(len(y)),
        "hovertemplate": "λ %{x:.4~g}<br>density %{y:.3~g}<br>"
        f"{trust}<extra>%{{fullData.name}}</extra>",
    }


def _density(whole: xr.Dataset, probe: int, on: broadening.Axis, at: Array, sigma: float) -> Array:
    node, weight = whole.node.values[probe], whole.weight.values[probe]
    there = np.isfinite(node)
    return broadening.broaden(on, node[there], weight[there], at, sigma)


def _distance(apart: xr.Dataset, setting: str, shades: list[str]) -> dict[str, Any]:
    values = apart.relative_distance.values
    spread = apart.relative_spread.values
    return {
        "type": "scatter",
        "x": apart[setting].values,
        "y": np.where(values > 0, values, np.nan),  # the reference itself has no logarithm
        "xaxis": "x2",
        "yaxis": "y2",
        "error_y": {"array": np.nan_to_num(spread), "visible": bool(np.isfinite(spread).any())},
        "name": "distance / range",
        "meta": {"role": "distance"},
        "mode": "lines+markers",
        "line": {"color": LIGHT["accent"], "width": 1.5},
        "marker": {"size": 9, "color": shades},
        "hovertemplate": "%{x:.3~g}<br>distance %{y:.2~e} of the range<extra></extra>",
    }


def _products(apart: xr.Dataset, setting: str) -> dict[str, Any]:
    values = apart.product_error.values
    return {
        "type": "scatter",
        "x": apart[setting].values,
        "y": np.where(values > 0, values, np.nan),
        "xaxis": "x2",
        "yaxis": "y2",
        "name": "largest product error D",
        "meta": {"role": "product_error"},
        "mode": "lines+markers",
        "line": {"color": LIGHT["ritz"], "width": 1.25, "dash": "dash"},
        "marker": {"size": 6, "color": LIGHT["ritz"]},
        "hovertemplate": "%{x:.3~g}<br>D %{y:.2~e}<extra></extra>",
    }


def _layout(
    apart: xr.Dataset, setting: str, curves: list[dict[str, Any]], sigma: float
) -> dict[str, Any]:
    top = math.log10(max(float(curve["y"].max(initial=0)) for curve in curves))
    chosen = apart.attrs["reference"]
    along = {
        "epsilon": ("step ε along a unit vector", {"type": "log", "dtick": 1}),
        "fraction": ("part of the data", {}),
    }[setting]
    power = {"exponentformat": "power", "tickfont": {"size": 10}}
    return {
        "template": template(),
        "title": {
            "text": f"Stability of the spectrum over {setting}",
            "subtitle": {
                "text": f"same probes · reference {SYMBOLS[setting]} {chosen:.3g} · σ = {sigma:.2g}"
            },
        },
        "height": 640,
        "xaxis": {"title": {"text": "eigenvalue λ"}, "anchor": "y"},
        "yaxis": {
            "title": {"text": "density"},
            "type": "log",
            "domain": [0.45, 1.0],
            "range": [top - DECADES, top + 0.3],
            **power,
        },
        "xaxis2": {"title": {"text": along[0]}, "anchor": "y2", **along[1], **power},
        "yaxis2": {
            "title": {"text": "relative to the range"},
            "type": "log",
            "domain": [0.0, 0.3],
            **power,
        },
        "hovermode": "closest",
        # At the side: there may be many settings.
        "legend": {"orientation": "v", "x": 1.02, "y": 1, "yanchor": "top"},
        "shapes": [
            {
                "type": "line",
                "xref": "x2",
                "yref": "y2 domain",
                "x0": chosen,
                "x1": chosen,
                "y0": 0,
                "y1": 1,
                "line": {"color": LIGHT["muted"], "width": 1, "dash": "dot"},
                "name": "reference",
            }
        ],
    }
