"""The dashboard in JupyterLab, on a real job of two ranks."""

import re

import numpy as np
import pytest

import hessview
from helpers.overlaps import OVERLAPS
from helpers.wire import Wire
from hessview.spectral import quadrature

pytestmark = [pytest.mark.browser, pytest.mark.ranks, pytest.mark.alone]

MEAN = """() => {
  const trace = document.querySelector(".hess-board .hess-plot")?._fullData?.find(
    (trace) => trace.meta.role === "mean");
  return trace ? [Array.from(trace.x), Array.from(trace.y)] : null;
}"""


# Runs when the test says so, until it says so.
BUSY = """\
import pathlib, time
while pathlib.Path("busy").exists():
    time.sleep(0.01)"""
RUN_LAST = """() => {
  const { content } = window.jupyterapp.shell.currentWidget;
  content.activeCellIndex = content.widgets.length - 1;
  void window.jupyterapp.commands.execute("notebook:run-cell");
}"""

CELL = """(text) => {
  const { content } = window.jupyterapp.shell.currentWidget;
  content.widgets.at(-1).model.sharedModel.setSource(text);
}"""
RESTART = "() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()"

# Ten updates a second, and the moments at which one of them has reached the page.
COUNT = """() => {
  window.seen = [];
  new MutationObserver(() => window.seen.push(performance.now()))
    .observe(document.querySelector(".hess-stand"), { childList: true, subtree: true });
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


def test_a_reload_shows_the_chosen_run_again_and_two_dashboards_agree(
    dashboard, jupyterlab, small_job, shots
):
    page, path = dashboard(
        "two",
        "first = session.density(steps=5, probes=1)\nfirst.wait()\n"
        "second = session.coupling(probes=2)\nds = second.wait()",
        "board = session.dashboard()\nboard",
    )
    one, two = page.locator(".hess-board").nth(0), page.locator(".hess-board").nth(1)
    two.locator("h2").get_by_text("Coupling · 2 blocks, 2 probes").wait_for(timeout=60_000)
    one.locator("h2").get_by_text("Coupling · 2 blocks, 2 probes").wait_for(timeout=20_000)
    two.get_by_role("radio", name="Density").check()
    two.locator("h2").get_by_text("Density · 5 steps × 1 probe").wait_for(timeout=20_000)
    assert one.locator("h2").get_by_text("Coupling").is_visible()
    jupyterlab.save(page)
    assert len(path.read_text()) < 200_000

    jupyterlab.open(page, path)
    two.locator("h2").get_by_text("Density · 5 steps × 1 probe").wait_for(timeout=60_000)
    one.locator("h2").get_by_text("Coupling · 2 blocks").wait_for(timeout=20_000)
    page.wait_for_function("() => document.querySelectorAll('.hess-plot')[1]?._fullData")
    page.locator(".hess-board").nth(1).scroll_into_view_if_needed()
    page.screenshot(path=shots / "dashboard_reloaded.png")


def test_a_page_that_was_cut_off_catches_up_and_one_whose_kernel_has_gone_says_so(
    dashboard, page, small_job, shots, until
):
    wire = Wire(page, "/channels")
    ask = "run = session.density(steps=40, probes={})\nrun"
    dashboard("gone", "session", ask.format(2))
    board = page.locator(".hess-board section:not(.hess-session) .hess-pill")
    view = page.locator(".jp-Cell").last.locator(".hessview")
    stand = view.locator(".hess-pill")
    for shown in (board, stand):
        shown.get_by_text("streaming").wait_for(timeout=60_000)

    def record():
        *_, run = hessview.open_runs(small_job.path).children.values()
        return run.attrs["state"]

    wire.lose()
    until(lambda: record() == "done", timeout=60)
    page.wait_for_timeout(500)
    assert [stand.text_content(), board.text_content()] == ["streaming"] * 2
    lines = page.locator(".hess-silence").filter(visible=True)
    until(lambda: lines.count() == 2, timeout=60)
    for text in lines.all_text_contents():
        assert text.startswith("This page is not being told anything: it asks every 3 seconds")
        assert text.endswith("Unless the kernel is busy, reload the page.")
    page.screenshot(path=shots / "dashboard_silence.png")
    wire.cut()
    wire.restore()
    for shown in (board, stand):
        shown.get_by_text("done").wait_for(timeout=60_000)
    until(lambda: lines.count() == 0, timeout=30)
    assert view.locator("dd strong").nth(4).text_content() == "80"

    page.evaluate(CELL, ask.format(20))
    page.evaluate(RUN_LAST)
    for shown in (board, stand):
        shown.get_by_text("streaming").wait_for(timeout=60_000)
    page.evaluate(RESTART)
    for shown in (board, stand):
        shown.get_by_text("detached").wait_for(timeout=60_000)
    assert page.locator(".hess-session .hess-pill").all_text_contents() == ["lost", "lost"]
    assert page.locator(".hess-go").is_disabled()
    assert page.locator(".hess-progress:visible").count() == 0
    page.screenshot(path=shots / "dashboard_gone.png")
    assert record() == "running"
    with hessview.attach(small_job.path, force=True) as session:
        session.runs[-1].cancel()


def test_it_keeps_up_and_cancels_while_the_kernel_is_busy(dashboard):
    page, path = dashboard("busy", "run = session.density(steps=150, probes=4)", BUSY)
    pill(page, "streaming")
    busy = path.parent / "busy"
    busy.touch()
    page.evaluate(RUN_LAST)
    page.locator(".jp-InputPrompt").get_by_text("[*]:").wait_for(timeout=20_000)
    page.evaluate(COUNT)
    page.wait_for_function("() => window.seen.length > 40", timeout=60_000)
    seen = np.array(page.evaluate("() => window.seen")) / 1e3
    rate = (len(seen) - 1) / (seen[-1] - seen[0])
    print(f"{rate:.1f} updates a second while the kernel is busy")
    page.get_by_role("button", name="Cancel").click()
    pill(page, "cancelled")
    assert page.locator(".jp-InputPrompt").get_by_text("[*]:").is_visible()
    busy.unlink()
    assert rate > 1  # ten on a machine of its own
