"""What is public: documented at the call, and enough for every shipped notebook and guide."""

import ast
import inspect
import json
import re
from pathlib import Path

import pytest

import hessview
from hessview import views
from hessview.analysis.summary import Summaries
from hessview.job.job import Job
from hessview.job.linear_operator import CurvatureOperator
from hessview.page.dashboard import Dashboard
from hessview.planning import Plan
from hessview.record.provenance import Provenance

ROOT = Path(hessview.__file__).parents[1]
REFERENCES = ("see ", "as in ", "as `", "likewise")
ALIASES = {"training"}  # the old name of join_training, which documents its argument


def public_callables():
    """Functions and methods that a user calls, by the name that they are called by."""
    given = {name: getattr(hessview, name) for name in hessview.__all__}
    given |= {f"views.{name}": getattr(views, name) for name in views.__all__}
    classes = (Job, CurvatureOperator, Summaries, Plan, Provenance, Dashboard)
    given |= {cls.__name__: cls for cls in classes}
    for name, thing in given.items():
        if inspect.isfunction(thing) and name not in ALIASES:
            yield name, thing
        if inspect.isclass(thing):
            for attribute in dir(thing):
                owner = next(cls for cls in thing.__mro__ if attribute in vars(cls))
                called_by_others = attribute.startswith(("_", "on_train_", "on_step_"))
                if called_by_others or not owner.__module__.startswith("hessview"):
                    continue
                method = inspect.getattr_static(thing, attribute)
                method = getattr(method, "__func__", method)
                if inspect.isfunction(method):
                    yield f"{name}.{attribute}", method


CALLABLES = dict(public_callables())


def described(function):
    """The Args of a Google docstring: text by name."""
    doc = inspect.cleandoc(function.__doc__ or "")
    found = re.search(r"^(?:Args|Attributes):\n((?:[ ]{4}.*\n?|\n)*)", doc, re.MULTILINE)
    if found is None:
        return {}
    entries = re.split(r"^    (?=\*{0,2}\w+:)", found.group(1), flags=re.MULTILINE)
    pairs = (entry.split(":", 1) for entry in entries if ":" in entry)
    return {name.strip("* "): re.sub(r"\s+", " ", text).strip() for name, text in pairs}


def test_there_are_as_many_as_one_would_think():
    assert {"attach", "summary", "Session.density", "Run.wait", "views.density"} <= set(CALLABLES)
    assert len(CALLABLES) > 50


@pytest.mark.parametrize("name", sorted(CALLABLES))
def test_each_argument_is_documented_where_it_is_called(name):
    function = CALLABLES[name]
    assert inspect.getdoc(function), name
    parameters = [each for each in inspect.signature(function).parameters if each != "self"]
    texts = described(function)
    assert set(texts) == set(parameters)
    for parameter, text in texts.items():
        assert len(text) > 10, parameter
        assert not text.lower().startswith(REFERENCES), (parameter, text)


@pytest.mark.parametrize("name", ["Objective", "TrainerCallback"])
def test_what_a_class_is_made_of_is_documented_at_the_class(name):
    cls = getattr(hessview, name)
    parameters = [each for each in inspect.signature(cls).parameters if each not in ("self", "_")]
    assert set(described(cls)) == set(parameters)


@pytest.mark.parametrize("command", ["density", "coupling", "accuracy", "sweep", "benchmark"])
def test_a_question_that_stands_for_a_command_tells_all_of_it(command):
    texts = described(getattr(hessview.Session, command))
    for name, parameter in inspect.signature(getattr(hessview.Session, command)).parameters.items():
        if parameter.default is not None and isinstance(parameter.default, str):
            continue
        assert name == "self" or texts[name][0].isupper(), name


def test_every_public_thing_says_what_it_is():
    for name in hessview.__all__:
        assert inspect.getdoc(getattr(hessview, name)), name
        assert not name.startswith("_")


CODE = [
    *sorted(ROOT.glob("notebooks/**/*.ipynb")),
    *sorted(ROOT.glob("notebooks/**/*.md")),
    ROOT / "README.md",
]


def sources(path):
    """Python that a file shows to be run."""
    text = path.read_text()
    if path.suffix == ".ipynb":
        cells = json.loads(text)["cells"]
        return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    return re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def imported(code):
    """What code imports of hessview, and the attributes of hessview that it reads."""
    lines = [line for line in code.splitlines() if not line.lstrip().startswith(("%", "!"))]
    for node in ast.walk(ast.parse("\n".join(lines))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Attribute):
            yield re.match(r"[\w.]*", ast.unparse(node)).group()


@pytest.mark.parametrize("path", CODE, ids=lambda path: path.name)
def test_notebooks_and_guides_need_public_names_only(path):
    public = {f"hessview.{name}" for name in hessview.__all__} | {"hessview"}
    public |= {f"hessview.views.{name}" for name in views.__all__}
    public |= {f"hessview.errors.{name}" for name in dir(hessview.errors)}
    for code in sources(path):
        for name in imported(code):
            parts = name.split(".")
            if parts[0] != "hessview":
                continue
            depth = 3 if parts[1:2] in (["views"], ["errors"]) else 2
            assert ".".join(parts[:depth]) in public, name


def test_the_guides_are_found():
    assert len(CODE) > 8
    assert sum(len(sources(path)) for path in CODE) > 20
