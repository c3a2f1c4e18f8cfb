"""Spectra of several density runs over each other, with one kernel width and one density axis."""

import html
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
import xarray as xr
from numpy.typing import NDArray

from hessview.analysis.compare import comparison
from hessview.analysis.ritz import ritz, rules_of, say_copies
from hessview.views import broadening
from hessview.views.theme import BAR, LINE, SERIES, heading, strip, template
from hessview.wording import counted, written
from hessview.wording import outward as span

Array = NDArray[np.float64]


def compare(
    runs: xr.DataTree | Iterable[xr.Dataset],
    *,
    sigma: float | None = None,
    axis: str = "linear",
    reference: str | None = None,
) -> go.Figure:
    """Spectral densities of several runs over one eigenvalue axis, with one kernel width.

    A curve is the mean over whole probes of a run; of a run without one, its longest probe,
    dotted. It ends where the run's spectrum was seen to end. A curve's name says what tells its
    run from the others, such as operator, training step, model or ε; hovering also tells its
    Wasserstein distance to the reference, and in what its matrix differs from the reference's.
    A run of so few steps that it resolves far less than the finest (see `analysis.compare`) is
    drawn with a kernel of its own width, and says so.

    Args:
        runs: Datasets of density runs, half-done ones too, or the tree of `hessview.open_runs`.
            Runs in which nothing is measured are left out, and the figure says so.
        sigma: Width of the Gaussian kernel in units of the eigenvalue, for all runs; None takes
            the widest of what each run's number of steps supports, coarse runs aside. On a symlog
            axis it is the width at zero.
        axis: "linear" or "symlog" eigenvalue axis, as of `views.density`.
        reference: Label or identity of the run that distances refer to; None takes the first
            that is not coarse.

    Returns:
        The figure; each trace says in `meta["run"]` which run it is.

    Raises:
        InputError: sigma not > 0, an unknown axis, or a reference that is none of the runs.
        RecordError: No density run has a measured step.

    Reference: Ghorbani, Krishnan & Xiao (ICML 2019) for the density.
    """
    broadening.check_sigma(sigma)
    measured_runs, differences = comparison(runs, reference=reference)
    spectra = [ritz(ds) for ds in measured_runs]
    nodes = np.concatenate([rule.nodes for found in spectra for rule in rules_of(found)])
    on = broadening.axis(axis, nodes)
    own = [
        broadening.default_sigma(on, found.node.values, int(found.steps.max())) for found in spectra
    ]
    coarse = differences.coarse.values
    width = sigma or max(one for one, rough in zip(own, coarse, strict=True) if not rough)
    widths = [
        max(one, width) if rough and sigma is None else width
        for one, rough in zip(own, coarse, strict=True)
    ]
    grid = broadening.grid(on, nodes, width)
    drawn = [shown(found) for found in spectra]
    curves = [mean(found, on, grid, one) for found, one in zip(drawn, widths, strict=True)]
    bottom, top = limits(curves, drawn, on, grid)
    figure = recipe(differences, broadening.say_sigma(on, width))
    eigenvalues = on.eigenvalue(grid)
    for index, (trace, curve) in enumerate(zip(figure["data"], curves, strict=True)):
        kept = seen(on, grid, ends(differences.isel(run=index), spectra[index]))
        y = np.maximum(curve[kept], bottom / MARGIN)
        trace |= {"x": grid[kept], "y": y, "customdata": eigenvalues[kept]}
    layout = figure["layout"]
    layout["xaxis"] |= broadening.ticks(on, nodes)
    layout |= {
        "meta": {"axis": on.name, "scale": on.scale, "sigma": width},
        "yaxis": density_axis(bottom, top),
        "shapes": [strip(float(on.coordinate(on.scale)), on.scale)],
    }
    return go.Figure(figure)


