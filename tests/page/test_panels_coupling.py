"""The coupling panel: its switches and rows draw what numpy and the views have."""

import time

import numpy as np
import pytest

from helpers import emulated
from helpers.coupled import NAMES, dataset, operator
from helpers.overlaps import OVERLAPS
from hessview.analysis.coupling import coupling_summary
from hessview.page.module import module
from hessview.page.state import page_state
from hessview.views.coupling import coupling
from hessview.wording import written

pytestmark = [pytest.mark.browser, pytest.mark.alone]

SIZES = (40, 60, 60, 30)
MOUNT = """async ([source, state]) => {
  const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  const { mount } = await import(url);
  window.shown = mount(document.body, state);
}"""
TRACES = """() => [...document.querySelectorAll(".hess-plot")].map((plot) => ({
  range: plot._fullLayout.yaxis.range, type: plot._fullLayout.yaxis.type,
  shapes: (plot._fullLayout.shapes ?? []).map(({ y0, y1 }) => [y0, y1]),
  data: plot._fullData.map((trace) => ({
    meta: trace.meta, visible: trace.visible, name: trace.name,
    y: Array.from(trace.y ?? []), z: (trace.z ?? []).map((row) => Array.from(row)),
    zmin: trace.zmin, zmax: trace.zmax, customdata: trace.customdata,
    spread: trace.error_y?.visible ? Array.from(trace.error_y.array) : null,
    tickvals: trace.colorbar?.tickvals,
  })) }))"""


@pytest.fixture
def shown(page):
    def show(ds, *, dark=False, width=1100):
        page.set_viewport_size({"width": width, "height": 1000})
        page.emulate_media(color_scheme="dark" if dark else "light")
        page.goto("data:text/html,<!doctype html>")
        page.evaluate(MOUNT, [module(), page_state([ds])])
        page.wait_for_function(
            "() => [...document.querySelectorAll('.hess-plot')].every((plot) => plot._fullData)"
        )
        return page

    return show


def array(values):
    return np.array(values, dtype=float)


def settled(page):
    """Wait until what was scheduled is drawn."""
    page.evaluate("() => new Promise((go) => requestAnimationFrame(() => setTimeout(go)))")
    return page.evaluate(TRACES)


def choose(page, **switches):
    for value in switches.values():
        page.get_by_role("radio", name=value, exact=True).check()
    return settled(page)


@pytest.fixture(scope="module")
def noisy():
    """Columns of every verdict, and a diagonal block that noise left at zero."""
    ds = emulated.by_hand(dataset(operator(SIZES), SIZES, noise=0.3))
    ds.response_norm[:, 2, 2] = 0.0
    return ds


@pytest.mark.parametrize("unit", ["normalised", "raw"])
@pytest.mark.parametrize("scale", ["log", "linear"])
def test_switches_and_rows_draw_what_the_view_draws(shown, noisy, unit, scale):
    page = shown(noisy)
    page.get_by_label("Row of block").select_option("layers.0")
    matrix, row = choose(page, unit=unit, scale=scale)
    options = {"normalised": unit == "normalised", "scale": scale}
    expected = coupling(noisy, **options)
    (drawn,) = [trace for trace in matrix["data"] if trace["meta"]["role"] == "matrix"]
    wanted = expected.data[0]
    np.testing.assert_allclose(array(drawn["z"]), array(wanted.z), rtol=1e-6, atol=1e-6)
    assert (drawn["zmin"], drawn["zmax"]) == pytest.approx((wanted.zmin, wanted.zmax))
    told, say = drawn["customdata"], wanted.customdata
    assert [[cell[:2] + cell[6:] for cell in line] for line in told] == [
        [[*cell[:2], *cell[6:]] for cell in line] for line in say
    ]
    there = np.isfinite(array(say[:, :, 2]))
    numbers = array([[cell[2:6] for cell in line] for line in told])
    np.testing.assert_allclose(numbers[there], array(say[:, :, 2:6])[there], rtol=1e-6)
    wanted = coupling(noisy, row="layers.0", **options)
    for seen, trace in zip(row["data"], wanted.data, strict=True):
        assert seen["meta"] == trace.meta
        np.testing.assert_allclose(array(seen["y"]), array(trace.y), rtol=1e-6)
        np.testing.assert_allclose(seen["spread"], trace.error_y.array, rtol=1e-6)
    assert row["type"] == scale
    np.testing.assert_allclose(row["range"], wanted.layout.yaxis.range, rtol=1e-6)
    assert matrix["shapes"] == [[0.5, 1.5]]


