"""A run's dataset is that of its readings, in whatever order and company they come."""

import dataclasses

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.emulated import payloads, recorded
from helpers.every_command import run_payloads
from hessview.record.collect import collect
from hessview.record.events import Reading
from hessview.record.measurements import MEASUREMENTS

PAYLOADS = {name: run_payloads(name) for name in MEASUREMENTS}
PAYLOADS["density"] = list(payloads(probes=2, steps=10, parameters=100))


def parts(name):
    """What comes before the readings of a run, the readings, and what comes after."""
    said = PAYLOADS[name]
    places = [place for place, one in enumerate(said) if isinstance(one, Reading)]
    return said[: places[0]], said[places[0] : places[-1] + 1], said[places[-1] + 1 :]


def dataset(said):
    return collect(recorded("run", said)).dataset("run")


@pytest.mark.parametrize("name", PAYLOADS)
def test_readings_in_any_order_are_the_same_run(name):
    before, readings, after = parts(name)
    expected = dataset([*before, *readings, *after])

    @given(st.randoms(use_true_random=False))
    @settings(max_examples=10)
    def same(random):
        moved = random.sample(readings, len(readings))
        xr.testing.assert_identical(dataset([*before, *moved, *after]), expected)

    same()


@pytest.mark.parametrize("name", PAYLOADS)
def test_whatever_part_arrived_is_there_and_nothing_else(name):
    before, readings, _ = parts(name)
    whole = dataset([*before, *readings])

    @given(st.data())
    @settings(max_examples=10)
    def there(data):
        picked = data.draw(st.lists(st.booleans(), min_size=len(readings), max_size=len(readings)))
        arrived = [one for one, taken in zip(readings, picked, strict=True) if taken]
        missing = [one for one, taken in zip(readings, picked, strict=True) if not taken]
        one, other = dataset([*before, *arrived]), dataset([*before, *missing])
        for variable in whole.data_vars:
            values, rest = one[variable].values, other[variable].values
            assert not (np.isfinite(values) & np.isfinite(rest)).any()
            joined = np.where(np.isfinite(values), values, rest)
            np.testing.assert_array_equal(joined, whole[variable].values)

    there()


@given(st.randoms(use_true_random=False), st.lists(st.sampled_from(sorted(PAYLOADS)), max_size=3))
@settings(max_examples=20)
def test_runs_of_one_record_do_not_touch_each_other(random, names):
    """Their events interleave in any way; each run's own keep their order."""
    own = {f"run-{place}": list(PAYLOADS[name])[1:] for place, name in enumerate(names)}
    every = [run for run, said in own.items() for _ in said]
    turns = random.sample(every, len(every))
    left = {run: iter(said) for run, said in own.items()}
    job = recorded("", [PAYLOADS["coupling"][0]])  # the names of its blocks are a coupling's
    events = [
        dataclasses.replace(one, seq=seq)
        for seq, one in enumerate(
            [*job, *(recorded(run, [next(left[run])])[0] for run in turns)], start=1
        )
    ]
    found = collect(events)
    for place, name in enumerate(names):
        expected = collect(recorded("run", PAYLOADS[name])).dataset("run")
        one = found.dataset(f"run-{place}")
        for variable in expected.data_vars:
            np.testing.assert_array_equal(one[variable].values, expected[variable].values)
