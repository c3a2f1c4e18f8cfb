"""What the import contracts of pyproject.toml (`lint-imports`) cannot say of the house."""

import ast
import subprocess
import sys
from pathlib import Path

import hessview
from helpers.folders import TESTS

ROOT = Path(hessview.__file__).parent
HEAVY = {"torch", "transformers", "xarray", "plotly", "panel", "anywidget", "ipywidgets"}


def names_in(path):
    """What a file imports, at its top and within functions, and the attributes that it reads."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Attribute):
            yield ast.unparse(node)


def test_only_one_room_names_the_rpc_layer():
    naming = [
        path.name
        for path in sorted(ROOT.rglob("*.py"))
        if any("torch.distributed.rpc" in name for name in names_in(path))
    ]
    assert naming == ["agent.py"]


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


SCENARIOS = {"fuzz", "notebooks", "session", "helpers", "jobs", "ranks", "benchmarks", "records"}


def test_every_test_bears_the_name_of_the_room_that_it_tests():
    """`tests/a/test_b.py` or `tests/a/test_b_of_something.py` is of `hessview/a/b.py`.

    Folders of whole scenarios, from a notebook or a shell to the ranks and back, are left out.
    """
    strangers = []
    for file in sorted(TESTS.rglob("test_*.py")):
        place = file.relative_to(TESTS)
        if place.parts[0] in SCENARIOS or file == Path(__file__):
            continue
        words = file.stem.split("_")[1:]
        rooms = ["_".join(words[:count]) for count in range(1, len(words) + 1)]
        if not any((ROOT / place.parent / f"{room}.py").exists() for room in rooms):
            strangers.append(str(place))
    assert not strangers, f"name each after a room of hessview, or move it: {strangers}"
