"""The code that CONTRIBUTING.md walks through, run as it stands there."""

import json
import os
import re
import subprocess
import sys
import tomllib

import pytest

import hessview
from helpers.folders import ROOT

TEXT = (ROOT / "CONTRIBUTING.md").read_text()

OBJECTIVE = """
import torch
from torch import nn

import hessview


def build():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 1)).double()
    batches = [torch.randn(6, 4, dtype=torch.float64) for _ in range(2)]
    return hessview.Objective(
        module, lambda module, batch: (module(batch).square().sum(), len(batch)), batches
    )
"""

WALK = """
import json, sys
import numpy as np
import hessview
from hessview.page.report import report
from objective import build

dense = {}
for name in ("exact", "damped_hessian"):
    op = hessview.operator(build(), name)
    dense[name] = op @ np.eye(op.shape[0])
difference = dense["damped_hessian"] - dense["exact"] - 0.25 * np.eye(len(dense["exact"]))
with hessview.local(build()) as session:
    ds = session.forms(probes=400).wait()
    half = session.forms(probes=4, operator="damped_hessian").wait()
    names = list(session.operators)
    path = hessview.report(session, sys.argv[1])
found = hessview.summary(ds)
print(json.dumps({
    "off": float(np.abs(difference).max()),
    "mean": float(np.trace(dense["exact"])) / len(dense["exact"]),
    "value": float(found.value[0]), "uncertainty": float(found.uncertainty[0]),
    "printed": repr(found), "names": names,
    "shift": (half.form - ds.form.isel(probe=slice(4))).values.tolist(),
    "roles": [trace.meta["role"] for trace in hessview.views.forms(ds).data],
}))
"""


def blocks(language):
    """Fenced code by the file that its first line names; of one file, one behind the other."""
    files = {}
    for code in re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL):
        first, _, rest = code.partition("\n")
        name = first.removeprefix("# ")
        files[name] = files.get(name, "") + rest + "\n\n"
    return files


@pytest.fixture(scope="module")
def walked(tmp_path_factory):
    site = tmp_path_factory.mktemp("site")
    files = blocks("python") | {"objective.py": OBJECTIVE, "curvature_extras/__init__.py": ""}
    points = tomllib.loads(blocks("toml")["pyproject.toml"])["project"]["entry-points"]
    lines = []
    for group, entries in points.items():
        lines += [f"[{group}]", *(f"{name} = {where}" for name, where in entries.items())]
    files |= {
        "extras-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: extras\nVersion: 1.0\n",
        "extras-1.0.dist-info/entry_points.txt": "\n".join(lines),
    }
    for name, text in files.items():
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_text(text)
    path = os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])
    report = site / "report.html"
    done = subprocess.run(
        [sys.executable, "-c", WALK, str(report)],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1]), report.read_text()


def test_the_operator_is_the_matrix_that_it_says(walked):
    seen, _ = walked
    assert seen["off"] < 1e-8
    assert "damped_hessian" in seen["names"]
    assert seen["shift"] == pytest.approx([0.25] * 4, rel=1e-6)


def test_the_estimators_mean_is_the_mean_eigenvalue_within_its_error(walked):
    seen, _ = walked
    assert 0 < seen["uncertainty"] < abs(seen["mean"])
    assert abs(seen["value"] - seen["mean"]) < 1.5 * seen["uncertainty"]
    assert "mean eigenvalue" in seen["printed"]
    assert "Student's t over 400 probes" in seen["printed"]


def test_the_view_draws_and_the_report_shows_it(walked):
    seen, report = walked
    assert seen["roles"] == ["forms"]
    assert "Quadratic forms of random probes" in report


def test_every_path_that_it_names_is_there():
    folders = "tests|record|operators|session|job|transport"
    named = set(re.findall(rf"`((?:{folders})/[\w/.]*)`", TEXT))
    assert named
    for name in named:
        where = [ROOT / name, ROOT / "hessview" / name, ROOT / "hessview" / f"{name}.py"]
        assert "/a/" in name or any(path.exists() for path in where), name


def test_what_is_cited_is_the_newest_release():
    cited = (ROOT / "CITATION.cff").read_text()
    newest = re.search(r"^## \[(\d.*?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert f"\nversion: {newest[1]}\n" in cited
    assert hessview.__version__ == newest[1] or ".dev" in hessview.__version__
