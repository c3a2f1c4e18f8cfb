"""Imports go down the floors only; see the plan of the house in the README of its packages."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import hessview

ROOT = Path(__file__).parent.parent / "hessview"
FILES = sorted(ROOT.rglob("*.py"))

# Longest prefix counts. A file may import from its own room and from floors below its own.
FLOORS = {
    "hessview": 0,
    "hessview.errors": 0,
    "hessview.messages": 0,
    "hessview.commands": 0,
    "hessview.eventlog": 0,
    "hessview.named": 0,
    "hessview.transport": 0,
    "hessview.spectral": 1,
    "hessview.data": 2,
    "hessview.operators": 2,
    "hessview.views": 3,
    "hessview.job": 3,
    "hessview.session": 4,
    "hessview.hooks": 4,
    "hessview.job.__main__": 4,
    "hessview.page": 5,
    "hessview.demo": 6,
    "hessview.lab": 6,
    "hessview.planning": 6,
    "hessview.cli": 6,
}
HEAVY = {"torch", "transformers", "xarray", "plotly", "panel", "anywidget", "ipywidgets"}
DRAWING = {"plotly", "panel", "anywidget", "ipywidgets", "jinja2"}
FOREIGN = {  # what a room never imports while it is loaded
    "hessview.data": {"torch", "transformers", *DRAWING},
    "hessview.views": {"torch", "transformers", "panel", "anywidget", "ipywidgets"},
    "hessview.page": {"torch", "transformers"},
    "hessview.session": {"torch", "transformers", *DRAWING},
    "hessview.spectral": {"xarray", "transformers", *DRAWING},
    "hessview.operators": {"xarray", "transformers", *DRAWING},
    "hessview.job": {"xarray", *DRAWING},
    "hessview.hooks": {"xarray", *DRAWING},
    "hessview.transport": {"xarray", "transformers", *DRAWING},
    "hessview.commands": HEAVY | {"numpy", "scipy"},
    "hessview.messages": HEAVY | {"numpy", "scipy"},
    "hessview.eventlog": HEAVY | {"numpy", "scipy"},
}
NEVER_EVEN_LATE = ("hessview.data", "hessview.views", "hessview.page")  # may not name torch at all
ROOM = {"hessview.job.__main__": "hessview.job"}


def module_of(path):
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts).removesuffix(".__init__")


def longest(name, table):
    while name and name not in table:
        name = name.rpartition(".")[0]
    return name


def imports(tree, *, late):
    """Names of imported modules; late ones are those within functions."""
    if isinstance(tree, ast.Import):
        yield from (alias.name for alias in tree.names)
    elif isinstance(tree, ast.ImportFrom):
        yield from (f"{tree.module}.{alias.name}" for alias in tree.names)
    typing_only = isinstance(tree, ast.If) and ast.unparse(tree.test) == "TYPE_CHECKING"
    if typing_only or (isinstance(tree, ast.FunctionDef) and not late):
        return
    for child in ast.iter_child_nodes(tree):
        yield from imports(child, late=late)


def imported(path, *, late=False):
    return list(imports(ast.parse(path.read_text()), late=late))


def upward(module, names):
    """Imports of a module that go up, or sideways into another room."""
    own = longest(module, FLOORS)
    room = ROOM.get(own, own)
    for name in names:
        if name.split(".")[0] != "hessview" or name == "hessview.__version__":
            continue
        home = longest(name, FLOORS)
        if ROOM.get(home, home) != room and FLOORS[home] >= max(FLOORS[own], 1):
            yield name


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_imports_go_down_only(path):
    assert list(upward(module_of(path), imported(path))) == []


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_rooms_are_free_of_what_belongs_elsewhere(path):
    module = module_of(path)
    late = module.startswith(NEVER_EVEN_LATE)
    packages = {name.split(".")[0] for name in imported(path, late=late)}
    assert not packages & FOREIGN.get(longest(module, FOREIGN), set())


def test_only_one_file_names_the_rpc_layer():
    named = [path.name for path in FILES if "torch.distributed.rpc" in code(path)]
    assert named == ["agent.py"]


def code(path):
    """The file without its comments and strings."""
    return " ".join([*imported(path, late=True), *attributes(ast.parse(path.read_text()))])


def attributes(tree):
    return [ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)]


def test_the_rules_see_a_break_of_each_kind():
    tree = ast.parse("import torch\nfrom hessview.page import report\ndef f():\n import plotly")
    names = list(imports(tree, late=False))
    assert names == ["torch", "hessview.page.report"]
    assert list(upward("hessview.views.density", names)) == ["hessview.page.report"]
    assert list(upward("hessview.operators.hessian", ["hessview.data.store"])) == [
        "hessview.data.store"
    ]
    assert list(upward("hessview.data.store", ["hessview.spectral.quadrature"])) == []
    assert "plotly" in list(imports(tree, late=True))


def test_importing_hessview_loads_nothing_heavy():
    loaded = "import sys, hessview; dir(hessview); print(*sys.modules)"
    words = subprocess.run(
        [sys.executable, "-c", loaded], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {*HEAVY, "numpy", "scipy", "psutil", "jinja2"} & set(words)


def test_type_checkers_see_the_names_that_are_loaded_on_first_use():
    (seen,) = (
        node
        for node in ast.parse((ROOT / "__init__.py").read_text()).body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    )
    homes = {alias.asname: one.module for one in seen.body for alias in one.names}
    assert homes == {name: home or "hessview" for name, home in hessview._HOMES.items()}
    assert sorted(homes) == sorted(hessview.__all__)
    assert all(getattr(hessview, name) is not None for name in homes)
