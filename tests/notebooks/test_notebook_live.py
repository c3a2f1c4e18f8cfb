"""Notebooks in JupyterLab that follow a real job of two ranks, whatever becomes of a kernel."""

import os
import re
import signal

import numpy as np
import pytest

import hessview
from helpers.shell_job import HESSVIEW, ShellJob
from hessview.spectral import quadrature

pytestmark = [pytest.mark.browser, pytest.mark.ranks]

STEPS, PROBES = 30, 6
MEAN = """() => {
  const trace = document.querySelector(".hess-plot")._fullData.find(
    (trace) => trace.meta.role === "mean");
  return [Array.from(trace.x), Array.from(trace.y)];
}"""


@pytest.fixture
def job(tmp_path):
    made = ShellJob(tmp_path, HESSVIEW, "launch", "small:slow")
    try:
        yield made.wait_until_ready()
    finally:
        made.end()


def record(path):
    """Dataset of the one run that was asked for."""
    (run,) = hessview.open_runs(path).children.values()
    return run.to_dataset()


def test_a_second_notebook_goes_on_where_the_first_kernel_was_killed(
    job, open_notebook, shots, tmp_path
):
    attach = f"import hessview\nsession = hessview.attach({str(job.path)!r})"
    pid_file = tmp_path / "pid"
    page, _ = open_notebook(
        "first",
        [
            f"{attach}\nimport os, pathlib\n"
            f"pathlib.Path({str(pid_file)!r}).write_text(str(os.getpid()))",
            f"run = session.density(steps={STEPS}, probes={PROBES})\nrun",
            "ds = run.wait()",
        ],
    )
    pill = page.locator(".hessview .hess-pill")
    pill.filter(has_text="streaming").wait_for(timeout=90_000)
    page.locator(".hess-key").get_by_text(re.compile(r"probe \d, at step")).wait_for(timeout=60_000)
    page.screenshot(path=shots / "notebook_first.png")

    os.kill(int(pid_file.read_text()), signal.SIGKILL)
    assert record(job.path).attrs["state"] == "running"

    page, _ = open_notebook("second", [attach, "run = session.runs[-1]\nrun", "ds = run.wait()"])
    pill = page.locator(".hessview .hess-pill")
    pill.filter(has_text="done").wait_for(timeout=120_000)
    page.locator(".hess-key").get_by_text(f"mean of {PROBES} probes").wait_for(timeout=10_000)
    page.screenshot(path=shots / "notebook_second.png")

    ds = record(job.path)
    assert ds.attrs["state"] == "done"
    assert np.isfinite(ds.alpha).all()
    x, y = (np.array(values) for values in page.evaluate(MEAN))
    found = hessview.ritz(ds)
    sigma = quadrature.default_sigma(found.node.values, STEPS)
    expected = np.mean(
        [
            quadrature.density(node, weight, x, sigma=sigma)
            for node, weight in zip(found.node.values, found.weight.values, strict=True)
        ],
        axis=0,
    )
    seen = y > y.min() * 1.001  # the rest lies under the floor of the logarithmic axis
    assert seen.sum() > 100
    np.testing.assert_allclose(y[seen], expected[seen], rtol=1e-6)
