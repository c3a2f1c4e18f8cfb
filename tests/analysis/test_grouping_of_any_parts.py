"""However a sweep is parted into runs: joined, they are the one that would have measured all."""

import json

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.emulated import by_hand
from helpers.every_command import dataset_of
from hessview.analysis.grouping import siblings, unite

WHOLES = {name: dataset_of(name) for name in ("accuracy", "epsilon_sweep")}


def part(whole, places, run):
    """The run that would have measured these epsilons only."""
    one = whole.isel(epsilon=sorted(places))
    return one.assign_attrs(run=run, epsilons=json.dumps(one.epsilon.values.tolist()))


@st.composite
def parts(draw, count):
    """Places of epsilons by run, in any order, some of them twice, none of them left out."""
    runs = draw(st.integers(1, 4))
    holders = [
        draw(st.sets(st.integers(0, runs - 1), min_size=1, max_size=2)) for _ in range(count)
    ]
    found = [[place for place in range(count) if run in holders[place]] for run in range(runs)]
    return [places for places in found if places]


@pytest.mark.parametrize("name", WHOLES)
def test_parts_of_any_kind_are_joined_to_the_whole(name):
    whole = WHOLES[name]

    @given(parts(whole.sizes["epsilon"]))
    @settings(max_examples=25)
    def joined(places):
        runs = [part(whole, some, f"run-{place}") for place, some in enumerate(places)]
        assert [len(group) for group in siblings(runs)] == [len(runs)]
        found = unite(runs)
        xr.testing.assert_equal(found, whole)
        assert found.attrs["epsilons"] == whole.attrs["epsilons"]
        assert found.attrs["state"] == "done"

    joined()


@given(st.data())
@settings(max_examples=25)
def test_at_each_epsilon_all_numbers_are_those_of_the_run_that_has_most(data):
    """Runs that were cut at any of their steps, told apart by what is added to their numbers."""
    whole = WHOLES["epsilon_sweep"]
    epsilons, _, steps = whole.alpha.shape
    left = [
        [data.draw(st.integers(0, steps)) for _ in range(epsilons)]
        for _ in range(data.draw(st.integers(2, 3)))
    ]
    runs = []
    for place, cuts in enumerate(left):
        one = by_hand(whole.copy(deep=True)).assign_attrs(run=f"run-{place}")
        for name in one.data_vars:
            if one[name].dims == ("epsilon", "probe", "step"):
                one[name] = one[name] + place
                for epsilon, cut in enumerate(cuts):
                    one[name][epsilon, :, cut:] = np.nan
        runs.append(one)
    found = unite(runs)
    for epsilon in range(epsilons):
        counts = [cuts[epsilon] for cuts in left]
        chosen = counts.index(max(counts))  # the first of those that have as many
        for name in ("alpha", "beta", "rho"):
            np.testing.assert_array_equal(found[name][epsilon], runs[chosen][name][epsilon])
