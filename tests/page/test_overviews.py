"""Comparison and training on a dashboard, in Chromium: a board of emulated runs, and its page."""

import queue
import re
import time

import numpy as np
import pytest

from helpers.accessible import problems
from helpers.emulated import LiveRun, dataset
from helpers.overlaps import OVERLAPS
from helpers.trained import run_of
from hessview.analysis.training import join_training as join
from hessview.page.board import Board
from hessview.page.module import module
from hessview.page.overviews import overviews
from hessview.views.compare import compare
from hessview.views.training import training

MOUNT = """async ([source, board]) => {
  const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  const { merged, mountDashboard } = await import(url);
  document.body.style.margin = 0;
  const shown = mountDashboard(document.body, board, { send: toBoard, onChoice() {} });
  window.told = (message) => shown.update(board = merged(board, message));
}"""
DRAWN = """() => (document.querySelector(".hess-plot")?._fullData ?? []).map((trace) => ({
  y: Array.from(trace.y ?? []), z: (trace.z ?? []).map((row) => Array.from(row)) }))"""


@pytest.fixture
def shown(new_context):
    """Show a board on a page; gives the page, and how to tell it what happens until it draws."""
    boards = []

    def run(board, *, dark):
        boards.append(board)
        heard = queue.Queue()
        board.listen(heard.put)
        page = new_context(
            viewport={"width": 1100, "height": 1250},
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce",
        ).new_page()
        page.set_content("<!doctype html><title>Dashboard</title>")
        page.expose_function("toBoard", board.take)
        state = {"head": board.head, "parts": board.parts}
        page.evaluate(MOUNT, [module(), state])

        def until(condition):
            deadline = time.monotonic() + 60
            while not condition(drawn := page.evaluate(DRAWN)):
                assert time.monotonic() < deadline, "it is never drawn"
                try:
                    page.evaluate("(message) => told(message)", heard.get(timeout=0.05))
                except queue.Empty:
                    continue
            return drawn

        return page, until

    yield run
    for board in boards:
        board.close()


def assert_compares(drawn, runs):
    for own, trace in zip(drawn, compare(runs).data, strict=True):
        np.testing.assert_allclose(own["y"], trace.y, rtol=1e-6)


@pytest.mark.browser
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_dashboard_compares_runs_and_follows_a_training(shown, shots, dark):
    name = "dark" if dark else "light"
    runs = [dataset("a", probes=2, steps=20), dataset("b", probes=3, steps=16, seed=2)]
    trained = [run_of(0), run_of(50)]
    live = LiveRun(seconds=0.005, pause=15, probes=2, steps=20, seed=3)
    page, until = shown(board := Board(runs=[*runs, *trained, live]), dark=dark)
    kinds = page.locator(".hess-list .hess-choice").first.locator("span")
    assert kinds.all_text_contents() == ["Comparison", "Training 1", "Density 5"]

    page.get_by_role("radio", name="Comparison").check()
    assert_compares(until(lambda drawn: len(drawn) == 2), runs)
    live.start()
    until(lambda _: board.parts["4"]["entry"]["status"]["done"] > 5)
    assert_compares(page.evaluate(DRAWN), runs)  # one that runs is not compared yet
    live.go_on()
    assert_compares(until(lambda drawn: len(drawn) == 3), [*runs, live.dataset])
    page.get_by_role("heading", name="Comparison · 3 density runs").wait_for()
    page.screenshot(path=shots / f"dashboard_comparison_{name}.png")
    assert page.evaluate(OVERLAPS) == []
    assert page.get_by_role("button", name="Cancel").count() == 0

    page.get_by_role("radio", name="Training").check()
    drawn = until(lambda drawn: drawn and drawn[0]["z"])
    wanted = training(join(trained)).data[0]
    np.testing.assert_allclose(np.array(drawn[0]["z"], dtype=float), wanted.z, rtol=1e-6)
    page.get_by_role("heading", name="Training · 2 steps, 0 to 50").wait_for()
    page.screenshot(path=shots / f"dashboard_training_{name}.png", full_page=True)
    assert problems(page) == []


@pytest.mark.parametrize(
    ("count", "told"), [(2, ", seed 1$"), (4, ", seed 3$"), (5, ", seed 3, and 1 more$")]
)
def test_a_comparison_names_four_runs_and_sums_the_others_up(count, told):
    runs = {str(seed): dataset(str(seed), probes=1, steps=4, seed=seed) for seed in range(count)}
    (found,) = overviews(runs).values()
    assert found.entry["label"] == f"{count} density runs"
    assert re.search(told, found.entry["detail"])
    assert found.entry["detail"].startswith("seed 0, seed 1")
