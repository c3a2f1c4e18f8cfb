"""Each option of a job stands in one place, from which all others take it."""

import argparse
import dataclasses
import inspect
import itertools

import pytest

import hessview
from hessview.cli import _parser
from hessview.errors import InputError
from hessview.planning import plan
from hessview.record.commands import Benchmark, Density
from hessview.record.job_options import (
    RANKS,
    JobOptions,
    add_options,
    job_options,
    names_of,
    options_from,
)
from hessview.session.launch import job_arguments
from hessview.session.session import Session

OTHERS = {
    "text": "prose.txt",
    "tokens": 512,
    "length": 64,
    "batch": 2,
    "dtype": "bfloat16",
    "seed": 7,
}


def defaults(*words):
    return vars(_parser().parse_args(words))


def of_the_ranks(arguments):
    parser = argparse.ArgumentParser()
    add_options(parser, model="--model")
    parsed = parser.parse_args(arguments)
    return JobOptions(model=parsed.model, **options_from(parsed))


def test_others_are_all_options_and_none_as_it_is():
    assert list(OTHERS) == names_of()
    assert not OTHERS.items() & dataclasses.asdict(JobOptions(model="tiny")).items()


@pytest.mark.parametrize("count", range(3))
def test_options_cross_the_command_line_of_the_ranks_unchanged(count):
    for names in itertools.combinations(OTHERS, count):
        options = JobOptions(model="tiny", **{name: OTHERS[name] for name in names})
        assert of_the_ranks(options.arguments()) == options
        assert len(options.arguments()) == 2 + 2 * count


def test_launch_hands_on_what_differs():
    assert job_arguments("tiny", ranks=3, tokens=512, text=None)[3:] == [
        *("-m", "hessview.job", "--model", "tiny", "--tokens", "512"),
    ]


def test_command_lines_take_the_defaults_of_the_options():
    own = dataclasses.asdict(JobOptions(model="tiny"))
    del own["model"]
    for words in (["launch", "tiny", "--run-dir", "a"], ["bench", "tiny"]):
        found = defaults(*words)
        assert {name: found[name] for name in own} == own
        assert found["ranks"] == RANKS
    found = defaults("plan", "tiny", "--ranks", "2")
    assert {name: found[name] for name in names_of(planned=True)} == {
        name: own[name] for name in ("tokens", "length", "batch", "dtype")
    }


def test_a_plan_is_of_the_density_that_a_session_asks_for():
    found = defaults("plan", "tiny", "--ranks", "2")
    signature = inspect.signature(plan).parameters
    asked = inspect.signature(Session.density).parameters
    for name in ("steps", "probes", "operator", "epsilon", "reorthogonalize", "error_every"):
        assert signature[name].default == asked[name].default == getattr(Density, name)
        assert found.get(name, getattr(Density, name)) == getattr(Density, name)


def test_a_benchmark_is_the_same_from_the_shell():
    found, asked = defaults("bench", "tiny"), inspect.signature(Session.benchmark).parameters
    assert found["repetitions"] == asked["repetitions"].default == Benchmark.probes
    assert tuple(found["operators"]) == asked["operators"].default == Benchmark.operators
    assert tuple(found["depths"]) == asked["depths"].default == Benchmark.depths
    assert inspect.signature(hessview.launch).parameters["ranks"].default == RANKS


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"token": 1}, r"plan has no \['token'\] \(did you mean 'tokens'\?\); its options are \["),
        ({"seed": 1}, r"plan has no \['seed'\]"),
        ({"tokens": True}, r"tokens=True is not allowed; use a whole number >= 1\."),
        (
            {"dtype": "float16"},
            r"dtype='float16' is not allowed; use one of \['bfloat16', 'float32',",
        ),
    ],
)
def test_what_is_no_option_is_refused(given, text):
    with pytest.raises(InputError, match=text):
        job_options("tiny", given, asked="plan", planned=True)
