"""From Lanczos coefficients to the spectral measure of a probe; numpy and scipy only."""

import dataclasses
import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import eigh_tridiagonal

from hessview.errors import InputError

Array = NDArray[np.float64]

POINTS_PER_WIDTH = 3.0  # sigma = range / (3 m): L1 error 0.02-0.03 with 4 probes; less fails
FLAT_WIDTH = 1e-3  # share of the common node where all nodes agree: narrow, yet not a spike
POINTS_PER_SIGMA = 4  # a Gaussian drawn with straight lines looks round
LEAST_POINTS, MOST_POINTS = 501, 4001  # smooth when wide; more than a screen has pixels
LEAST_APART = 0.02  # kernel widths; nearer nodes share a point: the curve there agrees to 0.1 %
PADDING = 0.03  # share of the range that stays free at either end
REACH = 5.0  # kernel widths beyond the outermost node: there, 4e-6 of its peak is left
LEAST_WIDTH = float(np.finfo(np.float64).tiny)  # below it, a kernel's height is infinite
_ON_A_NODE = 1e-9  # share of the largest coefficient; nearer, a bordered matrix would be huge


@dataclasses.dataclass(frozen=True)
class Ritz:
    """Gauss quadrature of a probe's spectral measure, from its Jacobi matrix.

    Attributes:
        nodes: Ritz values, ascending, shape (step,), in units of the operator.
        weights: Squared first components of the eigenvectors, shape (step,), summing to 1.
        residuals: An eigenvalue lies within this distance of the node, shape (step,),
            in units of the operator.
    """

    nodes: Array
    weights: Array
    residuals: Array


def ritz(alpha: ArrayLike, beta: ArrayLike) -> Ritz:
    """Ritz values, quadrature weights and residual bounds of a Lanczos run.

    Args:
        alpha: Diagonal of the Jacobi matrix, shape (step,), in units of the operator.
        beta: Off-diagonal, shape (step,), same units: beta[j] couples step j to step j + 1,
            and the last entry is the norm of the residual that was left.

    Returns:
        Nodes, weights and residuals, each of shape (step,).

    Raises:
        InputError: Shapes differ, nothing is there, or a coefficient is not finite.

    Reference: Golub & Welsch (1969) for nodes and weights; Parlett, The Symmetric Eigenvalue
    Problem (1998), 13.2 for the residual |beta_m s_m|, which bounds the distance to an
    eigenvalue of the operator as it was applied: it knows nothing of errors in the products.
    """
    diagonal = np.asarray(alpha, dtype=np.float64)
    coupling = np.asarray(beta, dtype=np.float64)
    if diagonal.ndim != 1 or diagonal.shape != coupling.shape or not diagonal.size:
        raise InputError(
            f"alpha has shape {diagonal.shape} and beta {coupling.shape}; both need the same "
            "shape (step,) with at least one step."
        )
    if not (np.isfinite(diagonal).all() and np.isfinite(coupling).all()):
        raise InputError("alpha or beta is not finite; pass the finished steps only.")
    nodes, vectors = eigh_tridiagonal(diagonal, coupling[:-1])
    return Ritz(
        nodes=nodes,
        weights=vectors[0] ** 2,
        residuals=np.abs(coupling[-1] * vectors[-1]),
    )


def density(nodes: ArrayLike, weights: ArrayLike, grid: ArrayLike, *, sigma: float) -> Array:
    """Spectral density of the operator, smoothed by a Gaussian of width sigma.

    Args:
        nodes: Ritz values, shape (step,), in units of the loss.
        weights: Squared first components, shape (step,), summing to 1.
        grid: Where to evaluate, shape (point,), same units as nodes.
        sigma: Kernel width (standard deviation), same units as nodes.

    Returns:
        Density at each grid point, shape (point,); integrates to 1.

    Raises:
        InputError: sigma is no kernel width, see `check_sigma`.

    Reference: Ghorbani, Krishnan & Xiao (ICML 2019).
    """
    check_sigma(sigma)
    distance = (np.asarray(grid)[:, None] - np.asarray(nodes)) / sigma
    kernel = np.exp(-0.5 * distance**2) / (sigma * np.sqrt(2 * np.pi))
    return np.asarray(kernel @ np.asarray(weights))


