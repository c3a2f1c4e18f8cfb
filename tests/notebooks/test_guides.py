"""The code of the guides, run as it stands there."""

import os
import re
import subprocess
import sys

import pytest

import hessview
from helpers.folders import ROOT


@pytest.mark.parametrize(
    ("name", "steps"),
    [
        ("transformers", [0, 10, 20]),
        ("accelerate", [5, 10, 15, 20]),
        ("lightning", [0, 5, 10, 15, 20]),  # which our requirements do not bring
    ],
)
def test_code_of_a_guide_trains_and_measures(name, steps, tmp_path):
    if name == "lightning":
        pytest.importorskip(name)
    text = (ROOT / "notebooks" / "guides" / f"{name}.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    script = tmp_path / "train.py"
    script.write_text(code)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, script], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    runs = list(hessview.open_runs(tmp_path / "runs" / "curvature").leaves)
    assert [run.attrs["training_step"] for run in runs] == steps
    assert {run.attrs["state"] for run in runs} == {"done"}


def test_every_guide_is_named_in_the_readme():
    readme = (ROOT / "README.md").read_text()
    for path in (ROOT / "notebooks" / "guides").glob("*.md"):
        assert f"(notebooks/guides/{path.name})" in readme
