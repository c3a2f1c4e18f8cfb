"""Copies of eigenvalues, of runs that gave up old vectors: the page draws what Python draws."""

import json

import numpy as np
import pytest

from helpers.emulated import OUTLIERS, dataset
from helpers.every_command import dataset_of
from helpers.overlaps import OVERLAPS
from helpers.page_module import (
    COMPARISON,
    CONVERGENCE,
    DENSITY,
    SWEEP,
    TRAINING,
    compare_convergence,
    compare_density,
    mounted,
)
from helpers.report_page import drawn, move
from helpers.trained import run_of
from hessview.analysis.ritz import copies_in, ritz
from hessview.analysis.training import join_training as join
from hessview.page.sections import comparison_sections
from hessview.page.state import page_state
from hessview.page.static_html import fallback
from hessview.spectral import quadrature
from hessview.views import broadening
from hessview.views.compare import compare
from hessview.views.convergence import convergence
from hessview.views.density import density
from hessview.views.sweep import sweep
from hessview.views.training import training

KEPT = ["none", 3]
ALIKE = 1e-8
"""Share of the largest eigenvalue below which residuals differ: where Ritz values agree in all
digits, rounding decides how their vectors mix, by up to the root of its size."""


def with_copies(**options):
    return dataset(**{"probes": 3, "steps": 40, "reorthogonalize": "none"} | options)


def panel(ds, place=0):
    return page_state([ds])["sections"][0]["panels"][place]


def raw(panel):
    """The panel as it was before the page was told of copies."""
    return {**panel, "probes": [{**probe, "merged": []} for probe in panel["probes"]]}


def test_what_is_whole_has_no_copies_and_says_nothing_of_them():
    text = json.dumps(page_state([dataset(probes=3, steps=40)]))
    assert "merged" not in text
    assert "merged" not in json.dumps(page_state([with_copies(reorthogonalize=40)]))  # keeps all


ROWS = "([panel, steps]) => page.drawnRows(panel, { steps }).rows"


@pytest.mark.parametrize("kept", KEPT)
@pytest.mark.parametrize("steps", [40, 37, 20, 2])
def test_the_page_merges_what_python_merges(node, kept, steps):
    ds = with_copies(reorthogonalize=kept)
    found = ritz(ds, steps=steps)
    assert (copies_in(found) > 20) == (steps > 20)  # there are copies, or nothing is tried
    rows = node.evaluate(ROWS, [panel(ds), steps])
    for place, row in enumerate(rows):
        one = found.isel(probe=place).dropna("position")
        for name, values, atol in (
            ("nodes", one.node, 1e-11),
            ("weights", one.weight, 1e-12),
            ("residuals", one.residual, ALIKE * OUTLIERS[0]),
        ):
            np.testing.assert_allclose(row[name], values, rtol=1e-6, atol=atol, err_msg=name)
        assert row["copies"] == one.copies.values.tolist()
    tops = np.sort(rows[0]["nodes"])[::-1][:5]
    if steps == 40:  # each of the matrix' eigenvalues is there once
        np.testing.assert_allclose(tops, OUTLIERS[:5], rtol=1e-9)
        assert abs(quadrature.ritz(ds.alpha[0], ds.beta[0]).nodes[-2] - OUTLIERS[0]) < 1e-6


@pytest.mark.parametrize("axis", broadening.AXES)
@pytest.mark.parametrize(
    ("stop", "end", "steps", "probes"),
    [
        (None, "done", None, None),
        (None, "done", 33, [0, 2]),
        (75, "", None, None),
        (75, "", 37, None),
        (35, "failed", None, None),
    ],
)
def test_a_density_has_each_eigenvalue_once(node, axis, stop, end, steps, probes):
    ds = with_copies(stop=stop, end=end)
    given = panel(ds)
    out = [one for one in range(3) if probes is not None and one not in probes]
    asked = [axis, steps, out]
    computed = node.evaluate(DENSITY, [given, *asked])
    figure = density(ds, steps=steps, probes=probes, axis=axis)
    compare_density(computed, figure)
    before = node.evaluate(DENSITY, [raw(given), *asked])
    stems = [len(one["traces"]["stems"]["x"]) for one in (computed, before)]
    assert stems[0] < stems[1]
    said = [*figure.data[5].customdata[:, 5], *figure.data[6].customdata[:, 5]]
    assert any("copies merged" in text for text in said)


HEADS = """([panel]) => Object.values(page.arrays(page.drawnRows(panel),
  { axis: "linear", scale: "log", marks: panel.marks }).traces)
  .flatMap(({ customdata }) => (customdata ?? []).filter((one) => one.length === 6))"""


def test_hovering_a_head_tells_how_many_it_stands_for(node):
    ds = with_copies()
    figure = density(ds)
    own = node.evaluate(HEADS, [panel(ds)])
    expected = [row for trace in figure.data[5:7] for row in trace.customdata.tolist()]
    assert sorted(row[5] for row in own) == sorted(row[5] for row in expected)
    assert "3 copies merged" in " ".join(row[5] for row in own)


