"""Copies of eigenvalues (ghosts) in Lanczos runs that gave up old vectors.

Cullum & Willoughby, Lanczos Algorithms for Large Symmetric Eigenvalue Computations (1985), chapter
4: what is numerically multiple in T is genuine and counts once; what is simple in T, and also an
eigenvalue of T without its first row and column, is spurious. Their tolerance is machine epsilon;
ours is the products' error, by which copies of one eigenvalue differ. True eigenvalues that lie
nearer to each other than that are not told apart.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import eigh_tridiagonal

from hessview.spectral import quadrature

Array = NDArray[np.float64]


def kept(alpha: ArrayLike, beta: ArrayLike, errors: ArrayLike) -> tuple[Array, NDArray[np.intp]]:
    """Which Ritz values are genuine, and to which of these each belongs.

    A copy is what lies within the tolerance of a Ritz value whose residual is below it: of the
    copies the heaviest is kept. What is still on its way to a copy is found by the test for
    spurious ones; the outermost values are never spurious, as a copy comes after its original.
    A weight that is smaller than the tolerance looks spurious too, which is why a value that is
    located stays.

    Args:
        alpha: Diagonal of the Jacobi matrix, shape (step,).
        beta: Off-diagonal and the norm of what was left, shape (step,).
        errors: Norm of each product's error, shape (step,), in the same units.

    Returns:
        Tolerance of each Ritz value, ascending, shape (step,), and the place of the one that
        stands for it, which is its own where it is kept, shape (step,).
    """
    diagonal, coupling = np.asarray(alpha, dtype=float), np.asarray(beta, dtype=float)
    nodes, vectors = eigh_tridiagonal(diagonal, coupling[:-1])
    count = len(nodes)
    weights, residuals = vectors[0] ** 2, np.abs(coupling[-1] * vectors[-1])
    # Never coarser than the density is drawn: there, merging must change nothing.
    finest = quadrature.default_sigma(nodes, count)
    tolerance = np.minimum(np.sqrt(vectors.T**2 @ np.asarray(errors, dtype=float) ** 2), finest)
    located = residuals <= tolerance
    place = np.arange(count)
    start = 0
    while start < count:
        stop = start + 1
        while stop < count and nodes[stop] - nodes[start] <= max(tolerance[start], tolerance[stop]):
            stop += 1
        if stop - start > 1 and located[start:stop].any():
            place[start:stop] = start + int(np.argmax(weights[start:stop]))
            start = stop
        else:
            start += 1
    if count > 2:
        without = eigh_tridiagonal(diagonal[1:], coupling[1:-1], eigvals_only=True)
        inner = np.arange(1, count - 1)
        near = np.abs(nodes[inner, None] - without).min(axis=1) <= tolerance[inner]
        alone = np.bincount(place, minlength=count)[inner] == 1
        spurious = inner[near & alone & ~located[inner] & (place[inner] == inner)]
        genuine = np.setdiff1d(np.unique(place), spurious)
        for one in spurious:
            place[one] = genuine[np.argmin(np.abs(nodes[genuine] - nodes[one]))]
    return tolerance, place


def merged(
    rule: quadrature.Ritz, place: NDArray[np.intp]
) -> tuple[quadrature.Ritz, NDArray[np.intp]]:
    """A quadrature with each eigenvalue once: weights are added, the least residual counts.

    Args:
        rule: The quadrature of a probe.
        place: As `kept` gives it.

    Returns:
        The quadrature of the Ritz values that are kept, and how many each stands for.
    """
    stays = np.unique(place)
    residuals = np.full(len(place), np.inf)
    np.minimum.at(residuals, place, rule.residuals)
    weights = np.bincount(place, rule.weights, minlength=len(place))
    copies = np.bincount(place, minlength=len(place))
    found = quadrature.Ritz(rule.nodes[stays], weights[stays], residuals[stays])
    return found, copies[stays]
