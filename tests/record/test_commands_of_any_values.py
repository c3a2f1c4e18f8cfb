"""Any command that can be made is the same once it crossed the wire and lay in a record."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hessview.record.commands import (
    Accuracy,
    Benchmark,
    Coupling,
    Density,
    EpsilonSweep,
    FractionSweep,
    command_to_json,
)
from hessview.record.events import RunQueued
from hessview.record.log import EventLog, read_events
from hessview.record.measurements import MEASUREMENTS, command_from_json

WHOLE = st.integers(1, 10**6)
POSITIVE = st.floats(0, exclude_min=True, allow_infinity=False)
WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12)
LISTED = st.lists(WORDS, min_size=1, max_size=4).map(tuple)


def ascending(numbers):
    return st.lists(numbers, min_size=1, max_size=6, unique=True).map(
        lambda some: tuple(sorted(some))
    )


COMMON = {
    "probes": WHOLE,
    "seed": st.integers(0, 2**63 - 1),
    "epsilon": st.just("auto") | POSITIVE,
    "operator": WORDS,
    "subset": LISTED,
}
LANCZOS = COMMON | {
    "steps": WHOLE,
    "reorthogonalize": st.sampled_from(["full", "none"]) | WHOLE,
    "error_every": st.integers(0, 10**6),
}
EPSILONS = {"epsilons": ascending(POSITIVE)}
QUANTITIES = st.sampled_from(["trace", "frobenius_norm", "largest", "smallest"])
PAIRS = st.dictionaries(WORDS, WORDS, min_size=2, max_size=4).map(
    lambda pairs: tuple(pairs.items())
)
COMMANDS = {
    "density": st.builds(Density, **LANCZOS, quantity=QUANTITIES)
    | st.builds(
        Density, **LANCZOS | {"probes": st.integers(2, 99)}, quantity=QUANTITIES, tolerance=POSITIVE
    ),
    "coupling": st.builds(Coupling, **COMMON, blocks=st.just(()) | PAIRS),
    "epsilon_sweep": st.builds(EpsilonSweep, **LANCZOS, **EPSILONS),
    "fraction_sweep": st.builds(
        FractionSweep, **LANCZOS, fractions=ascending(st.floats(0, 1, exclude_min=True))
    ),
    "accuracy": st.builds(
        Accuracy,
        **COMMON,
        **EPSILONS,
        top=st.booleans(),
        reference=st.sampled_from(["auto", "exact", "richardson"]),
    ),
    "benchmark": st.builds(
        Benchmark, **COMMON, operators=LISTED, depths=st.lists(WHOLE, min_size=1).map(tuple)
    ),
}


def test_every_command_is_here():
    assert COMMANDS.keys() <= MEASUREMENTS.keys()
    own = {
        name for name, one in MEASUREMENTS.items() if one.command.__module__.startswith("hessview.")
    }
    assert COMMANDS.keys() == own


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_crosses_the_wire_unchanged(name):
    @given(COMMANDS[name])
    @settings(max_examples=50)
    def crosses(command):
        text = json.dumps(command_to_json(command), allow_nan=False)
        assert command_from_json(json.loads(text)) == command

    crosses()


@given(st.lists(st.one_of(*COMMANDS.values()), min_size=1, max_size=4))
@settings(max_examples=50)
def test_a_record_gives_back_the_commands_that_were_asked(tmp_path_factory, commands):
    path = tmp_path_factory.mktemp("record") / "events.jsonl"
    log = EventLog("job", path)
    for place, command in enumerate(commands):
        log.append(RunQueued(command=command_to_json(command)), run=f"run-{place}")
    log.close()
    found = [command_from_json(event.payload.command) for event in read_events(path)]
    assert found == commands
