"""The section of a training: its heatmap, and the spectrum at the step that is chosen."""

import json

import numpy as np
import pytest

from helpers.accessible import problems
from helpers.emulated import dataset
from helpers.every_command import dataset_of
from helpers.overlaps import OVERLAPS
from helpers.page_module import TRAINING
from helpers.report_page import move
from helpers.trained import run_of
from hessview.analysis.ritz import ritz
from hessview.analysis.training import history
from hessview.analysis.training import join_training as join
from hessview.page.state import page_state
from hessview.spectral import quadrature
from hessview.views import broadening
from hessview.views.training import training
from hessview.wording import measured

STEPS = (0, 10, 50, 200)
DRAWN = """() => [...document.querySelectorAll(".hess-trainings .hess-plot")].map((plot) =>
  (plot._fullData ?? []).map((trace) => ({ meta: trace.meta, x: Array.from(trace.x ?? []),
    y: Array.from(trace.y ?? []), z: (trace.z ?? []).map((row) => Array.from(row)) })))"""


def runs():
    return [run_of(step) for step in STEPS]


def trace(traces, role):
    (found,) = [trace for trace in traces if trace["meta"]["role"] == role]
    return found


def test_densities_at_two_steps_make_a_training_and_others_do_not():
    assert page_state([run_of(0)])["trainings"] == []
    assert page_state([run_of(0), run_of(0, run="again")])["trainings"] == []
    assert page_state([run_of(0), run_of(10, model="other")])["trainings"] == []
    assert page_state([run_of(0, stop=3, end=""), run_of(10, stop=0, end="")])["trainings"] == []
    assert page_state([dataset(), dataset_of("accuracy")])["trainings"] == []
    assert page_state(runs(), panels=False)["trainings"] == []
    (made,) = page_state([*runs(), dataset_of("accuracy")])["trainings"]
    json.dumps(made, allow_nan=False)
    assert made["status"]["label"] == "done"
    assert made["panels"][0]["steps"] == list(STEPS)


def test_tiles_tell_the_last_step_and_the_first():
    ds = join(runs())
    one = history(ds).sel(quantity="largest")
    (made,) = page_state(runs())["trainings"]
    tile = made["tiles"][0]
    value, spread = measured(float(one.value[-1]), float(one.uncertainty[-1]))
    assert (tile["label"], tile["value"]) == ("Largest eigenvalue", value)
    before, _ = measured(float(one.value[0]), float(one.uncertainty[0]))
    assert tile["note"] == f"{spread} at training step 200; {before} at training step 0"
    assert float(value) == pytest.approx(21, abs=0.1)  # as the matrix has it


def test_a_step_under_way_says_so():
    begun = run_of(20, stop=1, end="")
    for name in begun.data_vars:
        begun[name][:] = np.nan
    state = page_state([run_of(0), run_of(10, stop=4, end=""), begun])
    (made,) = state["trainings"]
    assert made["status"]["label"] == "streaming"
    assert (made["status"]["done"], made["status"]["total"]) == (1, 3)
    begun, nothing = made["panels"][0]["spectra"][1:]
    assert [len(probe["alpha"]) for probe in begun["probes"]] == [4]
    assert nothing["message"] == "Nothing is measured at this training step yet."
    json.dumps(state, allow_nan=False)


def test_a_step_whose_job_was_lost_is_not_streaming():
    lost = run_of(10, stop=4, end="").assign_attrs(state="detached")
    (made,) = page_state([run_of(0), lost])["trainings"]
    assert made["status"]["label"] == "detached"
    (made,) = page_state([run_of(0), lost, run_of(20, stop=4, end="")])["trainings"]
    assert made["status"]["label"] == "streaming"


def expected(step, at):
    found = ritz(run_of(step))
    nodes, weights = found.node.values, found.weight.values
    sigma = quadrature.default_sigma(nodes, nodes.shape[1])
    rules = zip(nodes, weights, strict=True)
    return np.mean([quadrature.density(*rule, at, sigma=sigma) for rule in rules], axis=0)


def assert_spectrum(page, step):
    curve = trace(page.evaluate(DRAWN)[1], "mean")
    at, y = np.array(curve["x"]), np.array(curve["y"])
    seen = y > y.min() * 1.001
    assert seen.sum() > 100
    np.testing.assert_allclose(y[seen], expected(step, at)[seen], rtol=1e-6)


