"""Spectra of a sweep, one above the other, and how far they lie apart."""

import math
from typing import Any

import numpy as np
import plotly.graph_objects as go
import xarray as xr
from numpy.typing import NDArray
from plotly.colors import sample_colorscale

from hessview.analysis.ritz import say_copies
from hessview.analysis.sweep import distances, setting_of, spectrum
from hessview.record.datasets import as_dataset
from hessview.spectral.bounds import NOT_A_DERIVATIVE
from hessview.views import broadening
from hessview.views.compare import MARGIN, density_axis, limits, mean, outermost, seen, shown
from hessview.views.theme import BAR, LIGHT, heading, operator_name, strip, template

Array = NDArray[np.float64]

AROUND = 0.3  # share of the reference's extent, zero in it, that is shown on either side
_HEIGHT = 548
SYMBOLS = {"epsilon": "ε", "fraction": "part"}


def sweep(
    ds: xr.Dataset,
    *,
    sigma: float | None = None,
    axis: str = "linear",
    reference: float | None = None,
) -> go.Figure:
    """Spectral densities at all settings, and their Wasserstein distances to the reference.

    All densities have one kernel width, and the axis of the reference, and end at their outermost
    Ritz values; what noise throws far beyond the reference's range is not drawn, but counts in
    the distance. Distances are those of the quadratures, whatever sigma is; their bars reach from
    the lower to the upper end of `analysis.sweep.distances`. A setting whose products are no
    derivatives (D near 1) is drawn dotted.

    Args:
        ds: Dataset of a sweep over epsilon or fraction, also a half-done one.
        sigma: Width of the Gaussian kernel in units of the eigenvalue; None takes what the
            number of steps supports at the reference. On a symlog axis it is the width at zero.
        axis: "linear" or "symlog" eigenvalue axis, as of `views.density`.
        reference: Setting to compare with; see `analysis.sweep.distances`.

    Returns:
        The figure; each trace says in `meta["role"]` and `meta["setting"]` what it is.

    Raises:
        InputError: sigma not > 0, an unknown axis, or the reference is none of the settings.
        RecordError: Not a sweep, or the reference is not measured yet.

    Reference: figure 8 of Granziol & Juarev, arXiv 2602.00816, is of this kind.
    """
    broadening.check_sigma(sigma)
    ds = as_dataset(ds)
    differences = distances(ds, reference=reference)
    setting = setting_of(ds)
    spectra = [_whole(spectrum(ds, setting, index)) for index in range(ds.sizes[setting])]
    base = spectra[ds[setting].values.tolist().index(differences.attrs["reference"])]
    assert base is not None, "distances would have refused it"
    x_axis = broadening.axis(axis, base.node.values)
    width = sigma or broadening.default_sigma(x_axis, base.node.values, int(base.steps.max()))
    finished = [quadrature for quadrature in spectra if quadrature is not None]
    nodes = _near(
        base.node.values,
        np.concatenate([quadrature.node.values.ravel() for quadrature in finished]),
    )
    grid = broadening.grid(x_axis, nodes, width)
    drawn = [mean(quadrature, x_axis, grid, width) for quadrature in finished]
    bottom, top = limits(drawn, finished, x_axis, grid)
    heights = iter(drawn)
    shades = sample_colorscale("Viridis", np.linspace(0.05, 0.8, len(spectra)).tolist())
    curves = []
    for index, quadrature in enumerate(spectra):
        kept = slice(0)
        y = np.zeros(0)
        if quadrature is not None:
            (low, below), (high, above) = outermost(quadrature)
            kept = seen(x_axis, grid, (low - below, high + above))
            y = np.maximum(next(heights)[kept], bottom / MARGIN)
        curves.append(
            _curve(differences.isel({setting: index}), x_axis, grid[kept], y, shades[index])
        )
    layout = _layout(differences, x_axis, nodes, width)
    layout["yaxis"] |= density_axis(bottom, top)
    return go.Figure(
        [*curves, _distance(differences, setting, shades), _products(differences, setting)], layout
    )


def describe(differences: xr.Dataset) -> str:
    """What is held against what, in a line.

    Args:
        differences: What `analysis.sweep.distances` gave.

    Returns:
        Plain text.
    """
    setting = str(next(iter(differences.dims)))
    bars = (
        f", with {100 * differences.attrs['level']:g} % intervals,"
        if np.isfinite(differences.high).any()
        else " of 1 probe, an overestimate without an interval,"
    )
    parts = [
        "same probes",
        f"reference {SYMBOLS[setting]} {differences.attrs['reference']:.3g}",
        f"distances{bars} are those of the quadratures, whatever σ",
        say_copies(int(differences.attrs["copies"])),
    ]
    return BAR.join(filter(None, parts))


