"""The dashboard inside layouts of ipywidgets and of Panel, in JupyterLab."""

import numpy as np
import pytest

import hessview
from helpers.emulated import dataset
from helpers.folders import TESTS
from hessview.spectral import quadrature

pytestmark = pytest.mark.browser

MADE = f"""\
import sys; sys.path.insert(0, {str(TESTS)!r})
import hessview, ipywidgets, panel
from helpers.emulated import dataset
panel.extension(inline=True)  # without a network
board = hessview.dashboard(dataset(probes=2, steps=20))"""
BOX = "ipywidgets.VBox([ipywidgets.HTML('above'), board, ipywidgets.IntSlider()])"
COLUMN = "panel.Column('above', panel.pane.IPyWidget(board), panel.widgets.IntSlider())"
TABS = "panel.Tabs(('first', 'text'), ('spectra', panel.pane.IPyWidget(board)))"
DRAWN = """(board) => {
  const traces = board.querySelector(".hess-plot")?._fullData;
  const mean = traces?.find((trace) => trace.meta.role === "mean");
  return mean ? [Array.from(mean.x), Array.from(mean.y)] : null;
}"""


def test_it_has_its_width_and_its_curve_in_every_layout(open_notebook, shots, until):
    page, _ = open_notebook("inside", [MADE, BOX, COLUMN, TABS], height=1400)
    ds = dataset(probes=2, steps=20)
    found = hessview.ritz(ds)
    sigma = quadrature.default_sigma(found.node.values, 20)
    for place, name in ((1, "box"), (2, "column"), (3, "tabs")):
        cell = page.locator(".jp-Cell").nth(place)
        board = cell.locator(".hess-board")
        board.wait_for(timeout=60_000, state="attached")
        if name == "tabs":
            cell.locator(".bk-tab").get_by_text("spectra").click()
        cell.evaluate("(cell) => cell.scrollIntoView()")
        until(lambda board=board: board.evaluate(DRAWN), timeout=60)
        page.screenshot(path=shots / f"inside_{name}.png")
        assert board.bounding_box()["width"] > 700
        x, y = np.array(board.evaluate(DRAWN))
        nodes_weights = zip(found.node.values, found.weight.values, strict=True)
        rows = [quadrature.density(*probe, x, sigma=sigma) for probe in nodes_weights]
        seen = y > y.min() * 1.001
        assert seen.sum() > 100
        np.testing.assert_allclose(y[seen], np.mean(rows, axis=0)[seen], rtol=1e-6)
