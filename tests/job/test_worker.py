"""How often a run makes its command and its operator."""

import dataclasses

import pytest

import hessview
from helpers import toys
from hessview.operators import ExactHessian, Hessian
from hessview.record.commands import Coupling, Density


@pytest.fixture
def made(monkeypatch):
    """Names of whatever is made, one by one."""
    names = []
    for cls in (Hessian, ExactHessian, Density, Coupling):
        count(cls, names, monkeypatch)
    return names


def count(cls, names, monkeypatch):
    first = "__post_init__" if dataclasses.is_dataclass(cls) else "__init__"
    before = getattr(cls, first)

    def noted(self, *args, **keywords):
        if type(self) is cls:
            names.append(cls.__name__)
        before(self, *args, **keywords)

    monkeypatch.setattr(cls, first, noted)


@pytest.mark.parametrize(
    ("question", "options"),
    [
        ("density", {"steps": 2, "error_every": 0}),
        ("density", {"steps": 2, "operator": "exact"}),
        ("coupling", {"operator": "exact"}),
    ],
)
def test_a_run_makes_its_operator_and_its_command_once(made, question, options):
    with hessview.local(toys.gpt()) as session:
        made.clear()
        run = getattr(session, question)(probes=1, **options)
        run.wait()
    operator = "ExactHessian" if "operator" in options else "Hessian"
    assert made.count(operator) == 1
    # Who asks makes one, and the fold of the record another; the ranks take what was asked.
    assert made.count(type(run.command).__name__) == 2
