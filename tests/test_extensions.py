"""An operator and a measurement of another package, in one entry each, seen everywhere."""

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hessview.errors import InputError, RecordError, RecordWarning
from hessview.record.measurements import MEASUREMENTS, command_from_json, measurement_in
from hessview.record.operator_facts import OPERATORS, OperatorFacts, facts_of

FACTS = '''
import dataclasses
from typing import ClassVar

import numpy as np

from hessview.record.commands import Command
from hessview.record.measurements import Measurement
from hessview.record.operator_facts import OperatorFacts
from hessview.record.schema import Schema, Variable

OPERATOR = OperatorFacts(
    name="toy_doubling",
    implementation="toy_work:Doubling",
    matrix="doubled identity",
    wording="Twice the identity",
    about="twice the identity, exact, for nothing",
    gradients=1,
    exact=True,
    kept=5,
    holds="a toy",
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Norms(Command):
    """Ask how long the products with random probes are."""

    name: ClassVar[str] = "toy_norms"


MEASUREMENT = Measurement(
    command=Norms,
    schema=Schema(
        dims=("probe",),
        variables={"norm": Variable(units="loss", long_name="length of the product")},
        coordinates=lambda command, blocks: {"probe": np.arange(command.probes)},
        descriptions={"probe": Variable(units="1", long_name="random probe vector")},
    ),
    kind="Toy",
    title="Lengths of products",
    unit="lengths",
    first="length",
    estimator="toy_work:norms",
    view="toy_view",
)
'''

WORK = """
import math

from hessview.operators.base import Product
from hessview.record.events import Reading


class Doubling:
    def __init__(self, surface, epsilon):
        pass

    def matvec(self, vector, *, measure_error=False):
        return Product(
            vector=2 * vector, norm=2.0, epsilon=math.nan, rho=math.nan, error=0.0, gradients=0.0
        )


def norms(command, surface, operator):
    for probe in range(command.probes):
        product = operator.matvec(surface.space.probe(command.seed, probe))
        norm = surface.space.norm(product.vector)
        yield Reading(index={"probe": probe}, values={"norm": norm})
"""

VIEW = """
import plotly.graph_objects as go


def view(ds):
    return go.Figure(go.Scatter(y=ds.norm.values, meta={"role": "norms"}), {"title": "a toy"})
"""

MODEL = """
import torch
from torch import nn

import hessview


def build():
    torch.manual_seed(0)
    module = nn.Linear(4, 3).double()
    inputs = torch.randn(8, 4, dtype=torch.float64)
    return hessview.Objective(
        module, lambda module, batch: (module(batch).square().sum(), 8), [inputs], name="toy model"
    )
"""

ENTRY_POINTS = """
[hessview.operators]
toy_doubling = toy_facts:OPERATOR
broken = toy_absent:OPERATOR

[hessview.measurements]
toy_norms = toy_facts:MEASUREMENT

[hessview.views]
toy_view = toy_view:view

[hessview.models]
toy_model = toy_model:build
"""

FILES = {
    "toy_facts.py": FACTS,
    "toy_work.py": WORK,
    "toy_view.py": VIEW,
    "toy_model.py": MODEL,
    "toy-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: toy\nVersion: 1.0\n",
    "toy-1.0.dist-info/entry_points.txt": ENTRY_POINTS,
}

