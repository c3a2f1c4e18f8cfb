"""Differences that Python makes, the page makes into what was meant."""

import copy
import itertools
import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from helpers.emulated import dataset
from helpers.javascript import Function
from hessview.page.state import page_state
from hessview.page.wire import change

EXACT = 2**53  # beyond which JavaScript has not every whole number
TEXTS = st.text(max_size=4) | st.sampled_from(["__proto__", "0", "1", "length", "constructor"])
PLAIN = (
    st.none()
    | st.booleans()
    | st.integers(-2, 2)
    | st.integers(-EXACT, EXACT)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS
)
VALUES = st.recursive(
    PLAIN,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


@pytest.fixture(scope="module")
def changed():
    made = Function("changed")
    yield made
    made.end()


@st.composite
def pairs(draw):
    """A value, and what may have become of it: some of its parts are other, more or fewer."""
    old = draw(VALUES)
    new = copy.deepcopy(old)
    for _ in range(draw(st.integers(0, 3))):
        new = draw(altered(new))
    return old, new


@st.composite
def altered(draw, value):
    if draw(st.integers(0, 3)) == 0:
        return draw(VALUES)
    if isinstance(value, list):
        if draw(st.booleans()) or not value:
            return [*value, draw(VALUES)]
        place = draw(st.integers(0, len(value) - 1))
        return [*value[:place], draw(altered(value[place])), *value[place + 1 :]]
    if isinstance(value, dict) and value:
        key = draw(st.sampled_from(sorted(value)))
        return {**value, key: draw(altered(value[key]))}
    return draw(VALUES)


def same(one, other):
    """Whether two values are one in JSON, where 1 is 1.0, but not true."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    numbers = [type(value) in (int, float) for value in (one, other)]
    if all(numbers):  # node writes 4.5e16 without a point
        return float(one) == float(other)
    return one == other and not any(numbers)


@given(pairs())
@example((1, True))
@example(([0.0, {"a": [False]}], [False, {"a": [0]}]))
@example(({"__proto__": [1]}, {"__proto__": [2]}))
@settings(max_examples=150)
def test_a_difference_makes_the_new_of_the_old(changed, pair):
    old, new = pair
    difference = change(old, new)
    assert same(changed(old, difference), new)
    if same(old, new):
        assert difference == {}


def test_states_of_a_run_follow_each_other_in_any_order(changed):
    states = [
        json.loads(json.dumps(page_state([dataset(probes=2, steps=9, stop=stop, end="")])))
        for stop in (0, 1, 8, 12)
    ]
    for old, new in itertools.product(states, states):
        assert same(changed(old, change(old, new)), new)
