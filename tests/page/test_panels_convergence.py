"""Convergence of the extremes in Chromium: computed in the page, of any probe."""

import numpy as np
import pytest

from helpers.emulated import dataset
from helpers.overlaps import OVERLAPS
from helpers.page_module import CONVERGENCE, compare_convergence, mounted
from helpers.report_page import drawn, move
from hessview.page.state import page_state
from hessview.views.convergence import convergence

SYMBOLS = """() => Object.fromEntries(document.querySelectorAll(".hess-plot")[1]._fullData.map(
  (trace) => [trace.meta.role, trace.marker?.symbol]))"""


@pytest.mark.parametrize(
    ("options", "probe"),
    [
        ({"probes": 2, "steps": 24}, 1),
        ({"probes": 3, "steps": 20, "stop": 27, "end": ""}, 1),
        ({"probes": 1, "steps": 2}, 0),
        ({"probes": 1, "steps": 1}, 0),
        ({"probes": 1, "steps": 90}, 0),
    ],
)
def test_the_page_computes_what_numpy_computes(node, options, probe):
    ds = dataset(**options)
    (section,) = page_state([ds])["sections"]
    computed = node.evaluate(CONVERGENCE, [section["panels"], probe])
    compare_convergence(computed, convergence(ds, probe=probe))


@pytest.mark.browser
@pytest.mark.parametrize(("dark", "width"), [(False, 1180), (True, 1180), (False, 480)])
def test_the_panel_draws_a_probe_and_another(open_report, shots, dark, width):
    ds = dataset(probes=3, steps=24, stop=62, end="cancelled")
    page = open_report(ds, dark=dark, width=width)
    seen = drawn(page, 1)
    expected = convergence(ds)
    for role in (0, 1, 2, 3):
        trace = expected.data[role]
        np.testing.assert_allclose(seen[trace.meta["role"]]["y"], trace.y, rtol=1e-6, atol=1e-11)
    assert list(page.evaluate(SYMBOLS)["largest"]) == list(expected.data[0].marker.symbol)
    page.screenshot(
        path=shots / f"convergence_{'dark' if dark else 'light'}_{width}.png", full_page=True
    )
    assert page.evaluate(OVERLAPS) == []
    move(page, "Probe", 2, place=1)
    other = convergence(ds, probe=2).data[0]
    np.testing.assert_allclose(drawn(page, 1)["largest"]["y"], other.y, rtol=1e-6, atol=1e-11)
    assert page.get_by_text("3, 14 steps").is_visible()
    page.get_by_role("button", name="furthest").click()
    page.get_by_text("1, 24 steps").wait_for()


GROWS = mounted("""
  const told = [];
  for (const state of states) {
    await frame();
    const began = performance.now();
    view.update(state);
    told.push(performance.now() - began);
  }
  await frame();
  const [, plot] = host.querySelectorAll(".hess-plot");
  return { told, y: Array.from(plot._fullData[0].y) };
""")


@pytest.mark.browser
def test_a_live_run_adds_steps_and_computes_no_step_twice(exports):
    """Of 20 probes with 200 steps, one that arrives costs milliseconds."""
    whole = dataset(probes=20, steps=200)
    count = whole.alpha.copy(data=np.arange(4000).reshape(20, 200))
    live = [whole.where(count < n).assign_attrs(state="running") for n in (3990, 3991, 3992)]
    found = exports.evaluate(GROWS, [[page_state([ds]) for ds in live]])
    print("20 probes x 200 steps: a new step takes the page", found["told"], "ms")
    np.testing.assert_allclose(
        np.array(found["y"], dtype=float), convergence(live[-1]).data[0].y, rtol=1e-6, atol=1e-11
    )


@pytest.mark.browser
@pytest.mark.parametrize("width", [1180, 480])
def test_one_step_is_tidy(open_report, shots, width):
    page = open_report(dataset(probes=1, steps=1), width=width)
    drawn(page, 1)
    assert page.evaluate(OVERLAPS) == []
    ticks = page.locator(".hess-plot").nth(1).locator(".y3tick text").all_text_contents()
    assert all(len(text.replace("\u200b", "")) < 6 for text in ticks), ticks
    said = page.locator(".hess-facts").first.text_content()
    assert "too few steps to tell what lies above (1 probe of 1 step)" in said
    page.screenshot(path=shots / f"one_step_{width}.png", full_page=True)