def ends(one: xr.Dataset, quadrature: xr.Dataset) -> tuple[float, float]:
    """Between which eigenvalues a run's spectrum was seen.

    Args:
        one: The run's row of `analysis.compare`.
        quadrature: Its quadrature, as `analysis.ritz.ritz` gives it.

    Returns:
        Its extremes with their uncertainties, and the outermost Ritz values.
    """
    low, high = float(np.nanmin(quadrature.node.values)), float(np.nanmax(quadrature.node.values))
    least = float(one.smallest - one.smallest_uncertainty)
    most = float(one.largest + one.largest_uncertainty)
    return float(np.fmin(low, least)), float(np.fmax(high, most))  # NaN where it is withheld


def recipe(apart: xr.Dataset, words: str = "") -> dict[str, Any]:
    """The figure of `compare` without what is computed from coefficients: a page does that.

    Args:
        apart: How the runs compare, as `analysis.compare` gives it.
        words: What its subtitle tells besides the number of runs.

    Returns:
        data, a trace for each run without arrays, and layout, in which ranges and ticks of the
        axes and the place of the strip around zero are still to be set.
    """
    rows = [apart.isel(run=index) for index in range(apart.sizes["run"])]
    left = int(apart.attrs["left_out"])
    missing = f"{left} left out, nothing measured" if left else ""
    subtitle = " · ".join(
        filter(None, [counted(apart.sizes["run"], "run"), missing, say_mixed(apart), words])
    )
    return {
        "data": [
            _trace(row, index, str(apart.attrs["reference"])) for index, row in enumerate(rows)
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


def say_mixed(apart: xr.Dataset) -> str:
    """That not all runs measured one matrix, if so, which is set apart, and what was merged.

    Args:
        apart: How the runs compare, as `analysis.compare` gives it.

    Returns:
        Plain text, "" where there is nothing to say.
    """
    differing = [str(text) for text in apart.matrix.values if text]
    parts = []
    if differing:
        names = ", ".join(dict.fromkeys(word for text in differing for word in text.split(", ")))
        parts.append(f"{len(differing)} differ from {apart.attrs['reference']!r} in {names}")
    if count := int(apart.coarse.sum()):
        parts.append(f"{count} of too few steps for this width, with its own")
    parts.append(say_copies(int(apart.copies.sum())))
    return BAR.join(filter(None, parts))


def _trace(one: xr.Dataset, index: int, reference: str) -> dict[str, Any]:
    name, whole = str(one.run.item()), bool(one.whole)
    dash = ("solid", "dash")[index // len(SERIES) % 2] if whole and not one.coarse else "dot"
    far = "not known yet"
    if np.isfinite(one.distance):
        far = written(float(one.distance), float(one.distance_high - one.distance))
        if np.isfinite(one.distance_low):
            far = " to ".join(span(float(one.distance_low), float(one.distance_high)))
    note = "" if whole else " (no whole probe yet)"
    if one.coarse:
        note += " (coarse, own σ)"
    other = f"<br>differs in {html.escape(str(one.matrix.item()))}" if one.matrix.item() else ""
    return {
        "type": "scatter",
        "name": html.escape(name, quote=False) + note,
        "meta": {"role": "density", "run": name},
        "mode": "lines",
        "line": {"color": SERIES[index % len(SERIES)], "width": 1.75, "dash": dash},
        "hovertemplate": "λ %{customdata:.4~g}<br>density %{y:.3~g}<br>"
        f"distance to {html.escape(reference, quote=False)} {far}{other}"
        "<extra>%{fullData.name}</extra>",
    }


TICKS = 8  # about so many labels on the density axis, at whole powers of ten
ROUNDING = 1e-14  # share of the highest peak below which float64 weights are rounding
SAME = 1e-9  # share of the largest |node| by which values of several probes are one
MARGIN = 1e3  # curves end so far below the visible range, where a log axis has no zero


def shown(quadrature: xr.Dataset) -> xr.Dataset:
    """The probes that make a spectrum's curve: the whole ones, else the longest.

    Args:
        quadrature: Quadrature over (probe, position), as `analysis.ritz.ritz` gives it.

    Returns:
        The same of these probes only.
    """
    whole = np.flatnonzero(quadrature.finished.values)
    longest = [int(np.argmax(quadrature.steps.values))]
    return quadrature.isel(probe=whole if len(whole) else longest)


def mean(quadrature: xr.Dataset, on: broadening.Axis, grid: Array, sigma: float) -> Array:
    """Mean density over all probes of a quadrature.

    Args:
        quadrature: Quadrature over (probe, position), as `shown` gives it.
        on: The axis.
        grid: Coordinates along it, shape (point,).
        sigma: Kernel width in units of the eigenvalue.

    Returns:
        Density per unit of eigenvalue at each coordinate, shape (point,).
    """
    rows = [
        broadening.broaden(on, rule.nodes, rule.weights, grid, sigma)
        for rule in rules_of(quadrature)
    ]
    return np.asarray(np.mean(rows, axis=0))


def outermost(quadrature: xr.Dataset) -> tuple[tuple[float, float], tuple[float, float]]:
    """The smallest and the largest Ritz value, each with its residual bound.

    Args:
        quadrature: Over (probe, position), as `analysis.ritz.ritz` gives it. Where several
            probes found one value, the least of their bounds counts.
    """
    nodes, residuals = quadrature.node.values, quadrature.residual.values
    ends = float(np.nanmin(nodes)), float(np.nanmax(nodes))
    same = SAME * max(map(abs, ends))
    low, high = ((end, float(residuals[np.abs(nodes - end) <= same].min())) for end in ends)
    return low, high


def seen(axis: broadening.Axis, grid: Array, ends: tuple[float, float]) -> slice:
    """Which points of a grid lie where a spectrum was seen.

    Args:
        axis: The axis.
        grid: Coordinates along it, ascending, shape (point,).
        ends: Eigenvalues between which it was seen. Beyond, a curve would be the kernel's tail.

    Returns:
        The points between the ends, by their places; at least one.
    """
    low, high = axis.coordinate(ends)
    first = min(int(np.searchsorted(grid, low, side="left")), len(grid) - 1)
    return slice(first, max(int(np.searchsorted(grid, high, side="right")), first + 1))


def limits(
    curves: Sequence[Array], spectra: Sequence[xr.Dataset], axis: broadening.Axis, grid: Array
) -> tuple[float, float]:
    """Visible range of the density: the faintest Ritz value that is drawn, and the peaks.

    Args:
        curves: Density of each spectrum, shapes (point,).
        spectra: Their quadratures, as `shown` gives them.
        axis: The axis.
        grid: Coordinates of the points, shape (point,); Ritz values beyond are not drawn.

    Returns:
        Its two ends, in units of the density.
    """
    top = max(float(curve.max()) for curve in curves)
    lowest = top * 1e-4
    for curve, quadrature in zip(curves, spectra, strict=True):
        nodes = quadrature.node.values
        drawn = axis.coordinate(nodes[np.abs(nodes) > axis.scale])  # NaN is not
        drawn = drawn[(drawn >= grid[0]) & (drawn <= grid[-1])]
        if drawn.size:
            lowest = min(lowest, float(np.interp(drawn, grid, curve).min()))
    bottom = max(lowest / 4, top * ROUNDING)
    return bottom, top * (top / bottom) ** 0.06


def density_axis(bottom: float, top: float) -> dict[str, Any]:
    """Plotly's logarithmic axis of a density.

    Args:
        bottom: Low end, > 0.
        top: High end.
    """
    low, high = math.log10(bottom), math.log10(top)
    return {
        "title": {"text": "density"},
        "type": "log",
        "range": (low, high),
        "dtick": math.ceil((high - low) / TICKS),
        "tickfont": {"size": 10},  # Plotly draws powers 1.25 times as large
    }
