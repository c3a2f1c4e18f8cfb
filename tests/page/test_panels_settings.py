"""The slider over settings: it snaps to what was measured, and asks for what was not."""

import time

import numpy as np
import pytest

from helpers.every_command import EPSILONS, dataset_of
from hessview.analysis.ritz import ritz
from hessview.analysis.sweep import distances
from hessview.page.module import module
from hessview.page.state import page_state
from hessview.page.widget import View
from hessview.record.commands import Accuracy, command_to_json
from hessview.record.measurements import command_from_json
from hessview.spectral import quadrature
from hessview.wording import between, share

pytestmark = pytest.mark.browser

MOUNT = """async ([source, state, asks]) => {
  const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  const { mount } = await import(url);
  window.asked = [];
  const ask = window.send ?? ((message) => asked.push(message));
  window.shown = mount(document.body, state, asks ? { ask } : {});
}"""
PICKED = """() => document.querySelector(".hess-plot")._fullData
  .filter((trace) => trace.meta.role === "picked").map((trace) => [trace.x[0], trace.y[0]])"""


@pytest.fixture
def shown(page):
    def show(ds, *others, asks=True, dark=False, width=1100):
        state = page_state([ds, *others]) | {"asking": True, "reason": ""}
        panel = state["sections"][0]["panels"][0]
        panel["again"] = command_to_json(Accuracy(epsilons=tuple(EPSILONS)))
        page.set_viewport_size({"width": width, "height": 1000})
        page.emulate_media(color_scheme="dark" if dark else "light")
        page.goto("data:text/html,<!doctype html>")  # as every shell: not in quirks mode
        page.evaluate(MOUNT, [module(), state, asks])
        page.wait_for_function("() => document.querySelector('.hess-plot')?._fullData")
        return page

    return show


def slide(page, place):
    page.locator("input[type=range]").first.evaluate(
        "(slider, place) => { slider.value = place; slider.dispatchEvent(new Event('input')); }",
        str(place),
    )
    page.wait_for_timeout(150)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_slider_snaps_to_measured_steps_and_tells_their_numbers(shown, shots, dark):
    ds = dataset_of("accuracy")
    page = shown(ds, dark=dark)
    slide(page, -3.6)  # between 1e-4 and 1e-3.5, nearer to the latter
    picked = page.evaluate(PICKED)
    assert [x for x, _ in picked] == pytest.approx([10**-3.5] * 3)
    assert [y for _, y in picked] == pytest.approx(ds.relative_error[:, 5].values.tolist())
    rows = page.locator(".hess-picked tbody tr")
    assert rows.locator("th").all_text_contents() == ["random 1", "random 2", "top"]
    page.screenshot(path=shots / f"settings_{'dark' if dark else 'light'}.png", full_page=True)
    page.get_by_role("button", name="all").click()
    page.wait_for_timeout(150)
    assert page.evaluate(PICKED) == []


def test_another_step_is_asked_for_where_the_slider_stands(shown, shots):
    page = shown(dataset_of("accuracy"))
    assert page.get_by_role("button", name="Measure here").is_hidden()
    page.get_by_role("radio", name="any").check()
    slide(page, -3.7)
    assert page.locator(".hess-picked tbody").text_content() == "not measured at this step"
    assert page.locator(".hess-picked thead").inner_text() == ""  # there is nothing to head
    page.get_by_role("button", name="Measure here").click()
    (message,) = page.evaluate("() => asked")
    assert message["action"] == "measure"
    (epsilon,) = message["command"]["epsilons"]
    assert epsilon == pytest.approx(10**-3.7, rel=0.03)
    assert command_from_json(message["command"]) == Accuracy(epsilons=(epsilon,))
    page.screenshot(path=shots / "settings_free.png", full_page=True)


def test_where_nobody_can_be_asked_nothing_offers_it(shown):
    page = shown(dataset_of("accuracy"), asks=False)
    assert page.get_by_role("button", name="Measure here").count() == 0
    assert page.get_by_role("radio", name="any").count() == 0


