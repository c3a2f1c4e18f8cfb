"""`hessview.operator` on two ranks gives what one process gives, and refuses on both alike."""

import numpy as np
import pytest

import hessview
from ranks.linear_operator import products

pytestmark = [pytest.mark.ranks, pytest.mark.timeout(400)]

# As in tests/operators/test_base_ranks.py.
SAME = dict.fromkeys(hessview.operators, 1e-10) | {"exact": 1e-13}


@pytest.fixture(scope="module")
def results(torchrun):
    return torchrun("linear_operator", 2)


@pytest.fixture(scope="module")
def alone():
    return products(None)


@pytest.mark.parametrize("name", list(hessview.operators))
def test_two_ranks_are_one(results, alone, name):
    found, expected = results["products"][name], alone[name]
    assert np.linalg.norm(found - expected) < SAME[name] * np.linalg.norm(expected)


def test_what_one_rank_refuses_all_do_and_go_on(results, alone):
    told = results["refusals"]["texts"]
    assert told[0] == told[1]
    differs, not_finite, changed = told[0]
    assert "the vector of rank 1 differs from that of rank 0" in differs
    assert "the vector is not finite" in not_finite
    assert "the parameters have changed" in changed
    after = results["refusals"]["after"]
    expected = alone["hessian"]
    assert np.linalg.norm(after - expected) < SAME["hessian"] * np.linalg.norm(expected)
