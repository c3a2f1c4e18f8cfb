"""Spectra over the training step: their common rows and colours, as a heatmap."""

import math
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from hessview.data.ritz import copies_in, ritz
from hessview.data.training import each_run
from hessview.errors import RecordError
from hessview.spectral import quadrature
from hessview.views import broadening
from hessview.views.theme import LIGHT

Array = NDArray[np.float64]

LEAST_ROWS, MOST_ROWS = 241, 961  # eigenvalues at which a spectrum is coloured
MOST_GAPS = 32  # columns; of more, gaps would be stripes
DECADES = 8  # of density that colours tell at most


class Spectrum(NamedTuple):
    """Quadrature of the whole probes at a training step.

    Attributes:
        nodes: Ritz values of each probe, shapes (node,).
        weights: Their weights, shapes (node,).
        steps: Lanczos steps of the shortest of them.
        copies: Ritz values that were merged with others (see `data.ritz.copies_in`).
    """

    nodes: list[Array]
    weights: list[Array]
    steps: int
    copies: int


def spectra(ds: xr.Dataset) -> list[Spectrum | None]:
    """Quadrature at each training step; None where no probe is finished yet.

    Args:
        ds: What `hessview.training` joined.

    Returns:
        One for each training step.

    Raises:
        RecordError: Not joined by `hessview.training`, or no probe is finished at any step.
    """
    found = [_spectrum(run) for run in each_run(ds)]
    if not any(found):
        raise RecordError(
            "no probe is finished yet at any training step; wait for the first, or read the "
            "runs' errors if they have ended."
        )
    return found


def every_node(found: list[Spectrum | None]) -> Array:
    """All Ritz values of all training steps, shape (node,)."""
    return np.concatenate([nodes for one in found if one for nodes in one.nodes])


def default_sigma(on: broadening.Axis, found: list[Spectrum | None]) -> float:
    """Kernel width that the least number of Lanczos steps supports, in units of the eigenvalue."""
    least = min(one.steps for one in found if one)
    return broadening.default_sigma(on, every_node(found), least)


def rows(on: broadening.Axis, nodes: Array, sigma: float) -> Array:
    """Coordinates of the heatmap's rows: evenly spaced, and dense enough for the kernel.

    Args:
        on: The axis.
        nodes: Ritz values, shape (node,).
        sigma: Kernel width in units of the eigenvalue.

    Returns:
        Ascending coordinates, shape (row,).
    """
    at = on.coordinate(nodes)
    width = on.width(sigma)
    beyond = max(quadrature.REACH / 2 * width, quadrature.PADDING * float(np.ptp(at)))
    low, high = float(at.min()) - beyond, float(at.max()) + beyond
    wanted = math.floor(quadrature.POINTS_PER_SIGMA * (high - low) / width + 0.5) + 1
    return np.linspace(low, high, min(max(wanted, LEAST_ROWS), MOST_ROWS))


def densities(on: broadening.Axis, one: Spectrum, at: Array, sigma: float) -> Array:
    """Density of each probe at coordinates, shape (probe, point)."""
    return np.array(
        [
            broadening.broaden(on, nodes, weights, at, sigma)
            for nodes, weights in zip(one.nodes, one.weights, strict=True)
        ]
    )


def _spectrum(ds: xr.Dataset) -> Spectrum | None:
    try:
        found = ritz(ds)
    except RecordError:
        return None
    nodes, weights = [], []
    whole = found.isel(probe=np.flatnonzero(found.finished.values))
    if not whole.sizes["probe"]:
        return None
    for probe in np.flatnonzero(found.finished.values):
        there = np.isfinite(found.node.values[probe])
        nodes.append(found.node.values[probe][there])
        weights.append(found.weight.values[probe][there])
    return Spectrum(nodes, weights, int(whole.steps.min()), copies_in(whole))


def heatmap(
    found: list[Spectrum | None],
    steps: Array,
    on: broadening.Axis,
    sigma: float,
    domain: tuple[float, float],
) -> dict[str, Any]:
    """The heatmap's trace: a column is the mean density over the whole probes of a step.

    Args:
        found: Quadratures, as `spectra` gives them.
        steps: Training steps, shape (training_step,).
        on: The axis.
        sigma: Kernel width in units of the eigenvalue.
        domain: Where the heatmap stands along the figure's height.

    Returns:
        The trace; its z is the decimal logarithm of the density.
    """
    at = rows(on, every_node(found), sigma)
    columns = [
        np.full(len(at), np.nan) if one is None else densities(on, one, at, sigma).mean(axis=0)
        for one in found
    ]
    values = np.array(columns).T
    bottom, top = _limits(found, values, on, sigma)
    colours = [
        [0, LIGHT["card"]],
        [0.02, LIGHT["grid"]],
        [0.65, LIGHT["accent"]],
        [1, LIGHT["ink"]],
    ]
    return {
        "type": "heatmap",
        "x": steps,
        "y": at,
        "z": np.log10(np.maximum(values, 10.0**bottom)),
        "customdata": np.broadcast_to(on.eigenvalue(at)[:, None], values.shape),
        "zmin": bottom,
        "zmax": top,
        "colorscale": colours,
        "colorbar": {
            "title": {"text": "log₁₀ density", "side": "right"},
            "thickness": 12,
            "outlinewidth": 0,
            "len": domain[1] - domain[0],
            "y": sum(domain) / 2,
        },
        "xgap": int(len(steps) <= MOST_GAPS),  # tells neighbours apart where little changes
        "meta": {"role": "spectra"},
        "hoverongaps": False,
        "hovertemplate": "training step %{x}<br>λ %{customdata:.4~g}<br>"
        "log₁₀ density %{z:.2f}<extra></extra>",
    }


def _limits(
    found: list[Spectrum | None], values: Array, on: broadening.Axis, sigma: float
) -> tuple[float, float]:
    """Powers of ten from the faintest Ritz value beyond the unresolved strip to the highest peak.

    Some decades below the peak are left out where outliers are fainter still.
    """
    top = math.log10(float(np.nanmax(values)))
    peaks = [
        densities(on, one, np.sort(on.coordinate(beyond)), sigma).mean(axis=0).min()
        for one in found
        if one
        for beyond in [np.concatenate(one.nodes)[np.abs(np.concatenate(one.nodes)) > on.scale]]
        if len(beyond)
    ]
    faintest = math.log10(min(peaks)) - 0.5 if peaks else top - DECADES
    return max(faintest, top - DECADES), top
