import numpy as np
import pytest


@pytest.fixture
def dense_lanczos():
    """Reference Lanczos on a dense matrix: (alpha, beta) of a unit-norm start vector."""

    def run(matrix, start, steps):
        basis = np.zeros((steps, len(start)))
        alpha, beta = np.zeros(steps), np.zeros(steps)
        vector = start
        for step in range(steps):
            basis[step] = vector
            product = matrix @ vector
            alpha[step] = vector @ product
            for _ in range(2):  # "twice is enough", Parlett 1998, 6.9
                product = product - basis.T @ (basis @ product)
            beta[step] = np.linalg.norm(product)
            vector = product / beta[step] if beta[step] else product
        return alpha, beta

    return run
