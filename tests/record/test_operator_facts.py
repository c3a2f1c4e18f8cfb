import ast
import re
from pathlib import Path

import pytest

import hessview
from hessview.extensions import named
from hessview.operators import OPERATORS as MAKERS
from hessview.operators import facts_of_made, maker_of
from hessview.operators.finite_difference import Differences, Hessian
from hessview.page.board import form
from hessview.record.operator_facts import HESSIAN, OPERATORS, OperatorFacts, facts_in, facts_of
from hessview.views.theme import operator_name

PACKAGE = Path(hessview.__file__).parent
README = PACKAGE.parent / "README.md"


@pytest.mark.parametrize("name", sorted(OPERATORS))
def test_an_operator_is_made_by_its_entry_and_has_its_facts(name):
    facts = OPERATORS[name]
    made = MAKERS[name]
    assert made is named("operator", facts.implementation, {}) is maker_of(name)
    assert made.facts is facts
    assert issubclass(made, Differences) == facts.has_epsilon
    assert facts_of_made(name, made) is facts_of(name) is facts_in({"operator": name}) is facts
    assert [name, facts.wording] in form()["operators"]
    assert operator_name({"operator": name}) == facts.matrix
    assert facts.about
    assert facts.wording


def test_one_that_is_of_no_table_says_what_its_class_does():
    class Mine(Hessian):
        pass

    class Other:
        pass

    assert facts_of_made("mine:Mine", Mine).order == 2
    assert facts_of_made("mine:Mine", Mine).name == "mine:Mine"
    assert facts_of_made("mine:Other", Other()) == OperatorFacts(
        name="mine:Other", wording="mine:Other"
    )
    assert operator_name({"operator": "mine:Other"}) == "operator"
    assert facts_in({}) is OPERATORS["hessian"]


def test_costs_are_those_of_the_passes():
    assert {name: facts.cost for name, facts in OPERATORS.items()} == {
        "hessian": 2.0,
        "hessian_one_reduction": 2.0,
        "hessian_fourth_order": 4.0,
        "hessian_forward": 1.0,
        "gauss_newton": 5 / 3,
        "fisher": 5 / 3,
        "exact": 3.0,
    }
    # What one reduction or gathered parameters save is the network's affair.
    assert {name: facts.least_cost for name, facts in OPERATORS.items() if facts.cost >= 2} == {
        "hessian": 2.0,
        "hessian_one_reduction": 1.0,
        "hessian_fourth_order": 4.0,
        "exact": 1.0,
    }
    assert not OPERATORS["exact"].passes_are_known
    hessians = {name for name, facts in OPERATORS.items() if facts.is_difference_of_gradients}
    assert hessians == {name for name in OPERATORS if name.startswith("hessian")}
    assert OPERATORS["exact"].matrix == HESSIAN


@pytest.mark.parametrize("name", sorted(OPERATORS.keys() - {"hessian", "exact"}))
def test_an_operator_stands_in_its_entry_and_in_its_class_alone(name):
    own = PACKAGE.joinpath(*OPERATORS[name].implementation.partition(":")[0].split(".")[1:])
    rooms = {path for path in PACKAGE.rglob("*.py") if name in constants(path)}
    rooms.discard(PACKAGE / "operators" / "__init__.py")  # which names modules, some of them alike
    assert rooms == {PACKAGE / "record" / "operator_facts.py", own.with_suffix(".py")}


def constants(path):
    """Texts in a file's code; not those within its docstrings."""
    return {node.value for node in ast.walk(ast.parse(path.read_text())) if is_text(node)}


def is_text(node):
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def test_the_readme_names_every_operator_with_its_cost():
    text = README.read_text()
    _, _, told = text.partition("`operator=` is one of")
    told = " ".join(told[: told.index("package.module:name")].split())
    assert sorted(re.findall(r"`(\w+)`", told)) == sorted(OPERATORS)
    for name, count in re.findall(r"`(\w+)` \([^)]*?\b(\d+) gradients?\b", told):
        assert OPERATORS[name].cost == int(count)
