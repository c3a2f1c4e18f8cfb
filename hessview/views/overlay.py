"""Spectra over each other: the curve of each, and a density axis that shows all."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from hessview.views import broadening

Array = NDArray[np.float64]

TICKS = 8  # about so many labels on the density axis, at whole powers of ten
ROUNDING = 1e-14  # share of the highest peak below which float64 weights are rounding
SAME = 1e-9  # share of the largest |node| by which values of several probes are one
MARGIN = 1e3  # curves end so far below the visible range, where a log axis has no zero


def shown(found: xr.Dataset) -> xr.Dataset:
    """The probes that make a spectrum's curve: the whole ones, else the longest.

    Args:
        found: Quadrature over (probe, node), as `data.ritz.ritz` gives it.

    Returns:
        The same of these probes only.
    """
    whole = np.flatnonzero(found.finished.values)
    longest = [int(np.argmax(found.steps.values))]
    return found.isel(probe=whole if len(whole) else longest)


def mean(found: xr.Dataset, on: broadening.Axis, at: Array, sigma: float) -> Array:
    """Mean density over all probes of a quadrature.

    Args:
        found: Quadrature over (probe, node), as `shown` gives it.
        on: The axis.
        at: Coordinates along it, shape (point,).
        sigma: Kernel width in units of the eigenvalue.

    Returns:
        Density per unit of eigenvalue at each coordinate, shape (point,).
    """
    rows = []
    for node, weight in zip(found.node.values, found.weight.values, strict=True):
        there = np.isfinite(node)
        rows.append(broadening.broaden(on, node[there], weight[there], at, sigma))
    return np.asarray(np.mean(rows, axis=0))


def outermost(found: xr.Dataset) -> tuple[tuple[float, float], tuple[float, float]]:
    """The smallest and the largest Ritz value, each with its residual bound.

    Args:
        found: Quadrature over (probe, node), as `data.ritz.ritz` gives it. Where several probes
            found one value, the least of their bounds counts.
    """
    nodes, residuals = found.node.values, found.residual.values
    ends = float(np.nanmin(nodes)), float(np.nanmax(nodes))
    same = SAME * max(map(abs, ends))
    low, high = ((end, float(residuals[np.abs(nodes - end) <= same].min())) for end in ends)
    return low, high


def seen(on: broadening.Axis, at: Array, ends: tuple[float, float]) -> slice:
    """Which points of a grid lie where a spectrum was seen.

    Args:
        on: The axis.
        at: Coordinates along it, ascending, shape (point,).
        ends: Eigenvalues between which it was seen. Beyond, a curve would be the kernel's tail.

    Returns:
        The points between the ends, by their places; at least one.
    """
    low, high = on.coordinate(ends)
    first = min(int(np.searchsorted(at, low, side="left")), len(at) - 1)
    return slice(first, max(int(np.searchsorted(at, high, side="right")), first + 1))


def limits(
    curves: Sequence[Array], spectra: Sequence[xr.Dataset], on: broadening.Axis, at: Array
) -> tuple[float, float]:
    """Visible range of the density: the faintest Ritz value that is drawn, and the peaks.

    Args:
        curves: Density of each spectrum, shapes (point,).
        spectra: Their quadratures, as `shown` gives them.
        on: The axis.
        at: Coordinates of the points, shape (point,); Ritz values beyond are not drawn.

    Returns:
        Its two ends, in units of the density.
    """
    top = max(float(curve.max()) for curve in curves)
    lowest = top * 1e-4
    for curve, found in zip(curves, spectra, strict=True):
        nodes = found.node.values
        place = on.coordinate(nodes[np.abs(nodes) > on.scale])  # NaN is not
        place = place[(place >= at[0]) & (place <= at[-1])]
        if place.size:
            lowest = min(lowest, float(np.interp(place, at, curve).min()))
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