@pytest.mark.parametrize("name", ["epsilon_sweep", "fraction_sweep"])
def test_a_spectrum_comes_to_the_front_with_its_distance(shown, shots, name):
    ds = dataset_of(name)
    page = shown(ds, width=480 if name == "fraction_sweep" else 1100)
    value = float(ds[ds.alpha.dims[0]][1])
    named = page.locator(".hess-key").first.locator("li").all_text_contents()
    slide(page, -4 if name == "epsilon_sweep" else value)
    curves = page.evaluate(
        """() => document.querySelector(".hess-plot")._fullData
          .filter((trace) => trace.meta.role === "density")
          .map((trace) => [trace.meta.setting, trace.opacity])"""
    )
    assert curves[-1] == [pytest.approx(value), 1]
    assert all(opacity < 0.5 for _, opacity in curves[:-1])
    assert (
        page.locator(".hess-key").first.locator("li").all_text_contents() == named
    )  # in the same order
    apart = distances(ds).isel({ds.alpha.dims[0]: 1})
    told = page.locator(".hess-picked tbody th").text_content()
    ends = between(float(apart.relative_low), float(apart.relative_high))
    assert told == f"{share(float(apart.relative_distance))} ({ends}) of the range"
    below = page.locator(".hess-spectrum")
    assert below.locator("h4").text_content().endswith("0.50" if "frac" in name else "1×10⁻⁴")
    assert_spectrum(page, ds.isel({ds.alpha.dims[0]: 1}))
    page.screenshot(path=shots / f"settings_{name}.png", full_page=True)
    below.get_by_role("radio", name="symlog").check()  # the spectrum's own controls
    page.wait_for_timeout(150)
    assert "at λ = 0" in below.locator("input[type=range]").first.get_attribute("aria-valuetext")


def assert_spectrum(page, one):
    page.wait_for_function(
        "() => document.querySelector('.hess-spectrum:not([hidden]) .hess-plot')?._fullData"
    )
    x, y = page.evaluate(
        """() => { const mean = document.querySelector(".hess-spectrum:not([hidden]) .hess-plot")
          ._fullData.find((trace) => trace.meta.role === "mean");
          return [Array.from(mean.x), Array.from(mean.y)]; }"""
    )
    found = ritz(one)
    sigma = quadrature.default_sigma(found.node.values, found.sizes["position"])
    rules = zip(found.node.values, found.weight.values, strict=True)
    expected = np.mean([quadrature.density(*rule, np.array(x), sigma=sigma) for rule in rules], 0)
    seen = np.array(y) > min(y) * 1.001
    assert seen.sum() > 100
    np.testing.assert_allclose(np.array(y)[seen], expected[seen], rtol=1e-6)


def test_below_the_v_stands_the_spectrum_that_a_sweep_measured_at_the_step(shown, shots):
    sweep = dataset_of("epsilon_sweep")
    page = shown(dataset_of("accuracy"), sweep)
    slide(page, -3)
    assert_spectrum(page, sweep.isel(epsilon=2))
    first = page.locator("section").first
    assert first.locator(".hess-spectrum h4").text_content() == "Spectrum at ε 0.0010"
    page.screenshot(path=shots / "settings_spectrum.png", full_page=True)
    slide(page, -3.5)
    assert first.locator(".hess-spectrum").is_hidden()
    first.get_by_text("Spectra are measured at 1×10⁻⁵, 1×10⁻⁴, 0.0010, 0.010.").wait_for()


def test_spectra_of_another_matrix_do_not_count():
    accuracy, sweep = dataset_of("accuracy"), dataset_of("epsilon_sweep")
    panel = page_state([accuracy, sweep])["sections"][0]["panels"][0]
    assert [one["at"] for one in panel["spectra"]] == sweep.epsilon.values.tolist()
    for other in ({"operator": "fisher"}, {"subset": "head*"}, {"seed": 1}, {"training_step": 9}):
        state = page_state([accuracy, sweep.assign_attrs(other)])
        assert "spectra" not in state["sections"][0]["panels"][0]


def test_measure_here_on_a_real_session_puts_the_point_on_the_curve(page, session, shots):
    """The click, the kernel's answer, and the page that shows it: as a widget, but for its wire."""
    run = session.accuracy(epsilons=[1e-3, 1e-1], probes=1, top=False)
    run.wait(120)
    view = View(run)
    page.expose_function("send", lambda message: view._handle_custom_msg(message, []))
    page.goto("data:text/html,<!doctype html>")
    page.evaluate(MOUNT, [module(), view.state, True])
    page.wait_for_function("() => document.querySelector('.hess-plot')?._fullData")
    page.get_by_role("radio", name="any").check()
    slide(page, -2)
    page.get_by_role("button", name="Measure here").click()
    deadline = time.monotonic() + 120
    while len(session.runs) < 2 or session.runs[1].state != "done":
        assert time.monotonic() < deadline, "it is not measured"
        page.wait_for_timeout(50)
    asked = session.runs[1]
    assert asked.command.epsilons == (pytest.approx(1e-2, rel=0.05),)
    while view.state["sections"][0]["status"]["state"] != "done":
        page.wait_for_timeout(50)
    page.evaluate("(state) => shown.update(state)", view.state)
    slide(page, -2)
    ((x, y),) = page.evaluate(PICKED)
    assert x == pytest.approx(asked.command.epsilons[0], rel=1e-9)
    assert y == pytest.approx(float(asked.dataset.relative_error[0, 0]), rel=1e-9)
    assert page.locator(".hess-picked tbody th").all_text_contents() == ["random 1"]
    page.screenshot(path=shots / "settings_measured_here.png", full_page=True)
    view.close()