def check_sigma(sigma: float) -> None:
    """Refuse a kernel width that is none.

    Raises:
        InputError: sigma is not a finite number > 0, or so small that 1 / sigma is infinite.
    """
    if not (np.isfinite(sigma) and sigma > 0):
        raise InputError(
            f"sigma={sigma!r} is not allowed; use a finite number > 0, in units of the nodes."
        )
    if sigma < LEAST_WIDTH:
        raise InputError(
            f"sigma={sigma!r} is too small to divide by; use {LEAST_WIDTH:.2g} or more, in units "
            "of the nodes."
        )


def grid(nodes: ArrayLike, *, sigma: float) -> Array:
    """Where to evaluate a density: evenly spaced, and at the nodes, so that no peak is missed.

    Of nodes that lie within a fiftieth of the kernel width, one stands for all.

    Args:
        nodes: Ritz values of all probes, any shape; NaN is passed over.
        sigma: Kernel width, same units as nodes, at least `LEAST_WIDTH`.

    Returns:
        Ascending points, shape (point,).

    Raises:
        InputError: sigma is no kernel width, see `check_sigma`.
    """
    check_sigma(sigma)
    values = np.asarray(nodes, dtype=np.float64)
    finite = np.sort(values[np.isfinite(values)])
    beyond = max(REACH * sigma, PADDING * float(np.ptp(finite)))
    low, high = float(finite[0]) - beyond, float(finite[-1]) + beyond
    points_wanted = math.floor(min(POINTS_PER_SIGMA * (high - low) / sigma, MOST_POINTS) + 0.5) + 1
    points = min(max(points_wanted, LEAST_POINTS), MOST_POINTS)
    # Where sigma is tiny beside the range, nodes are told apart down to float64's resolution.
    least_gap = max(LEAST_APART * sigma, float(np.finfo(np.float64).eps) * float(np.ptp(finite)))
    cells = np.floor((finite - finite[0]) / least_gap + 0.5)
    first = np.concatenate([[True], np.diff(cells) > 0])
    return np.sort(np.concatenate([np.linspace(low, high, points), finite[first]]))


def moment(nodes: ArrayLike, weights: ArrayLike, order: int) -> float:
    """Moment of the spectral measure: v' A^order v for the unit-norm probe v.

    Args:
        nodes: Ritz values, shape (step,).
        weights: Squared first components, shape (step,), summing to 1.
        order: Power of the operator; exact up to 2 * steps - 1 (Gauss quadrature).

    Returns:
        The moment, in units of the nodes to the power of order.

    Raises:
        InputError: order is negative.
    """
    if order < 0:
        raise InputError(f"order={order} is not allowed; use a whole number >= 0.")
    return float(np.asarray(weights) @ np.asarray(nodes, dtype=np.float64) ** order)


def wasserstein(a: Ritz, b: Ritz) -> float:
    """Distance between two quadratures: how far mass must move to turn one into the other.

    Unlike the largest difference of the cumulative distributions (Kolmogorov-Smirnov), it stays
    small when a heavy node moves a little.

    Args:
        a: One quadrature.
        b: The other; it may have another number of nodes.

    Returns:
        The first Wasserstein distance, in units of the nodes.
    """
    # On the line it is the area between the two cumulative distributions.
    nodes = np.concatenate([a.nodes, b.nodes])
    order = np.argsort(nodes)
    excess = np.cumsum(np.concatenate([a.weights, -b.weights])[order])[:-1]
    return float(np.abs(excess) @ np.diff(nodes[order]))