@pytest.mark.parametrize("axis", broadening.AXES)
@pytest.mark.parametrize("sigma", [None, 0.05])
def test_the_page_computes_the_heatmap_that_numpy_computes(node, axis, sigma):
    given = [*runs(), run_of(300, stop=5, end=""), run_of(400, probes=1, steps=9)]
    (made,) = page_state(given)["trainings"]
    computed = node.evaluate(TRAINING, [made["panels"][0]["spectra"], axis, sigma])
    figure = training(join(given), axis=axis, sigma=sigma)
    heat = figure.data[0]
    np.testing.assert_allclose(computed["y"], heat.y, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(np.array(computed["z"], dtype=float), heat.z, atol=1e-6)
    np.testing.assert_allclose(computed["customdata"], heat.customdata, rtol=1e-6, atol=1e-9)
    assert (computed["zmin"], computed["zmax"]) == pytest.approx((heat.zmin, heat.zmax))
    assert computed["sigma"] == pytest.approx(figure.layout.meta["sigma"])
    assert computed["edge"] == pytest.approx(figure.layout.shapes[1].y0)


@pytest.mark.browser
def test_the_heatmap_has_a_kernel_width_and_an_axis_of_its_own(open_report, shots):
    page = open_report(runs())
    before = trace(page.evaluate(DRAWN)[0], "largest")
    move(page, "Kernel width", 0.6)
    controls = page.locator(".hess-trainings .hess-controls").first
    controls.get_by_role("radio", name="linear").check()
    page.wait_for_function(
        "() => document.querySelector('.hess-plot')._fullLayout.yaxis.tickmode === 'auto'"
    )
    ds = join(runs())
    sigma = training(ds, axis="linear").layout.meta["sigma"] * 10**0.6
    heat = trace(page.evaluate(DRAWN)[0], "spectra")
    wanted = training(ds, axis="linear", sigma=sigma).data[0]
    np.testing.assert_allclose(np.array(heat["z"], dtype=float), wanted.z, atol=1e-6)
    assert trace(page.evaluate(DRAWN)[0], "largest") == before
    assert_spectrum(page, 200)  # below, with a width of its own
    page.screenshot(path=shots / "training_linear.png", full_page=True)


@pytest.mark.browser
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_slider_and_a_click_show_the_spectrum_at_a_step(open_report, shots, dark):
    page = open_report(runs(), dark=dark)
    page.wait_for_function("() => document.querySelectorAll('.hess-plot')[1]._fullData")
    heat = trace(page.evaluate(DRAWN)[0], "spectra")
    wanted = training(join(runs())).data[0]
    np.testing.assert_allclose(np.array(heat["z"], dtype=float), wanted.z, rtol=1e-6)
    assert_spectrum(page, 200)
    key = page.locator(".hess-trainings .hess-key").first.locator("li").all_text_contents()
    assert key[-1].startswith("not resolved: |λ| < ")
    slider = page.get_by_label("Training step", exact=True)
    assert slider.get_attribute("aria-valuetext") == "training step 200"
    slider.focus()
    page.keyboard.press("ArrowLeft")
    page.get_by_text("Spectrum at training step 50").wait_for()
    page.wait_for_timeout(200)  # a frame or two
    assert_spectrum(page, 50)
    page.screenshot(path=shots / f"training_{'dark' if dark else 'light'}.png", full_page=True)
    image = page.locator(".hess-trainings .heatmaplayer image").first
    image.scroll_into_view_if_needed()
    box = image.bounding_box()
    page.mouse.click(box["x"] + 12, box["y"] + box["height"] / 2)
    page.get_by_text("Spectrum at training step 0").wait_for()
    page.wait_for_timeout(200)
    assert_spectrum(page, 0)


@pytest.mark.browser
def test_a_narrow_page_of_a_training_can_be_read(open_report, shots):
    page = open_report(runs(), width=480, dark=True)
    page.wait_for_function(
        "() => [...document.querySelectorAll('.hess-plot')].every((plot) => plot._fullData)"
    )
    page.screenshot(path=shots / "training_narrow.png", full_page=True)
    page.emulate_media(reduced_motion="reduce", color_scheme="dark")
    assert page.evaluate(OVERLAPS) == []
    assert problems(page) == []
