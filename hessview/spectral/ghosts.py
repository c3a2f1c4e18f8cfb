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

LIGHT = 1e-3  # of the weight of what is located: far more than a copy on its way has


def kept(alpha: ArrayLike, beta: ArrayLike, errors: ArrayLike) -> tuple[Array, NDArray[np.intp]]:
    """Which Ritz values are genuine, and to which of these each belongs.

    Copies are Ritz values within the tolerance of each other, or within a fiftieth of the width
    that the density is drawn with unless their residuals prove two eigenvalues: a copy that is
    about to appear mixes with its original, so that neither has a small residual. The heaviest is
    kept. What is further off on its way is found by the test for spurious ones, and its weight
    given to the nearest value that is located; it is light. The outermost values are never
    spurious, as a copy comes after its original, nor is a value that is located: a light start
    looks spurious, too.

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
    kernel = quadrature.default_sigma(nodes, count)
    tolerance = np.minimum(np.sqrt(vectors.T**2 @ np.asarray(errors, dtype=float) ** 2), kernel / 2)
    reach = residuals + tolerance  # an eigenvalue lies within this

    def same(first: int, second: int) -> bool:
        gap = nodes[second] - nodes[first]
        if gap <= 2 * max(tolerance[first], tolerance[second]):
            return True
        proven = max(reach[first], reach[second]) < gap / 2
        return bool(gap <= quadrature.LEAST_APART * kernel and not proven)

    stands_for = np.arange(count)
    start = 0
    for stop in range(1, count + 1):
        if stop == count or not same(start, stop):
            stands_for[start:stop] = start + int(np.argmax(weights[start:stop]))
            start = stop
    heads = np.unique(stands_for)
    located = heads[reach[heads] <= kernel / 2]
    if len(heads) > 2 and located.size:
        without = eigh_tridiagonal(diagonal[1:], coupling[1:-1], eigvals_only=True)
        spurious = []
        for head in heads[1:-1]:
            nearest = located[np.argmin(np.abs(nodes[located] - nodes[head]))]
            light = weights[head] <= LIGHT * weights[nearest]
            simple = np.count_nonzero(stands_for == head) == 1 and reach[head] > kernel / 2
            persists = np.abs(without - nodes[head]).min() <= max(
                tolerance[head], quadrature.LEAST_APART * kernel
            )
            if light and simple and persists:
                spurious.append((head, nearest))
        for head, nearest in spurious:
            stands_for[head] = nearest
    return tolerance, stands_for


def merged(
    rule: quadrature.Ritz, stands_for: NDArray[np.intp]
) -> tuple[quadrature.Ritz, NDArray[np.intp]]:
    """A quadrature with each eigenvalue once: weights are added, the least residual counts.

    Args:
        rule: The quadrature of a probe.
        stands_for: As `kept` gives it.

    Returns:
        The quadrature of the Ritz values that are kept, and how many each stands for.
    """
    stays = np.unique(stands_for)
    residuals = np.full(len(stands_for), np.inf)
    np.minimum.at(residuals, stands_for, rule.residuals)
    weights = np.zeros(len(stands_for))
    np.add.at(weights, stands_for, rule.weights)
    copies = np.bincount(stands_for, minlength=len(stands_for))
    quadrature_of_kept = quadrature.Ritz(rule.nodes[stays], weights[stays], residuals[stays])
    return quadrature_of_kept, copies[stays]
