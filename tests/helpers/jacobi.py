"""Jacobi matrices, easy and hard, and their rules as SciPy has them."""

import numpy as np
from scipy.linalg import eigh_tridiagonal

from helpers.emulated import dataset


def rules():
    """Jacobi matrices, easy and hard: (alpha, beta) by name."""
    random = np.random.default_rng(3)
    wide = dataset(probes=1, steps=48)
    clustered = 1 + 1e-9 * random.standard_normal(30)
    wilkinson = np.abs(np.arange(21) - 10.0)  # pairs of eigenvalues that agree to 14 digits
    return {
        "one step": (np.array([-0.3]), np.array([0.7])),
        "two steps": (np.array([1.0, 1.0]), np.array([1e-3, 2.0])),
        "a network's": (wide.alpha.values[0], wide.beta.values[0]),
        "a long run": (random.standard_normal(200), 1 + random.uniform(size=200)),
        "clustered": (clustered, 1e-10 * random.uniform(0.5, 1, 30)),
        "Wilkinson's": (wilkinson, np.ones(21)),
        "tiny couplings": (np.linspace(-1, 5, 25), 10.0 ** -np.arange(0, 25)),
        "graded": (10.0 ** -np.arange(0, 25), 10.0 ** -np.arange(1, 26)),
        "breakdown": (np.array([3.0, 1.0, 2.0]), np.array([0.5, 0.25, 0.0])),
        "a coupling of 0": (np.array([3.0, 1.0, 2.0, 2.0]), np.array([0.5, 0.0, 0.25, 1.0])),
        "zeros": (np.zeros(4), np.zeros(4)),
        "huge": (1e150 * random.standard_normal(20), 1e150 * np.ones(20)),
        "small": (1e-150 * random.standard_normal(20), 1e-150 * np.ones(20)),
    }


def stored():
    """What the unit tests of the quadrature compare with."""
    made = {}
    for name, (alpha, beta) in rules().items():
        if len(alpha) > 50:
            continue
        nodes, vectors = eigh_tridiagonal(alpha, beta[:-1])
        norm = max(np.abs(nodes).max(), np.abs(beta).max())
        made[name] = {
            "alpha": alpha.tolist(),
            "beta": beta.tolist(),
            "eigenvalues": nodes.tolist(),
            # Of eigenvalues that agree in all digits only the sum of the weights is defined.
            "weights": (vectors[0] ** 2).tolist() if np.all(np.diff(nodes) > 1e-6 * norm) else None,
        }
    return made