@pytest.mark.parametrize("kept", KEPT)
@pytest.mark.parametrize("probe", [0, 1])
def test_extremes_settle_without_copies(node, kept, probe):
    ds = with_copies(reorthogonalize=kept, stop=70, end="cancelled")
    panels = page_state([ds])["sections"][0]["panels"]
    computed = node.evaluate(CONVERGENCE, [panels, probe])
    compare_convergence(computed, convergence(ds, probe=probe), rounding=ALIKE)
    before = node.evaluate(CONVERGENCE, [[raw(panels[0]), panels[1]], probe])
    if probe == 0:
        assert before["largest"]["y"] != computed["largest"]["y"]


@pytest.mark.parametrize("axis", broadening.AXES)
@pytest.mark.parametrize("name", ["epsilon_sweep", "fraction_sweep"])
def test_a_sweep_has_each_eigenvalue_once(node, axis, name):
    ds = dataset_of(name, steps=40, reorthogonalize="none")
    given = panel(ds)
    figure = sweep(ds, axis=axis)
    computed = node.evaluate(SWEEP, [given, axis, None])
    curves = [trace for trace in figure.data if trace.meta["role"] == "density"]
    for own, trace in zip(computed["curves"], curves, strict=True):
        np.testing.assert_allclose(own["x"], trace.x, rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(own["y"], trace.y, rtol=1e-6)
    before = {**given, "spectra": [raw(one) for one in given["spectra"]]}
    others = node.evaluate(SWEEP, [before, axis, None])["curves"]
    assert any(one["y"] != own["y"] for one, own in zip(others, computed["curves"], strict=True))
    assert "copies merged" in given["subtitle"]
    assert "copies merged" in fallback([ds], page_state([ds]))


@pytest.mark.parametrize("axis", broadening.AXES)
def test_a_comparison_and_a_training_have_each_eigenvalue_once(node, axis):
    runs = [with_copies(run="a"), with_copies(run="b", seed=2, stop=100, end="failed")]
    (section,) = comparison_sections(runs)
    asked = [section["panels"][0], axis, None, []]
    computed = node.evaluate(COMPARISON, asked)
    figure = compare(runs, axis=axis)
    for own, trace in zip(computed["traces"], figure.data, strict=True):
        np.testing.assert_allclose(own["y"], trace.y, rtol=1e-6)
    assert "copies merged" in section["subtitle"]
    assert "copies merged" in section["panels"][0]["rows"][0][-1]
    runs = [run_of(step, steps=40, reorthogonalize="none") for step in (0, 10)]
    runs.append(run_of(20, steps=40))
    (section,) = page_state(runs)["trainings"]
    given = section["panels"][0]
    computed = node.evaluate(TRAINING, [given["spectra"], axis, None])
    heat = training(join(runs), axis=axis).data[0]
    np.testing.assert_allclose(np.array(computed["z"], dtype=float), heat.z, atol=1e-6)
    assert "copies merged" in given["subtitle"]


@pytest.mark.browser
@pytest.mark.parametrize(("dark", "width"), [(False, 1180), (True, 1180), (False, 480)])
def test_a_report_says_how_many_copies_it_merged(open_report, shots, dark, width):
    ds = with_copies()
    page = open_report(ds, dark=dark, width=width)
    np.testing.assert_allclose(drawn(page)["mean"]["y"], density(ds).data[2].y, rtol=1e-6)
    said = f"{copies_in(ritz(ds))} copies merged"
    assert said in page.locator(".hess-panel").first.locator(".hess-subtitle").first.text_content()
    assert page.evaluate(OVERLAPS) == []
    page.screenshot(
        path=shots / f"copies_{'dark' if dark else 'light'}_{width}.png", full_page=True
    )
    move(page, "Lanczos steps", 38)
    part = f"38 of 40 steps are drawn, {copies_in(ritz(ds, steps=38))} copies merged; "
    page.wait_for_function(
        "(text) => document.querySelector('.hess-part').textContent.startsWith(text)", arg=part
    )
    own = copies_in(ritz(ds.isel(probe=[0])))
    assert page.get_by_text(f"1, 40 steps, {own} copies merged").is_visible()


LIVE = mounted("""
  const told = [];
  for (const state of states) {
    view.update(state);
    await frame();
    await frame();
    const [plot] = host.querySelectorAll(".hess-plot");
    const curve = ({ meta, y }) => [meta.role, Array.from(y ?? [])];
    told.push(Object.fromEntries(plot._fullData.map(curve)));
  }
  return told;
""")


@pytest.mark.browser
def test_a_live_run_merges_from_step_to_step(exports):
    """States follow each other as a kernel tells them; a run loses its copies as they arrive."""
    live = [with_copies(probes=1, stop=stop, end="") for stop in range(18, 40, 3)]
    told = exports.evaluate(LIVE, [[page_state([ds]) for ds in live]])
    for own, ds in zip(told, live, strict=True):
        figure = {trace.meta["role"]: trace for trace in density(ds).data}
        for role in ("unfinished", "located", "unlocated"):
            np.testing.assert_allclose(own[role], figure[role].y, rtol=1e-6, err_msg=role)
    assert copies_in(ritz(live[0])) < copies_in(ritz(live[-1]))