def _whole(quadrature: xr.Dataset | None) -> xr.Dataset | None:
    return shown(quadrature) if quadrature is not None and bool(quadrature.finished.any()) else None


def _near(base: Array, nodes: Array) -> Array:
    """The nodes that lie not far beyond the reference's, shape (node,)."""
    low, high = min(float(np.nanmin(base)), 0.0), max(float(np.nanmax(base)), 0.0)
    beyond = AROUND * (high - low)
    return nodes[(nodes >= low - beyond) & (nodes <= high + beyond)]  # NaN is not


def _curve(
    row: xr.Dataset, axis: broadening.Axis, grid: Array, y: Array, colour: str
) -> dict[str, Any]:
    setting = "epsilon" if "epsilon" in row.coords else "fraction"
    value, error = float(row[setting]), float(row.product_error)
    noisy = math.isfinite(error) and error >= NOT_A_DERIVATIVE
    trust = f"D ≤ {error:.1g}" if math.isfinite(error) else "D not measured"
    return {
        "type": "scatter",
        "x": grid,
        "y": y,
        "customdata": axis.eigenvalue(grid),
        "name": f"{SYMBOLS[setting]} {value:.3g}" + (" (noise)" if noisy else ""),
        "meta": {"role": "density", "setting": value},
        "mode": "lines",
        "line": {"color": colour, "width": 1.75, "dash": "dot" if noisy else "solid"},
        "showlegend": bool(len(y)),
        "hovertemplate": "λ %{customdata:.4~g}<br>density %{y:.3~g}<br>"
        f"{trust}<extra>%{{fullData.name}}</extra>",
    }


def _distance(differences: xr.Dataset, setting: str, shades: list[str]) -> dict[str, Any]:
    values = differences.relative_distance.values
    low, high = differences.relative_low.values, differences.relative_high.values
    return {
        "type": "scatter",
        "x": differences[setting].values,
        "y": np.where(values > 0, values, np.nan),  # the reference itself has no logarithm
        "xaxis": "x2",
        "yaxis": "y2",
        "error_y": {
            "type": "data",
            "symmetric": False,
            "array": np.nan_to_num(high - values),
            "arrayminus": np.nan_to_num(values - low),
            "visible": bool(np.isfinite(high).any()),
        },
        "customdata": np.column_stack([low, high]),
        "name": "distance / range",
        "meta": {"role": "distance"},
        "mode": "lines+markers",
        "line": {"color": LIGHT["accent"], "width": 1.5},
        "marker": {"size": 9, "color": shades},
        "hovertemplate": "%{x:.3~g}<br>distance %{y:.2~e} of the range<br>"
        "between %{customdata[0]:.2~e} and %{customdata[1]:.2~e}<extra></extra>",
    }


def _products(differences: xr.Dataset, setting: str) -> dict[str, Any]:
    values = differences.product_error.values
    return {
        "type": "scatter",
        "x": differences[setting].values,
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
    differences: xr.Dataset, axis: broadening.Axis, nodes: Array, sigma: float
) -> dict[str, Any]:
    setting = str(next(iter(differences.dims)))
    chosen = differences.attrs["reference"]
    along, scale, title = {
        "epsilon": ("ε along a unit vector", {"type": "log", "dtick": 1}, "ε"),
        "fraction": ("part of the data", {}, "parts of the data"),
    }[setting]
    words = f"{describe(differences)} · {broadening.say_sigma(axis, sigma)}"
    small = {"tickfont": {"size": 10}}
    edge = float(axis.coordinate(axis.scale))
    return {
        "template": template(),
        **heading(
            f"Stability of the spectrum over {title}", differences.attrs, words, body=_HEIGHT
        ),
        "meta": {"axis": axis.name, "scale": axis.scale, "sigma": sigma},
        "xaxis": {
            "title": {"text": f"eigenvalue λ of the {operator_name(differences.attrs)}"},
            "anchor": "y",
            **broadening.ticks(axis, nodes),
        },
        "yaxis": {"domain": [0.45, 1.0]},
        "xaxis2": {"title": {"text": along}, "anchor": "y2", **scale, **small},
        "yaxis2": {
            "title": {"text": "relative to the range"},
            "type": "log",
            "dtick": 1,
            "domain": [0.0, 0.3],
            **small,
        },
        "hovermode": "closest",
        "shapes": [
            strip(edge, axis.scale) | {"yref": "y domain"},
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
            },
        ],
    }
