"""Interrupts and errors in mid-run change nothing of a training; see benchmarks/interrupts.py."""

import functools

import pytest

from helpers.harmless import harm, train

TRIES = {"single": 40, "fsdp": 14, "ddp": 14}
RANKS = [
    "single",
    pytest.param("fsdp", marks=pytest.mark.ranks),
    pytest.param("ddp", marks=pytest.mark.ranks),
]


@pytest.fixture(scope="module")
def unmeasured(tmp_path_factory):
    """The same trainings, which nobody measures."""
    folder = tmp_path_factory.mktemp("unmeasured")
    return functools.cache(lambda kind: train(kind, "nothing", TRIES[kind], folder))


@pytest.mark.parametrize("kind", RANKS)
def test_interrupts_at_any_moment_change_nothing(kind, unmeasured, tmp_path):
    found = train(kind, "interrupts", TRIES[kind], tmp_path, seed=1)
    assert harm(found, unmeasured(kind)) == []
    runs = found[0]["runs"]
    assert runs["begun"] > TRIES[kind] / 2
    assert runs["states"]["cancelled"] > TRIES[kind] / 4
    assert set(runs["states"]) <= {"cancelled", "done"}
    assert all(rank["raised"] > TRIES[kind] / 8 for rank in found)  # they came, in the end


@pytest.mark.parametrize("kind", RANKS)
def test_errors_that_all_ranks_meet_change_nothing(kind, unmeasured, tmp_path):
    found = train(kind, "errors", TRIES[kind], tmp_path, seed=2)
    assert harm(found, unmeasured(kind)) == []
    runs = found[0]["runs"]
    assert runs["states"]["failed"] == found[0]["met"] > TRIES[kind] / 4
    assert runs["begun"] == TRIES[kind] == sum(runs["states"].values())
