"""From Ritz nodes to a curve: the axis' coordinate, the points, the Gaussian kernel.

The page repeats this file in `page/src/broadening.js`, so that a slider needs no
kernel; a test holds the two equal.
"""

import dataclasses
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hessview.analysis.headline import RESOLUTION
from hessview.errors import InputError
from hessview.spectral import quadrature

Array = NDArray[np.float64]
AxisName = Literal["linear", "symlog"]

AXES: tuple[AxisName, ...] = ("linear", "symlog")


@dataclasses.dataclass(frozen=True)
class Axis:
    """The coordinate along which eigenvalues are drawn and smoothed.

    On a linear axis it is the eigenvalue itself. On a symlog axis it is
    asinh(eigenvalue / scale): linear below the scale, logarithmic above, so that one kernel
    serves both ends of the spectrum. `sigma` is in units of the eigenvalue on both: on a symlog
    axis it is the width at zero, and at an eigenvalue x the width is sigma sqrt(1 + (x/scale)^2).

    Attributes:
        name: "linear" or "symlog".
        scale: Where symlog turns from linear to logarithmic, in units of the eigenvalue, > 0.
    """

    name: AxisName
    scale: float

    def coordinate(self, eigenvalues: ArrayLike) -> Array:
        """Position along the axis, same shape as eigenvalues."""
        values = np.asarray(eigenvalues, dtype=np.float64)
        return values if self.name == "linear" else np.arcsinh(values / self.scale)

    def eigenvalue(self, coordinates: ArrayLike) -> Array:
        """Eigenvalue at a position, same shape as coordinates."""
        values = np.asarray(coordinates, dtype=np.float64)
        return values if self.name == "linear" else self.scale * np.sinh(values)

    def jacobian(self, coordinates: ArrayLike) -> Array:
        """Change of the eigenvalue per change of coordinate, same shape as coordinates."""
        values = np.asarray(coordinates, dtype=np.float64)
        return np.ones_like(values) if self.name == "linear" else self.scale * np.cosh(values)

    def width(self, sigma: float) -> float:
        """Kernel width in units of the coordinate.

        Raises:
            InputError: On a symlog axis sigma is beyond all eigenvalues, whence sinh overflows.
        """
        if self.name == "linear":
            return sigma
        if sigma > self.scale / RESOLUTION:
            raise InputError(
                f"sigma={sigma!r} is more than the largest eigenvalue's size, "
                f"{self.scale / RESOLUTION:.3g}; use less, or axis='linear'."
            )
        return sigma / self.scale


def axis(name: str, nodes: ArrayLike) -> Axis:
    """The axis of that name for a spectrum.

    Args:
        name: "linear" or "symlog".
        nodes: Ritz values, any shape; NaN is passed over.

    Returns:
        The axis; its scale is the resolution of Lanczos, below which signs mean nothing.

    Raises:
        InputError: No such axis.
    """
    for axis_name in AXES:
        if name == axis_name:
            largest = float(np.nanmax(np.abs(nodes)))
            return Axis(axis_name, RESOLUTION * largest if largest else 1.0)
    raise InputError(f"axis={name!r} is not allowed; use one of {list(AXES)}.")


def check_sigma(sigma: float | None) -> None:
    """Refuse a kernel width that is none.

    Raises:
        InputError: sigma is neither None nor a finite number > 0.
    """
    if sigma is not None and not (np.isfinite(sigma) and sigma > 0):
        raise InputError(
            f"sigma={sigma!r} is not allowed; use a finite number > 0, in units of the "
            "eigenvalue, or None for what the steps support."
        )


def say_sigma(axis: Axis, sigma: float) -> str:
    """The kernel width as titles say it."""
    return f"σ = {sigma:.2g}" + (" at zero" if axis.name == "symlog" else "")


def default_sigma(axis: Axis, nodes: ArrayLike, steps: int) -> float:
    """Kernel width that the number of Lanczos steps supports along this axis.

    Args:
        axis: The axis.
        nodes: Ritz values, any shape; NaN is passed over.
        steps: Lanczos steps per probe.

    Returns:
        Width in units of the eigenvalue (on a symlog axis: at zero), > 0.
    """
    width = quadrature.default_sigma(axis.coordinate(nodes), steps)
    return width * (1.0 if axis.name == "linear" else axis.scale)


def grid(axis: Axis, nodes: ArrayLike, sigma: float) -> Array:
    """Coordinates at which the curve is drawn: evenly spaced, and the nodes, so no peak is missed.

    Args:
        axis: The axis.
        nodes: Ritz values of all probes, any shape; NaN is passed over.
        sigma: Kernel width in units of the eigenvalue.

    Returns:
        Ascending coordinates along the axis, shape (point,).
    """
    return quadrature.grid(axis.coordinate(nodes), sigma=axis.width(sigma))


def broaden(axis: Axis, nodes: Array, weights: Array, grid: Array, sigma: float) -> Array:
    """Density of one probe per unit of eigenvalue.

    Args:
        axis: The axis, along whose coordinate the kernel has one width.
        nodes: Ritz values, shape (node,), in units of the loss.
        weights: Quadrature weights, shape (node,).
        grid: Coordinates along the axis, shape (point,).
        sigma: Kernel width in units of the eigenvalue.

    Returns:
        Density at each coordinate, shape (point,); integrates to 1 over the eigenvalue.
    """
    along = quadrature.density(axis.coordinate(nodes), weights, grid, sigma=axis.width(sigma))
    return along / axis.jacobian(grid)


def ticks(axis: Axis, nodes: ArrayLike) -> dict[str, Any]:
    """Ticks of a symlog axis: zero, then 1-3-10 steps outward from the scale.

    Args:
        axis: The axis.
        nodes: Ritz values, any shape; NaN is passed over.

    Returns:
        tickvals (coordinates) and ticktext of a plotly axis; nothing for a linear one, whose
        ticks Plotly chooses.
    """
    if axis.name == "linear":
        return {}
    low, high = float(np.nanmin(nodes)), float(np.nanmax(nodes))
    decade = int(np.floor(np.log10(axis.scale)))
    steps = [d * 10.0**k for k in range(decade, decade + 4) for d in (1, 3)]
    outward = [value for value in steps if value >= axis.scale]
    below, above = ([v for v in outward if v <= end] for end in (-low, high))
    values = [-value for value in reversed(below)] + [0.0] + above
    return {
        "tickvals": axis.coordinate(values).tolist(),
        "ticktext": [f"{value:g}".replace("-", "\N{MINUS SIGN}") for value in values],
    }
