"""Widths, grids and densities of nodes of any size, the least and the largest included."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hessview.errors import InputError
from hessview.spectral.quadrature import LEAST_WIDTH, default_sigma, density, grid

LARGEST = 1e300  # beyond which the range of some nodes is no number
NODES = st.lists(st.floats(-LARGEST, LARGEST), min_size=1, max_size=6)


@given(NODES, st.integers(1, 1000))
def test_the_width_that_a_run_supports_draws_a_curve(nodes, steps):
    sigma = default_sigma(nodes, steps)
    at = grid(nodes, sigma=sigma)
    drawn = density(nodes, np.full(len(nodes), 1 / len(nodes)), at, sigma=sigma)
    assert sigma >= LEAST_WIDTH
    assert np.isfinite(at).all()
    assert (np.diff(at) >= 0).all()
    assert at[0] <= min(nodes) <= max(nodes) <= at[-1]
    assert np.isfinite(drawn).all()
    assert drawn.max() > 0


@given(NODES, st.floats(0, LARGEST))
@settings(max_examples=200)
def test_any_width_is_refused_or_draws_every_peak(nodes, sigma):
    if sigma < LEAST_WIDTH:
        with pytest.raises(InputError, match=r"^sigma=.* (not allowed|too small).*; use "):
            grid(nodes, sigma=sigma)
        return
    at = grid(nodes, sigma=sigma)
    assert np.isfinite(at).all()
    apart = 0.02 * sigma + 2 * np.finfo(float).eps * np.ptp(nodes)
    for node in nodes:
        assert np.abs(at - node).min() <= apart


def test_nodes_that_are_the_least_numbers_have_a_width_and_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for nodes in ([0.0, 5e-324], [5e-324], [1e-310, 2e-310], [-1e-308, 1e-308]):
            sigma = default_sigma(nodes, 3)
            drawn = density(
                nodes, [1.0] + [0.0] * (len(nodes) - 1), grid(nodes, sigma=sigma), sigma=sigma
            )
            assert np.isfinite(drawn).all()
