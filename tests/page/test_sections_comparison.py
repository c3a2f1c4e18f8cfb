"""Comparison of density runs on a page: overlay, table, and controls that need no kernel."""

import json

import numpy as np
import pytest

from helpers.emulated import dataset
from helpers.overlaps import OVERLAPS
from helpers.page_module import COMPARISON
from helpers.report_page import drawn, move
from helpers.trained import run_of
from hessview.analysis.compare import comparison
from hessview.page.sections import comparison_sections
from hessview.page.state import page_state
from hessview.views import broadening
from hessview.views.compare import compare


def runs():
    first = dataset("a", probes=2, steps=24)
    other = dataset("b", probes=3, steps=16, seed=2, stop=35, end="failed", error="rank 1 ended.")
    third = dataset("c", probes=2, steps=24, stop=9, end="")
    return [first, other.assign_attrs(operator="gauss_newton"), third]


def panel(given):
    (section,) = comparison_sections(given)
    (found,) = section["panels"]
    return found


@pytest.mark.parametrize("axis", broadening.AXES)
@pytest.mark.parametrize("sigma", [None, 0.3])
def test_the_page_computes_what_numpy_computes(node, axis, sigma):
    given = runs()
    computed = node.evaluate(COMPARISON, [panel(given), axis, sigma, []])
    figure = compare(given, axis=axis, sigma=sigma)
    for own, trace in zip(computed["traces"], figure.data, strict=True):
        np.testing.assert_allclose(own["x"], trace.x, rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(own["y"], trace.y, rtol=1e-6)
    assert computed["sigma"] == pytest.approx(figure.layout.meta["sigma"])
    np.testing.assert_allclose(computed["yaxis"]["range"], figure.layout.yaxis.range, rtol=1e-6)
    assert computed["edge"] == pytest.approx(figure.layout.shapes[0].x1)


@pytest.mark.browser
@pytest.mark.parametrize(("dark", "width"), [(False, 1180), (True, 1180), (False, 480)])
def test_a_page_of_several_densities_begins_with_their_comparison(open_report, shots, dark, width):
    given = runs()
    page = open_report(given, dark=dark, width=width)
    assert page.locator(".hessview h2").first.text_content() == "Comparison"
    ys = "() => document.querySelector('.hess-plot')._fullData.map((trace) => Array.from(trace.y))"
    drawn(page)
    for own, trace in zip(page.evaluate(ys), compare(given).data, strict=True):
        np.testing.assert_allclose(own, trace.y, rtol=1e-6)
    page.screenshot(path=shots / f"comparison_{'dark' if dark else 'light'}_{width}.png")
    assert page.evaluate(OVERLAPS) == []
    _, apart = comparison(given)
    cells = page.locator(".hess-picked").first.locator("tbody tr")
    assert cells.count() == 3
    assert cells.nth(1).locator("th").text_content() == str(apart.run.values[1])
    text, _, interval = cells.nth(1).locator("td").first.text_content().partition(" (")
    assert float(text) == pytest.approx(float(apart.distance[1]), rel=0.05)
    assert " – " in interval
    assert "differs in operator" in cells.nth(1).text_content()
    page.get_by_role("checkbox", name="Run hessian").first.press("Space")
    page.wait_for_function(
        "() => document.querySelector('.hess-plot')._fullData.filter((one) => one.visible).length"
        " < 3 || !document.querySelector('.hess-plot')._fullData[0].y?.length"
    )
    move(page, "Kernel width σ", 0.5)


def test_it_appears_with_the_second_run_and_says_what_is_left_out():
    one, nothing = dataset("a", probes=1, steps=8), dataset("b", stop=-1, end="")
    assert page_state([one])["comparisons"] == []
    assert page_state([nothing, nothing.assign_attrs(run="c")])["comparisons"] == []
    (section,) = page_state([one, nothing])["comparisons"]
    assert section["subtitle"] == "2 density runs · 1 of them left out: nothing is measured"
    assert [run["label"] for run in section["panels"][0]["runs"]] == ["run a"]


def test_beside_a_training_the_other_densities_are_compared():
    others = runs()
    state = page_state([run_of(0), others[0], run_of(10), *others[1:]])
    (section,) = state["comparisons"]
    assert len(state["trainings"]) == 1
    labels = [run["label"] for run in panel(others)["runs"]]
    assert [(run["label"], run["at"]) for run in section["panels"][0]["runs"]] == list(
        zip(labels, (1, 3, 4), strict=True)
    )
    assert [state["sections"][at]["id"] for at in (1, 3, 4)] == ["a", "b", "c"]
    assert page_state([run_of(0), others[0], run_of(10)])["comparisons"] == []


def test_coefficients_cross_once():
    given = [dataset(str(n), probes=2, steps=8, seed=n) for n in range(2)]
    text = json.dumps(page_state(given))
    assert all(text.count(str(float(ds.alpha[0, 0]))) == 1 for ds in given)


def test_a_page_of_several_runs_stays_small():
    given = [dataset(str(n), probes=4, steps=64, seed=n) for n in range(4)]
    assert len(json.dumps(page_state(given, final=True))) < 400_000
