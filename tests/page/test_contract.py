"""What Python tells the page, held to the contract that the page's types are made of."""

import itertools
import re
import types
from typing import (
    Any,
    Literal,
    NotRequired,
    Required,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

import pytest

from helpers.emulated import dataset
from helpers.every_command import dataset_of
from helpers.folders import ROOT
from helpers.trained import run_of
from hessview.errors import InputError
from hessview.page import contract, panel_contract
from hessview.page.board import Board
from hessview.page.looks import Look, readings_panel
from hessview.page.state import page_state
from hessview.record.measurements import MEASUREMENTS


def against(value, form, place="it"):
    """Where a JSON value is not of a form: sentences."""
    origin, inner = get_origin(form), get_args(form)
    if origin in (NotRequired, Required):
        return against(value, inner[0], place)
    if form is Any:
        return []
    if is_typeddict(form):
        return against_dict(value, form, place)
    if origin in (Union, types.UnionType):
        return against_union(value, inner, place)
    if origin is Literal:
        return [] if value in inner else [f"{place} is {value!r}, not one of {inner}"]
    if origin is list:
        if not isinstance(value, list):
            return [f"{place} is {type(value).__name__}, not a list"]
        found = [against(one, inner[0], f"{place}[{i}]") for i, one in enumerate(value)]
        return list(itertools.chain(*found))
    if origin is dict:
        if not isinstance(value, dict):
            return [f"{place} is {type(value).__name__}, not a dict"]
        found = [against(one, inner[1], f"{place}.{key}") for key, one in value.items()]
        return list(itertools.chain(*found))
    allowed = (int, float) if form is float else form
    right = isinstance(value, allowed) and (form is bool or not isinstance(value, bool))
    return [] if right else [f"{place} is {value!r}, not {form.__name__}"]


def against_dict(value, form, place):
    if not isinstance(value, dict):
        return [f"{place} is {type(value).__name__}, not {form.__name__}"]
    hints = get_type_hints(form, include_extras=True)
    lacking = form.__required_keys__ - value.keys()
    told = [f"{place} lacks {name} of {form.__name__}" for name in lacking]
    told += [f"{place} has {name}, which no {form.__name__} has" for name in value.keys() - hints]
    for name in value.keys() & hints.keys():
        told += against(value[name], hints[name], f"{place}.{name}")
    return told


def against_union(value, forms, place):
    told = [against(value, form, place) for form in forms]
    if any(not one for one in told):
        return []
    # Of the form that is meant, where kinds tell.
    kinds = [
        one
        for one, form in zip(told, forms, strict=True)
        if is_typeddict(form) and not any(f"{place}.kind is" in text for text in one)
    ]
    return min(kinds or told, key=len)


@pytest.mark.parametrize("command", list(MEASUREMENTS))
@pytest.mark.parametrize("stop", [0, None])
@pytest.mark.parametrize("final", [False, True])
def test_a_page_of_each_command_is_what_the_contract_says(command, stop, final):
    options = {} if stop is None else {"stop": stop, "end": ""}
    state = page_state([dataset_of(command, **options)], final=final)
    assert against(state, contract.Page) == []


def test_what_is_told_of_several_runs_is_too():
    runs = [dataset(f"{i}", probes=2, steps=9, reorthogonalize="none") for i in range(2)]
    sweeps = [dataset_of("epsilon_sweep"), dataset_of("accuracy")]
    trained = [run_of(step) for step in (0, 100)] + [run_of(200, stop=0, end="")]
    state = page_state([*runs, *sweeps, *trained])
    assert state["comparisons"]
    assert state["trainings"]
    assert against(state, contract.Page) == []
    (comparison,) = page_state(runs)["comparisons"]
    assert comparison["panels"][0]["kind"] == "comparison"


def test_a_board_is_too(until):
    runs = [dataset("a", probes=1, steps=5), dataset_of("coupling"), dataset_of("accuracy")]
    board = Board(runs=runs)
    heard = []
    board.listen(heard.append)
    board.take({"action": "show", "run": ""})
    until(lambda: heard)
    assert against(board.head, contract.BoardHead) == []
    assert against(board.parts, dict[str, contract.Part]) == []
    assert against(heard, list[contract.BoardMessage]) == []


def test_a_look_of_a_kind_that_the_page_cannot_draw_is_refused():
    with pytest.raises(InputError, match=r"kind='pie' is not allowed.*use one of \['convergence'"):
        Look(kind="pie", panel=readings_panel)
    with pytest.raises(InputError, match=r"kind='pie' is not allowed"):
        Look(kind="text", panel=readings_panel, further=(("pie", "Pie", readings_panel),))


def test_the_page_draws_every_kind():
    source = (ROOT / "hessview" / "page" / "src" / "section.js").read_text()
    table = source[source.index("const PANELS = {") :]
    drawn = re.findall(r"^  (\w+):", table[: table.index("};")], re.MULTILINE)
    kinds = {kind for form in get_args(panel_contract.Panel) for kind in _kinds(form)}
    assert set(drawn) == kinds


def _kinds(form):
    return get_args(get_type_hints(form)["kind"])


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (lambda page: page["sections"][0].pop("tiles"), "lacks tiles of Section"),
        (
            lambda page: page["sections"][0]["status"].update(done="3"),
            "status.done is '3', not int",
        ),
        (lambda page: page["sections"][0]["panels"][0].update(more=1), "has more, which no Dens"),
        (lambda page: page["sections"][0]["panels"][0].update(kind="pie"), "kind is 'pie'"),
        (lambda page: page["sections"][0]["panels"][0]["probes"][0]["alpha"].append(None), "alpha"),
    ],
)
def test_what_differs_is_found(spoil, text):
    page = page_state([dataset(probes=1, steps=5)])
    assert against(page, contract.Page) == []
    spoil(page)
    assert text in " ".join(against(page, contract.Page))