def default_sigma(nodes: ArrayLike, steps: int) -> float:
    """Kernel width that a Lanczos run of this length can support: range / (3 steps).

    Args:
        nodes: Ritz values of any number of probes, any shape; NaN is passed over.
        steps: Lanczos steps per probe.

    Returns:
        The width, in units of the nodes, at least `LEAST_WIDTH`.

    Raises:
        InputError: No node is a number, or steps < 1.
    """
    values = np.asarray(nodes, dtype=np.float64)
    values = values[np.isfinite(values)]
    if not values.size or steps < 1:
        raise InputError(
            f"{values.size} nodes of {steps} steps give no width; measure a Lanczos step first."
        )
    if width := extent(values):
        return max(width / (POINTS_PER_WIDTH * steps), LEAST_WIDTH)
    largest = float(np.abs(values).max())
    return max(FLAT_WIDTH * largest, LEAST_WIDTH) if largest else 1.0


def extent(nodes: ArrayLike) -> float:
    """Range of some nodes.

    Args:
        nodes: Ritz values, any shape; NaN is passed over.

    Returns:
        Largest less smallest, in units of the nodes; 0 where rounding alone spreads them.
    """
    low, high = float(np.nanmin(nodes)), float(np.nanmax(nodes))
    rounding = 64 * float(np.finfo(np.float64).eps) * max(abs(low), abs(high))
    return high - low if high - low > rounding else 0.0


def mass_below(alpha: ArrayLike, beta: ArrayLike, x: float) -> tuple[float, float, Array]:
    """Bounds of a probe's spectral measure below a point, whatever lies beyond its moments.

    The inequalities of Chebyshev, Markov and Stieltjes: of all measures with the moments that
    Lanczos found (up to 2 m), none has less below x than the Gauss-Radau rule that has a node at
    x counts on its other nodes there, and none has more, x included, than it counts with that
    node. Where the Krylov space is exhausted (the last beta is 0), the measure itself is known.

    Args:
        alpha: Diagonal of the Jacobi matrix, shape (step,), in units of the operator.
        beta: Off-diagonal, as of `ritz`.
        x: The point, in units of the operator.

    Returns:
        Least and greatest mass, and the node's unit eigenvector, shape (step,): where the matrix
        changes by a small E, the bounds are those at a point shifted by up to s' |E| s.

    Reference: Akhiezer, The Classical Moment Problem (1965), 2.5; Golub & Meurant, Matrices,
    Moments and Quadrature (2010), 6.2 for the rule.
    """
    diagonal = np.asarray(alpha, dtype=np.float64)
    coupling = np.asarray(beta, dtype=np.float64)
    nodes, vectors = eigh_tridiagonal(diagonal, coupling[:-1])
    size = max(float(np.abs(nodes).max()), float(np.abs(coupling).max()))
    gaps = nodes - x
    near = int(np.argmin(np.abs(gaps)))
    if coupling[-1] == 0 or abs(gaps[near]) <= _ON_A_NODE * size:  # that of Gauss has such a node
        on_node = np.abs(gaps) <= _ON_A_NODE * size
        below, at_point = vectors[0, (gaps < 0) & ~on_node], vectors[0, on_node]
        least = float(below @ below)
        return least, least + float(at_point @ at_point), vectors[:, near]
    last = coupling[-1] * vectors[-1]
    # Golub's bordering: the new entry makes x an eigenvalue.
    bordered = np.append(diagonal, x + float(np.sum(last**2 / gaps)))
    nodes, vectors = eigh_tridiagonal(bordered, coupling)
    near = int(np.argmin(np.abs(nodes - x)))
    weights = vectors[0] ** 2
    least = float(weights[:near].sum())
    return least, least + float(weights[near]), vectors[:-1, near]


def standard_error(samples: ArrayLike) -> Array:
    """Standard error of the mean over probes.

    Args:
        samples: One a probe, two or more, shape (probe, ...).

    Returns:
        Shape (...).
    """
    over = np.asarray(samples, dtype=np.float64)
    return np.asarray(over.std(axis=0, ddof=1) / np.sqrt(len(over)))
