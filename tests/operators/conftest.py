import pytest
import torch

from helpers import toys
from hessview.job.control import Reduction
from hessview.job.loss import ShardedLoss


@pytest.fixture(scope="session")
def gpt_hessian():
    """The dense float64 Hessian of toys.gpt()."""
    return toys.dense_hessian(toys.gpt())


@pytest.fixture(scope="session")
def gpt_eigen(gpt_hessian):
    """Eigenvalues, ascending, and eigenvectors of it."""
    return torch.linalg.eigh(gpt_hessian)


@pytest.fixture(scope="session")
def gpt_gauss_newton():
    """The dense float64 Gauss-Newton matrix of toys.gpt()."""
    return toys.dense_gauss_newton(toys.gpt())


@pytest.fixture(scope="session")
def gpt_fisher():
    """The dense float64 empirical Fisher matrix of toys.gpt()."""
    return toys.dense_fisher(toys.gpt())


@pytest.fixture
def surface_of():
    """The loss of an objective in this one process, measured."""

    def make(objective, reduce=None):
        surface = ShardedLoss(objective, reduce or Reduction())
        surface.measure()
        return surface

    return make


@pytest.fixture
def relative():
    """|found - expected| / |expected|, in float64."""

    def error(found, expected):
        found, expected = found.to(torch.float64), expected.to(torch.float64)
        return float((found - expected).norm() / expected.norm())

    return error
