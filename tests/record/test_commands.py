"""No value of any field gets into a record that nobody could read; right ones always do."""

import dataclasses
import fractions
import itertools
import json
import math

import numpy as np
import pytest

from hessview.errors import InputError
from hessview.record.commands import (
    Accuracy,
    Benchmark,
    Coupling,
    Density,
    EpsilonSweep,
    FractionSweep,
    command_to_json,
)
from hessview.record.measurements import MEASUREMENTS, command_from_json

BASE = {
    "accuracy": {"epsilons": (1e-3,)},
    "epsilon_sweep": {"epsilons": (1e-3,)},
    "fraction_sweep": {"fractions": (0.5, 1.0)},
    "density": {},
    "coupling": {},
    "benchmark": {},
}
FIELDS = [
    (name, field.name)
    for name, entry in MEASUREMENTS.items()
    for field in dataclasses.fields(entry.command)
]


class Unprintable:
    def __repr__(self):
        raise RuntimeError("not even that")


VALUES = [
    *(None, True, False, np.True_, np.False_, -1, 0, 1, 3, 2.0, 0.5, -0.5, math.nan, math.inf),
    *(
        -math.inf,
        1e308,
        5e-324,
        10**18,
        2**63,
        2**70,
        10**400,
        10**5000,
        1j,
        fractions.Fraction(1, 3),
    ),
    *(
        "",
        "auto",
        "full",
        "none",
        "trace",
        "hessian",
        "*",
        "x",
        "\0",
        "\ud800",
        "é",
        b"x",
        "x" * 2000,
    ),
    *(
        (),
        [],
        {},
        set(),
        [1],
        [1, 2],
        (0.1, 0.2),
        [0.2, 0.1],
        [[1]],
        [None],
        ["x"],
        [True],
        [math.nan],
    ),
    *({"a": "x*", "b": "y*"}, {"a": 1, "b": 2}, {1: "x", 2: "y"}, {"a": "\ud800", "b": "y"}),
    *((("a", "x"), ("b", "y")), (("a", "x"), ("a", "y")), [("a", "x")], "ab", ("ab", "cd")),
    *(np.int32(3), np.int64(2), np.uint8(1), np.float32(0.5), np.float64(0.25), np.float16(0.5)),
    *(np.array(3), np.array(0.5), np.array([0.1, 0.2]), np.array([[0.1]]), np.array(["x"])),
    *(np.array(True), np.str_("trace"), range(1, 4), object(), Unprintable(), Density, len, ...),
]


@pytest.mark.parametrize(("name", "field"), FIELDS)
def test_what_is_taken_can_be_recorded_and_read_and_all_else_is_refused(name, field):
    taken, refusals = 0, []
    for value in VALUES:
        try:
            command = MEASUREMENTS[name].command(**{**BASE[name], field: value})
            command.check(10**12, 10)
        except InputError as error:
            refusals.append(str(error))
            continue
        taken += 1
        text = json.dumps(command_to_json(command), allow_nan=False)
        assert command_from_json(json.loads(text)) == command
        assert command.total <= 1_000_000
    assert taken >= 1
    for refusal in refusals:
        assert len(refusal) < 1000
        assert "; use" in refusal


@pytest.mark.parametrize("top", [None, 1, 0, "yes", [], np.array([True]), math.nan])
def test_top_is_true_or_false(top):
    with pytest.raises(InputError, match=r"top=.* is not allowed; use True or False\."):
        Accuracy(epsilons=(0.1,), top=top)


@pytest.mark.parametrize("top", [True, np.True_, np.array(True)])
def test_truth_of_numpy_is_pythons_own(top):
    assert Accuracy(epsilons=(0.1,), top=top).top is True


@pytest.mark.parametrize(
    ("command", "refusal"),
    [
        (Density(steps=80, probes=10_000_000), r"probes=10000000 is too many; use probes <= 100,0"),
        (Density(steps=1000, probes=2000), r"asks for 2,000,000 readings, and a run may have 1,0"),
        (Density(steps=200_000), r"steps=200000 is too many; use steps <= 100,000"),
        (Density(seed=2**63), r"seed has 64 bits; use a seed < 2\*\*63"),
        (Density(steps=2**62), "steps=4611686018427387904 is too many"),
        (Density(subset=["x"] * 1001), r"subset has 1,001 entries; use at most 1,000"),
        (Density(subset="x" * 1001), r"subset holds a word of 1,001 letters, 'xxx.*; use at most"),
        (Density(operator="x" * 1001), r"operator holds a word of 1,001 letters"),
        (Accuracy(epsilons=np.linspace(1, 2, 1001)), "epsilons has 1,001 entries; use at most"),
        (EpsilonSweep(epsilons=np.linspace(1, 2, 1001)), "epsilons has 1,001 entries"),
        (FractionSweep(fractions=np.linspace(0.1, 1, 1001)), "fractions has 1,001 entries"),
        (Benchmark(operators=["x"] * 1001), "operators has 1,001 entries"),
        (Benchmark(depths=range(1, 1002)), "depths has 1,001 entries"),
        (Coupling(blocks={str(n): "x" for n in range(1001)}), "blocks has 1,001 entries"),
        (
            Coupling(blocks={str(n): "x" for n in range(1000)}, probes=9),
            r"probes=9 between 1,000 blocks are more than can be held; use probes <= 8",
        ),
    ],
)
def test_sizes_that_nobody_can_hold_are_refused_when_asked_for(command, refusal):
    with pytest.raises(InputError, match=refusal):
        command.check(2**63)
    # Not when a record is read: what was measured of it stays in reach.
    assert command_from_json(command_to_json(command)) == command


def test_coupling_counts_the_jobs_blocks():
    Coupling(probes=8).check(100, 1000)
    with pytest.raises(InputError, match=r"probes=9 between 1,000 blocks .* use probes <= 8"):
        Coupling(probes=9).check(100, 1000)
    with pytest.raises(InputError, match=r"between 10,000 blocks .*; use fewer blocks"):
        Coupling(probes=1).check(100, 10_000)


@pytest.mark.parametrize(
    "make", [lambda v: EpsilonSweep(epsilons=v), lambda v: Benchmark(depths=v)]
)
def test_lists_without_an_end_are_refused(make):
    with pytest.raises(InputError, match=r"has 1,048,576 entries or more; use at most 1,000"):
        make(itertools.count(1))


@pytest.mark.parametrize(
    ("data", "refusal"),
    [
        (None, "a command came as None; use an object"),
        ([], r"a command came as \[\]; use an object"),
        ({"command": []}, r"command \[\] is unknown; use one of"),
        ({"command": {"a": 1}}, "is unknown; use one of"),
        ({"command": "density", "newer": 1}, r"density has no \['newer'\]; its fields are"),
        ({"command": "density", 5: 1}, "a command came as"),
        ({"command": "density", "steps": [1]}, r"steps=\(1,\) is not allowed; use a whole number"),
    ],
)
def test_commands_of_another_form_are_refused(data, refusal):
    with pytest.raises(InputError, match=refusal):
        command_from_json(data)
