"""The page's JavaScript without a browser: unit tests, what is built, what Python gives it."""

import json
import os
import subprocess

import numpy as np

from helpers.folders import ROOT, TESTS
from helpers.jacobi import stored
from helpers.node_page import require_node
from hessview.page import generate, module
from hessview.page.wire import change

PAGE = ROOT / "hessview" / "page"
UNITS = TESTS / "page" / "node"


def test_the_unit_tests_of_the_page_pass(program_node):
    files = sorted(UNITS.glob("*.test.mjs"))
    assert files
    clean = {key: value for key, value in os.environ.items() if not key.startswith("NODE_")}
    ran = subprocess.run(
        [program_node, "--test", *files], capture_output=True, text=True, env=clean
    )
    assert ran.returncode == 0, ran.stdout


def test_what_is_built_is_of_these_sources(program_node, tmp_path):
    tools = PAGE / "node_modules" / "esbuild"
    require_node(tools.exists(), "there is no esbuild; run npm ci in hessview/page")
    subprocess.run([program_node, "build.js", tmp_path], cwd=PAGE, check=True)
    for name in ("loader.js", "page.js"):
        built = (module.STATIC / name).read_text(encoding="utf-8")
        assert built == (tmp_path / name).read_text(encoding="utf-8"), (
            f"static/{name} is not of these sources; run npm run build in hessview/page"
        )


def test_what_python_gives_the_page_is_current():
    cure = "run python -m hessview.page.generate, and npm run build in hessview/page"
    for name, text in (
        ("constants.js", generate.constants()),
        ("contract.d.ts", generate.types_of_contract()),
    ):
        assert (PAGE / "src" / name).read_text(encoding="utf-8") == text, cure


def test_the_lockfile_names_no_host():
    locked = json.loads((PAGE / "package-lock.json").read_text())["packages"]
    assert len(locked) > 5
    assert not [name for name, one in locked.items() if "resolved" in one]


def test_the_stored_eigenvalues_are_scipys():
    kept, made = json.loads((UNITS / "jacobi.json").read_text()), stored()
    assert kept.keys() == made.keys()
    for name, one in made.items():
        norm = np.abs(one["eigenvalues"]).max() or 1
        for key in ("alpha", "beta", "eigenvalues"):
            np.testing.assert_allclose(kept[name][key], one[key], rtol=0, atol=1e-13 * norm)
        if one["weights"] is not None:
            np.testing.assert_allclose(kept[name]["weights"], one["weights"], atol=1e-11)


def anything(random, depth=0):
    """A JSON value."""
    kind = random.integers(0, 7 if depth < 4 else 5)
    if kind == 5:
        return [anything(random, depth + 1) for _ in range(random.integers(0, 4))]
    if kind == 6:
        return {str(key): anything(random, depth + 1) for key in random.integers(0, 5, 3)}
    return [None, True, int(random.integers(-3, 3)), float(random.normal()), "text"][kind]


def altered(random, value, depth=0):
    """The same in part."""
    if random.random() < 0.3:
        return anything(random, depth)
    if isinstance(value, list):
        more = [anything(random, depth + 1) for _ in range(random.integers(0, 2))]
        return [altered(random, one, depth + 1) for one in value] + more
    if isinstance(value, dict):
        return {key: altered(random, one, depth + 1) for key, one in value.items()}
    return value


def test_a_difference_of_python_makes_the_new_of_the_old_in_the_page(node):
    random = np.random.default_rng(0)
    for _ in range(200):
        old = anything(random)
        new = altered(random, old)
        difference = change(old, new)
        made = node.evaluate("(given) => page.changed(...given)", [old, difference])
        assert made == new, (old, new)
