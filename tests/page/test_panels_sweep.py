"""The panel of a sweep: spectra over each other, with a kernel width and axes of their own."""

import numpy as np
import pytest

from helpers.emulated import by_hand
from helpers.every_command import dataset_of
from helpers.overlaps import OVERLAPS
from helpers.page_module import SWEEP
from helpers.report_page import drawn, move
from hessview.analysis.sweep import distances
from hessview.page.state import page_state
from hessview.views import broadening
from hessview.views.sweep import sweep

CURVES = """() => document.querySelector(".hess-plot")._fullData
  .filter((trace) => trace.meta.role === "density").map((trace) => Array.from(trace.y))"""


def panel(ds):
    return page_state([ds])["sections"][0]["panels"][0]


@pytest.mark.parametrize("axis", broadening.AXES)
@pytest.mark.parametrize("sigma", [None, 0.317])  # round ones part eigenvalues at ties
def test_the_page_computes_what_numpy_computes(node, axis, sigma):
    uneven = by_hand(dataset_of("epsilon_sweep")).assign_coords(epsilon=np.logspace(-5, -1.7, 4))
    for ds in (dataset_of("epsilon_sweep"), uneven, dataset_of("fraction_sweep", stop=130, end="")):
        given = panel(ds)
        part = ds.isel({ds.alpha.dims[0]: slice(len(given["spectra"]))})
        reference = given["spectra"][given["reference"]]["at"]
        figure = sweep(part, axis=axis, sigma=sigma, reference=reference)
        computed = node.evaluate(SWEEP, [given, axis, sigma])
        curves = [trace for trace in figure.data if trace.meta["role"] == "density"]
        for own, trace in zip(computed["curves"], curves, strict=True):
            np.testing.assert_allclose(own["x"], trace.x, rtol=1e-6, atol=1e-9)
            np.testing.assert_allclose(own["y"], trace.y, rtol=1e-6)
        assert computed["sigma"] == pytest.approx(figure.layout.meta["sigma"])
        np.testing.assert_allclose(computed["yaxis"]["range"], figure.layout.yaxis.range, rtol=1e-6)
        assert computed["edge"] == pytest.approx(figure.layout.shapes[0].x1)


@pytest.mark.browser
@pytest.mark.parametrize(("dark", "width"), [(False, 1180), (True, 1180), (False, 480)])
def test_kernel_width_and_axis_move_the_curves_and_no_distance(open_report, shots, dark, width):
    ds = by_hand(dataset_of("epsilon_sweep")).assign_coords(epsilon=np.logspace(-5, -1.7, 4))
    page = open_report([ds], dark=dark, width=width)
    before = drawn(page)
    page.screenshot(path=shots / f"sweep_{width}_{'dark' if dark else 'light'}.png", full_page=True)
    move(page, "Kernel width", 0.5)
    page.locator(".hess-panel").first.get_by_role("radio", name="symlog").first.check()
    page.wait_for_function(
        "() => document.querySelector('.hess-plot')._fullLayout.xaxis.tickmode === 'array'"
    )
    sigma = sweep(ds, axis="symlog").layout.meta["sigma"] * 10**0.5
    wanted = [one for one in sweep(ds, axis="symlog", sigma=sigma).data if "setting" in one.meta]
    for y, trace in zip(page.evaluate(CURVES), wanted, strict=True):
        np.testing.assert_allclose(y, trace.y, rtol=1e-6)
    after = drawn(page)
    np.testing.assert_array_equal(before["distance"]["y"], after["distance"]["y"])
    expected = distances(ds).relative_distance.values
    there = expected > 0
    np.testing.assert_allclose(after["distance"]["y"][there], expected[there], rtol=1e-9)
    assert page.get_by_text(
        "distances of 1 probe, an overestimate" if ds.sizes["probe"] == 1 else "with 95 % intervals"
    ).is_visible()
    assert page.evaluate(OVERLAPS) == []
    page.screenshot(
        path=shots / f"sweep_symlog_{width}_{'dark' if dark else 'light'}.png", full_page=True
    )
