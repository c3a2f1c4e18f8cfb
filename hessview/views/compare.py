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
    nodes = np.concatenate([rule.nodes for spectrum in spectra for rule in rules_of(spectrum)])
    x_axis = broadening.axis(axis, nodes)
    own = [
        broadening.default_sigma(x_axis, spectrum.node.values, int(spectrum.steps.max()))
        for spectrum in spectra
    ]
    coarse = differences.coarse.values
    width = sigma or max(
        own_width for own_width, rough in zip(own, coarse, strict=True) if not rough
    )
    widths = [
        max(own_width, width) if rough and sigma is None else width
        for own_width, rough in zip(own, coarse, strict=True)
    ]
    grid = broadening.grid(x_axis, nodes, width)
    drawn = [shown(spectrum) for spectrum in spectra]
    curves = [
        mean(spectrum, x_axis, grid, curve_width)
        for spectrum, curve_width in zip(drawn, widths, strict=True)
    ]
    bottom, top = limits(curves, drawn, x_axis, grid)
    figure = recipe(differences, broadening.say_sigma(x_axis, width))
    eigenvalues = x_axis.eigenvalue(grid)
    for index, (trace, curve) in enumerate(zip(figure["data"], curves, strict=True)):
        kept = seen(x_axis, grid, ends(differences.isel(run=index), spectra[index]))
        y = np.maximum(curve[kept], bottom / MARGIN)
        trace |= {"x": grid[kept], "y": y, "customdata": eigenvalues[kept]}
    layout = figure["layout"]
    layout["xaxis"] |= broadening.ticks(x_axis, nodes)
    layout |= {
        "meta": {"axis": x_axis.name, "scale": x_axis.scale, "sigma": width},
        "yaxis": density_axis(bottom, top),
        "shapes": [strip(float(x_axis.coordinate(x_axis.scale)), x_axis.scale)],
    }
    return go.Figure(figure)


def ends(row: xr.Dataset, quadrature: xr.Dataset) -> tuple[float, float]:
    """Between which eigenvalues a run's spectrum was seen.

    Args:
        row: The run's row of `analysis.compare`.
        quadrature: Its quadrature, as `analysis.ritz.ritz` gives it.

    Returns:
        Its extremes with their uncertainties, and the outermost Ritz values.
    """
    low, high = float(np.nanmin(quadrature.node.values)), float(np.nanmax(quadrature.node.values))
    least = float(row.smallest - row.smallest_uncertainty)
    most = float(row.largest + row.largest_uncertainty)
    return float(np.fmin(low, least)), float(np.fmax(high, most))  # NaN where it is withheld


def recipe(differences: xr.Dataset, words: str = "") -> dict[str, Any]:
    """The figure of `compare` without what is computed from coefficients: a page does that.

    Args:
        differences: How the runs compare, as `analysis.compare` gives it.
        words: What its subtitle tells besides the number of runs.

    Returns:
        data, a trace for each run without arrays, and layout, in which ranges and ticks of the
        axes and the place of the strip around zero are still to be set.
    """
    rows = [differences.isel(run=index) for index in range(differences.sizes["run"])]
    left = int(differences.attrs["left_out"])
    missing = f"{left} left out, nothing measured" if left else ""
    subtitle = " · ".join(
        filter(
            None, [counted(differences.sizes["run"], "run"), missing, say_mixed(differences), words]
        )
    )
    return {
        "data": [
            _trace(row, index, str(differences.attrs["reference"]))
            for index, row in enumerate(rows)
        ],
        "layout": {
            "template": template(),
            **heading(
                "Comparison of spectra",
                differences.attrs,
                subtitle,
                body=400 + LINE * differences.sizes["run"],
            ),
            "xaxis": {"title": {"text": "eigenvalue λ"}},
            "yaxis": density_axis(0.1, 1.0),
            "hovermode": "closest",
            "showlegend": True,
            "shapes": [strip(0.0, 0.0)],
        },
    }


def say_mixed(differences: xr.Dataset) -> str:
    """That not all runs measured one matrix, if so, which is set apart, and what was merged.

    Args:
        differences: How the runs compare, as `analysis.compare` gives it.

    Returns:
        Plain text, "" where there is nothing to say.
    """
    differing = [str(text) for text in differences.matrix.values if text]
    parts = []
    if differing:
        names = ", ".join(dict.fromkeys(word for text in differing for word in text.split(", ")))
        parts.append(f"{len(differing)} differ from {differences.attrs['reference']!r} in {names}")
    if count := int(differences.coarse.sum()):
        parts.append(f"{count} of too few steps for this width, with its own")
    parts.append(say_copies(int(differences.copies.sum())))
    return BAR.join(filter(None, parts))


def _trace(row: xr.Dataset, index: int, reference: str) -> dict[str, Any]:
    name, whole = str(row.run.item()), bool(row.whole)
    dash = ("solid", "dash")[index // len(SERIES) % 2] if whole and not row.coarse else "dot"
    distance_text = "not known yet"
    if np.isfinite(row.distance):
        distance_text = written(float(row.distance), float(row.distance_high - row.distance))
        if np.isfinite(row.distance_low):
            distance_text = " to ".join(span(float(row.distance_low), float(row.distance_high)))
    note = "" if whole else " (no whole probe yet)"
    if row.coarse:
        note += " (coarse, own σ)"
    other = f"<br>differs in {html.escape(str(row.matrix.item()))}" if row.matrix.item() else ""
    return {
        "type": "scatter",
        "name": html.escape(name, quote=False) + note,
        "meta": {"role": "density", "run": name},
        "mode": "lines",
        "line": {"color": SERIES[index % len(SERIES)], "width": 1.75, "dash": dash},
        "hovertemplate": "λ %{customdata:.4~g}<br>density %{y:.3~g}<br>"
        f"distance to {html.escape(reference, quote=False)} {distance_text}{other}"
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


def mean(quadrature: xr.Dataset, axis: broadening.Axis, grid: Array, sigma: float) -> Array:
    """Mean density over all probes of a quadrature.

    Args:
        quadrature: Quadrature over (probe, position), as `shown` gives it.
        axis: The axis.
        grid: Coordinates along it, shape (point,).
        sigma: Kernel width in units of the eigenvalue.

    Returns:
        Density per unit of eigenvalue at each coordinate, shape (point,).
    """
    rows = [
        broadening.broaden(axis, rule.nodes, rule.weights, grid, sigma)
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
