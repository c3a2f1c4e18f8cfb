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
    known = residuals + tolerance  # an eigenvalue lies within this

    def same(one: int, other: int) -> bool:
        apart = nodes[other] - nodes[one]
        if apart <= 2 * max(tolerance[one], tolerance[other]):
            return True
        proven = max(known[one], known[other]) < apart / 2
        return bool(apart <= quadrature.LEAST_APART * kernel and not proven)

    place = np.arange(count)
    start = 0
    for stop in range(1, count + 1):
        if stop == count or not same(start, stop):
            place[start:stop] = start + int(np.argmax(weights[start:stop]))
            start = stop
    heads = np.unique(place)
    located = heads[known[heads] <= kernel / 2]
    if len(heads) > 2 and located.size:
        without = eigh_tridiagonal(diagonal[1:], coupling[1:-1], eigvals_only=True)
        spurious = []
        for one in heads[1:-1]:
            nearest = located[np.argmin(np.abs(nodes[located] - nodes[one]))]
            light = weights[one] <= LIGHT * weights[nearest]
            simple = np.count_nonzero(place == one) == 1 and known[one] > kernel / 2
            there = np.abs(without - nodes[one]).min() <= max(
                tolerance[one], quadrature.LEAST_APART * kernel
            )
            if light and simple and there:
                spurious.append((one, nearest))
        for one, nearest in spurious:
            place[one] = nearest
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
    weights = np.zeros(len(place))
    np.add.at(weights, place, rule.weights)
    copies = np.bincount(place, minlength=len(place))
    found = quadrature.Ritz(rule.nodes[stays], weights[stays], residuals[stays])
    return found, copies[stays]
