"""The widget in a real JupyterLab, fed by a run that arrives from a thread."""

import json
import re

import numpy as np
import pytest

from helpers.emulated import dataset
from helpers.folders import TESTS
from helpers.overlaps import OVERLAPS
from hessview.analysis.ritz import ritz
from hessview.spectral import quadrature

pytestmark = pytest.mark.browser

LIVE = f"""\
import sys; sys.path.insert(0, {str(TESTS)!r})
from helpers.emulated import LiveRun
from hessview.page.widget import view
run = LiveRun(probes=3, steps=24, seconds=0.03, pause=34)
shown = view(run)
shown"""

# The kernel is busy until the test has seen enough of the second probe.
BUSY = """\
import pathlib, time
while not pathlib.Path({!r}).exists():
    time.sleep(0.02)
run.go_on()
run.join(); assert shown.wait(10)"""

CURVES = """() => Object.fromEntries(document.querySelector(".hess-plot")._fullData.map(
  (trace) => [trace.meta.role, {x: Array.from(trace.x ?? []), y: Array.from(trace.y ?? [])}]))"""


def plotted_mean(ds, x, sigma):
    found = ritz(ds)
    rows = [
        quadrature.density(node, weight, x, sigma=sigma)
        for node, weight in zip(found.node.values, found.weight.values, strict=True)
    ]
    return np.mean(rows, axis=0)


def test_a_run_streams_into_the_notebook_and_ends_as_done(open_notebook, jupyterlab, shots):
    page, path = open_notebook("live", [LIVE, "_ = run.start()", BUSY.format("seen")])
    pill = page.locator(".hessview .hess-pill")
    pill.filter(has_text=re.compile("queued|streaming")).wait_for(timeout=60_000)
    pill.filter(has_text="streaming").wait_for(timeout=30_000)
    page.locator(".hess-key").get_by_text("probe 2, at step 9").wait_for(timeout=60_000)
    page.screenshot(path=shots / "jupyterlab_streaming.png")

    # The kernel is busy with the last cell, and the slider still moves the curve.
    before = page.locator(".hessview output").first.text_content()
    page.locator(".hessview input[type=range]").first.fill("0.5")
    page.wait_for_function(
        f"() => document.querySelector('.hessview output').textContent !== {json.dumps(before)}"
    )

    (path.parent / "seen").touch()
    pill.filter(has_text="done").wait_for(timeout=60_000)
    assert page.locator(".hess-progress").is_hidden()
    page.locator(".hess-key").get_by_text("mean of 3 probes").wait_for(timeout=10_000)
    assert page.locator(".hessview input[type=range]").first.input_value() == "0.5"
    page.locator(".hessview").get_by_role("button", name="auto").first.click()
    page.wait_for_function("() => document.querySelector('.hessview button.hess-quiet')?.disabled")

    mean = page.evaluate(CURVES)["mean"]
    x, y = np.array(mean["x"]), np.array(mean["y"])
    ds = dataset(probes=3, steps=24)
    sigma = quadrature.default_sigma(ritz(ds).node.values, 24)
    expected = plotted_mean(ds, x, sigma)
    seen = y > y.min() * 1.001
    assert seen.sum() > 100
    np.testing.assert_allclose(y[seen], expected[seen], rtol=1e-6)
    page.screenshot(path=shots / "jupyterlab_done.png")

    # Nobody's window.Plotly is touched, and the saved notebook is small and still shows the end.
    assert page.evaluate("() => !('Plotly' in window)")
    jupyterlab.save(page)
    saved = path.read_text()
    assert len(saved) < 100_000
    (output,) = json.loads(saved)["cells"][0]["outputs"]
    assert "application/vnd.jupyter.widget-view+json" in output["data"]
    assert "<svg" in "".join(output["data"]["text/html"])
    assert "done, 72 of 72 steps" in "".join(output["data"]["text/html"])


STILL = f"""\
import sys; sys.path.insert(0, {str(TESTS)!r})
from helpers.emulated import dataset
from hessview.page.widget import view
view(dataset(probes=3, steps=24, stop=60, end="failed", error="rank 1 was killed."))"""


def test_the_page_keeps_to_itself_among_jupyterlabs_styles(open_notebook, shots):
    page, _ = open_notebook("still", [STILL])
    page.wait_for_function("() => document.querySelector('.hess-plot')?._fullData", timeout=60_000)
    assert page.evaluate(OVERLAPS) == []
    page.screenshot(path=shots / "jupyterlab_light.png")

    page.evaluate(
        "() => window.jupyterapp.commands.execute("
        "'apputils:change-theme', { theme: 'JupyterLab Dark' })"
    )
    page.locator(".hessview[data-theme=dark]").wait_for(timeout=20_000)
    page.wait_for_function(
        "() => document.querySelector('.hess-plot')._fullData[2].line.color === '#7fabff'"
    )
    page.screenshot(path=shots / "jupyterlab_dark.png")

    page.evaluate("() => window.jupyterapp.commands.execute('application:toggle-left-area')")
    page.set_viewport_size({"width": 560, "height": 1300})
    page.wait_for_function("() => document.querySelector('.hess-plot')._fullLayout.width < 440")
    assert page.evaluate(OVERLAPS) == []
    page.screenshot(path=shots / "jupyterlab_narrow.png")

    # Arrow keys belong to the slider here, not to the notebook.
    before = page.locator(".hessview output").first.text_content()
    page.locator(".hessview input[type=range]").first.press("ArrowRight")
    page.wait_for_function(
        f"() => document.querySelector('.hessview output').textContent !== {json.dumps(before)}"
    )


def test_a_reloaded_page_shows_the_run_again(open_notebook, jupyterlab):
    page, path = open_notebook("reload", [STILL])
    drawn = "() => document.querySelector('.hess-plot')?._fullData"
    pill = page.locator(".hess-pill").filter(has_text="failed")
    pill.wait_for(timeout=60_000)
    page.wait_for_function(drawn, timeout=20_000)
    before = page.evaluate(CURVES)
    assert np.isfinite(before["mean"]["y"]).all()
    jupyterlab.save(page)
    jupyterlab.open(page, path)
    pill.wait_for(timeout=60_000)
    page.wait_for_function(drawn, timeout=20_000)
    assert page.evaluate(CURVES) == before


# Saves and reloads without waiting for the kernel, which is busy.
SAVE = "() => window.jupyterapp.commands.execute('docmanager:save')"


def test_a_page_that_is_reloaded_while_the_kernel_is_busy_follows_once_it_answers(open_notebook):
    page, path = open_notebook("reload_busy", [LIVE, "_ = run.start()", BUSY.format("seen busy")])
    pill = page.locator(".hessview .hess-pill")
    pill.filter(has_text="streaming").wait_for(timeout=60_000)
    page.locator(".jp-InputPrompt").get_by_text("[*]:").wait_for(timeout=20_000)
    page.evaluate(SAVE)
    page.reload()
    # JupyterLab makes no widget before the kernel has told its version: after the cell.
    page.get_by_text("Loading widget...").wait_for(timeout=120_000)
    (path.parent / "seen busy").touch()
    pill.filter(has_text="done").wait_for(timeout=120_000)
    page.locator(".hess-key").get_by_text("mean of 3 probes").wait_for(timeout=30_000)
    assert page.locator(".hess-silence").is_hidden()