def test_a_click_on_a_block_shows_its_row_with_its_own_error(shown):
    ds = dataset(operator(SIZES), SIZES)
    page = shown(ds)
    plot = page.locator(".hess-plot").first
    box = plot.locator(".heatmaplayer image").first.bounding_box()
    page.mouse.click(box["x"] + box["width"] * 0.4, box["y"] + box["height"] * 2.5 / 4)
    page.wait_for_function("() => document.querySelector('select').value === 'layers.1'")
    _, row = settled(page)
    found = coupling_summary(ds)
    bars = [array(trace["y"]) for trace in row["data"]]
    np.testing.assert_allclose(np.nansum(bars, axis=0), found.coefficient[2], rtol=1e-6)
    said = page.locator(".hess-panel [aria-live]").text_content()
    text = written(float(found.row_error[2]), float(found.row_uncertainty[2]))
    assert f"error of this block {text}" in said
    assert said.endswith("trustworthy")


def test_a_row_is_chosen_by_keyboard_and_stays_on_updates(shown):
    ds = dataset(operator(SIZES), SIZES, stop=6, end="")
    page = shown(ds)
    page.get_by_label("Row of block").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    assert page.get_by_label("Row of block").input_value() == NAMES[2]
    whole = dataset(operator(SIZES), SIZES)
    page.evaluate("(state) => shown.update(state)", page_state([whole]))
    assert page.get_by_label("Row of block").input_value() == NAMES[2]
    _, row = settled(page)
    bars = np.nansum([array(trace["y"]) for trace in row["data"]], axis=0)
    np.testing.assert_allclose(bars, coupling_summary(whole).coefficient[2], rtol=1e-6)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1100, 480])
def test_pictures(shown, shots, noisy, dark, width):
    page = shown(
        dataset(operator(SIZES), SIZES) if width == 1100 else noisy, dark=dark, width=width
    )
    name = f"coupling_{width}_{'dark' if dark else 'light'}.png"
    settled(page)
    page.screenshot(path=shots / name, full_page=True)
    assert page.evaluate(OVERLAPS) == []


def test_two_hundred_blocks_stay_readable_and_smooth(shown, shots):
    names = [f"model.layers.{index // 4}.{'qkvo'[index % 4]}_proj" for index in range(200)]
    sizes = (3,) * 200
    ds = dataset(operator(sizes), sizes, probes=2, names=names, noise=0.05)
    began = time.perf_counter()
    page_state([ds])
    print(f"state of 200 blocks: {time.perf_counter() - began:.2f} s")
    page = shown(ds)
    seconds = page.evaluate(
        """async () => {
          const began = performance.now();
          for (const name of ["raw", "linear", "normalised", "log"]) {
            document.querySelector(`input[value=${name}]`).click();
            await new Promise((go) => requestAnimationFrame(() => setTimeout(go)));
          }
          return (performance.now() - began) / 4000;
        }"""
    )
    print(f"a switch at 200 blocks: {seconds:.3f} s")
    assert seconds < 2  # about 0.1 s alone on the machine
    for axis in "xy":
        assert page.locator(f".hess-plot >> nth=0 >> .{axis}tick text").count() <= 32
    page.get_by_label("Row of block").select_option(names[117])
    settled(page)
    page.screenshot(path=shots / "coupling_many.png", full_page=True)
