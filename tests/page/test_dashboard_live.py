"""The dashboard in JupyterLab, on a real job of two ranks."""

import re

import numpy as np
import pytest
from overlaps import OVERLAPS

import hessview
from hessview.spectral import quadrature

pytestmark = [pytest.mark.browser, pytest.mark.ranks]

MEAN = """() => {
  const trace = document.querySelector(".hess-board .hess-plot")?._fullData?.find(
    (trace) => trace.meta.role === "mean");
  return trace ? [Array.from(trace.x), Array.from(trace.y)] : null;
}"""


@pytest.fixture
def dashboard(small_job, open_notebook):
    """A notebook with an attached session and its dashboard, and then these cells."""

    def run(name, *cells):
        attach = f"import hessview\nsession = hessview.attach({str(small_job.path)!r}, force=True)"
        return open_notebook(name, [attach, "session.dashboard()", *cells], height=1500)

    return run


def pill(page, text):
    shown = page.locator(".hess-board section:not(.hess-session) .hess-pill")
    shown.filter(has_text=re.compile(text)).wait_for(timeout=60_000)


def test_runs_of_any_cell_and_of_the_page_appear(dashboard, small_job, shots):
    page, _ = dashboard("board", "run = session.density(steps=20, probes=3)", "ds = run.wait()")
    pill(page, "streaming")
    page.screenshot(path=shots / "dashboard_streaming.png")
    pill(page, "done")
    page.screenshot(path=shots / "dashboard_done.png")
    assert page.evaluate(OVERLAPS) == []
    x, y = (np.array(values) for values in page.evaluate(MEAN))
    record = hessview.open_runs(small_job.path)
    ds = list(record.children.values())[-1].to_dataset()
    found = hessview.ritz(ds)
    sigma = quadrature.default_sigma(found.node.values, 20)
    expected = np.mean(
        [
            quadrature.density(node, weight, x, sigma=sigma)
            for node, weight in zip(found.node.values, found.weight.values, strict=True)
        ],
        axis=0,
    )
    seen = y > y.min() * 1.001
    assert seen.sum() > 100
    np.testing.assert_allclose(y[seen], expected[seen], rtol=1e-6)

    page.get_by_text("Measure a spectral density").click()
    page.get_by_role("textbox", name="Lanczos steps").fill("0")
    page.get_by_role("button", name="Measure", exact=True).click()
    page.locator(".hess-notice").get_by_text("steps=0 is not allowed").wait_for(timeout=20_000)
    page.screenshot(path=shots / "dashboard_notice.png")
    page.get_by_role("textbox", name="Lanczos steps").fill("60")
    page.get_by_role("button", name="Measure", exact=True).click()
    page.locator(".hess-run").get_by_text("60 steps").wait_for(timeout=20_000)
    pill(page, "streaming")
    page.get_by_role("button", name="Cancel").click()
    pill(page, "cancelled")
    page.screenshot(path=shots / "dashboard_cancelled.png")