WALK = """
import dataclasses, json, logging, sys
import hessview
light = not {"torch", "plotly", "toy_facts"} & sys.modules.keys()
from hessview.page.board import form
from hessview.page.state import page_state
from hessview.record.measurements import MEASUREMENTS
from hessview.record.operator_facts import OPERATORS
from hessview.views.theme import operator_name
run_dir, html = sys.argv[1:]
from toy_model import build
with hessview.local(build(), run_dir=run_dir) as session:
    asked = sorted(name for name in dir(session) if "toy" in name)
    ds = session.toy_norms(probes=3, operator="toy_doubling").wait()
    spectrum = session.density(steps=2, probes=1, operator="toy_doubling").wait()
    try:
        astray = dataclasses.replace(MEASUREMENTS["toy_norms"], estimator="toy_work:nothing")
        MEASUREMENTS._installed["toy_norms"] = astray
        session.toy_norms(probes=3).wait()
    except hessview.errors.RunFailedError as error:
        failure = str(error)
    again_there = session.density(steps=1, probes=1).wait().sizes["step"]
    try:
        session.toy_norms(probs=3)
    except hessview.errors.InputError as error:
        refusal = str(error)
tree = hessview.open_runs(run_dir)
(again,) = (leaf.to_dataset() for leaf in tree.leaves if leaf.attrs["command"] == "toy_norms"
    and leaf.attrs["state"] == "done")
(section,) = page_state([again])["sections"]
from hessview.page.overviews import entry
from hessview.cli import main
print(json.dumps({
    "light": light, "asked": asked, "failure": failure, "after": again_there, "refusal": refusal,
    "norms": ds.norm.values.tolist(), "units": ds.norm.attrs["units"],
    "about": ds.attrs["about_operator"], "replayed": bool((ds == again).all().norm),
    "alpha": spectrum.alpha.values[0, :1].tolist(), "matrix": operator_name(ds.attrs),
    "form": dict(form()["operators"])["toy_doubling"],
    "entry": {name: entry([ds])[name] for name in ("kind", "label", "place")},
    "panel": {name: section["panels"][0][name] for name in ("kind", "title", "message")},
    "traces": [trace["meta"]["role"] for trace in section["panels"][0]["figure"]["data"]],
    "tile": section["tiles"][0], "unit": section["status"]["unit"],
    "view": hessview.views.toy_view(ds).layout.title.text,
}))
assert main(["report", run_dir, "--out", html]) == 0
for more in ([], ["--json"]):
    asked = ["plan", "toy_model", "--ranks", "2", "--operator", "toy_doubling"]
    assert main([*asked, "--steps", "3", *more]) == 0
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """Where another package is installed."""
    for name, text in FILES.items():
        path = tmp_path / "site" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "site"


def test_an_installed_package_adds_an_operator_and_a_measurement_by_one_entry_each(
    package, tmp_path
):
    html = tmp_path / "report.html"
    path = os.pathsep.join([str(package), *filter(None, [os.environ.get("PYTHONPATH")])])
    walked = subprocess.run(
        [sys.executable, "-c", WALK, str(tmp_path / "runs"), str(html)],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert walked.returncode == 0, walked.stderr
    first, *printed = walked.stdout.splitlines()
    seen = json.loads(first)
    assert seen["light"]
    assert seen["asked"] == ["toy_norms"]
    assert "toy_norms has no ['probs']" in seen["refusal"]
    assert "estimator 'toy_work:nothing' cannot be found (module 'toy_work'" in seen["failure"]
    assert seen["after"] == 1  # the job lives
    assert seen["norms"] == pytest.approx([2.0] * 3, rel=1e-14)
    assert seen["units"] == "loss"
    assert seen["replayed"]
    assert seen["about"] == "twice the identity, exact, for nothing"
    assert seen["alpha"] == pytest.approx([2.0], rel=1e-14)
    assert seen["matrix"] == "doubled identity"
    assert seen["form"] == "Twice the identity"
    assert seen["entry"] == {"kind": "Toy", "label": "3 probes", "place": 5}
    assert seen["panel"] == {"kind": "figure", "title": "Lengths of products", "message": ""}
    assert seen["traces"] == ["norms"]
    assert seen["tile"]["label"] == "Lengths"
    assert seen["tile"]["value"] == "3"
    assert seen["unit"] == "lengths"
    assert seen["view"] == "a toy"
    assert "'broken' is left out (ModuleNotFoundError" in walked.stderr
    report = html.read_text()
    assert "Lengths of products" in report
    assert "length of the product" in report  # of the table for where no script runs
    start = printed.index("{")
    plan, numbers = "\n".join(printed[:start]), json.loads("\n".join(printed[start:]))
    assert "what toy_doubling holds" not in plan  # it holds no bytes
    assert "- a toy, which toy_doubling holds" in plan
    # Two vectors of any product, and the 5 that the entry says are kept, of 8 bytes an element.
    assert numbers["memory"]["vectors"] == (2 + 5) * numbers["shard"] * 8
    assert numbers["gradients"] == [1 + 1 * (3 * 4 + 2 * 4)] * 2  # probes' steps, extremes anew


def test_what_is_registered_is_there_until_it_is_taken_out(package, monkeypatch):
    for path in package.glob("*.dist-info/*"):
        path.unlink()
    monkeypatch.syspath_prepend(package)
    facts = importlib.import_module("toy_facts")
    take_out = MEASUREMENTS.register("toy_norms", facts.MEASUREMENT)
    try:
        command = command_from_json({"command": "toy_norms", "probes": 2})
        assert command == facts.Norms(probes=2)
        assert list(MEASUREMENTS)[-1] == "toy_norms"
        assert measurement_in({"command": "toy_norms"}) is facts.MEASUREMENT
        with pytest.raises(InputError, match="measurement 'toy_norms' is there already"):
            MEASUREMENTS.register("toy_norms", facts.MEASUREMENT)
    finally:
        take_out()
        sys.modules.pop("toy_facts")
    with pytest.raises(InputError, match=r"command 'toy_norms' is unknown; use one of \['accur"):
        command_from_json({"command": "toy_norms"})
    with pytest.raises(RecordError, match="of a 'toy_norms', which is unknown here; install the"):
        measurement_in({"command": "toy_norms"})


@pytest.mark.parametrize(
    ("name", "entry", "text"),
    [
        ("hessian", OperatorFacts(name="hessian", implementation="a:B"), "is there already"),
        ("two words", OperatorFacts(name="two words", implementation="a:B"), "no identifier"),
        ("toy", OperatorFacts(name="other", implementation="a:B"), "its entry is named 'other'"),
        ("toy", OperatorFacts(name="toy"), "a OperatorFacts is no operator"),
        ("toy", "a:B", "a str is no operator"),
    ],
)
def test_what_is_no_entry_is_refused(name, entry, text):
    with pytest.raises(InputError, match=text):
        OPERATORS.register(name, entry)
    assert "toy" not in OPERATORS
    assert facts_of("toy") == OperatorFacts(name="toy", wording="toy")


def test_a_record_of_a_measurement_that_is_unknown_leaves_its_run_out():
    from hessview.record.collect import Collector
    from hessview.record.events import Event, RunQueued

    collector = Collector()
    queued = RunQueued(command={"command": "toy_norms"})
    with pytest.warns(RecordWarning, match="run 'a' is left out: its command cannot be read"):
        collector.add(Event(seq=1, time=0.0, job="job", run="a", payload=queued))
    assert collector.runs == []
