import inspect
import re
from pathlib import Path

import pytest

import hessview
from helpers.every_command import dataset_of
from hessview.errors import InputError, RecordError
from hessview.extensions import named
from hessview.page.looks import Look, look_of
from hessview.record.commands import Density, command_to_json
from hessview.record.measurements import (
    MEASUREMENTS,
    command_from_json,
    command_from_text,
    command_in,
    measurement_in,
)
from hessview.record.validation import shown
from hessview.session.session import Session
from hessview.views import VIEWS, figure_of

PACKAGE = Path(hessview.__file__).parent
METHODS = {"epsilon_sweep": "sweep", "fraction_sweep": "sweep"}  # one question asks for both


@pytest.mark.parametrize("name", sorted(MEASUREMENTS))
def test_what_an_entry_names_is_there(name):
    entry = MEASUREMENTS[name]
    assert entry.command.name == entry.name == name
    parameters = list(inspect.signature(named("estimator", entry.estimator, {})).parameters)
    assert parameters == ["command", "surface", "operator"]
    ds = dataset_of(name)
    assert measurement_in(ds.attrs) is entry
    assert isinstance(look_of(ds), Look)
    assert set(ds.data_vars) == set(entry.schema.variables)
    assert callable(getattr(Session, METHODS.get(name, name)))
    assert not entry.view or entry.view in VIEWS
    assert re.fullmatch(r"\d[^{}]*", entry.size(ds.sizes))


def test_one_without_a_view_says_so():
    with pytest.raises(InputError, match=r"a benchmark has no figure; see its dataset, or hessv"):
        figure_of(dataset_of("benchmark"))


def test_a_dataset_without_a_command_is_of_a_density():
    assert command_in({}) == "density"
    with pytest.raises(RecordError, match=r"the dataset is of a 'dance', which is unknown here"):
        measurement_in({"command": "dance"})


@pytest.mark.parametrize("name", ["epsilon_sweep", "fraction_sweep"])
def test_a_command_stands_in_its_class_and_what_belongs_to_it_in_its_entry(name):
    rooms = [p for p in PACKAGE.rglob("*.py") if re.search(rf"['\"]{name}['\"]", p.read_text())]
    assert rooms == [PACKAGE / "record" / "commands.py"]


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "7", "null", '{"command": "dance"}'])
def test_a_text_that_is_no_command_is_refused(text):
    with pytest.raises(InputError, match=r"a command came as|command 'dance' is unknown; use one"):
        command_from_text(text)


@pytest.mark.parametrize("name", sorted(MEASUREMENTS))
def test_a_command_that_was_not_quite_named_is_guessed(name):
    with pytest.raises(InputError, match=rf"is unknown \(did you mean {name!r}\?\); use one of"):
        command_from_json({"command": name[:-1]})
    assert len(shown(name)) < 40


def test_commands_cross_as_text_unchanged():
    import json

    for name in MEASUREMENTS:
        asked = dataset_of(name).attrs["asked"]
        command = command_from_text(asked)
        assert json.loads(asked) == json.loads(json.dumps(command_to_json(command)))


@pytest.mark.parametrize(
    ("steps", "reorthogonalize", "kept"),
    [(64, "full", 64), (64, "none", 2), (64, 9, 9), (64, 1, 2), (5, 9, 5), (1, "none", 1)],
)
def test_a_basis_holds_at_least_the_two_vectors_of_the_recurrence(steps, reorthogonalize, kept):
    assert Density(steps=steps, reorthogonalize=reorthogonalize).vectors_kept == kept
