"""The density panel in Chromium: steps and probes are chosen in the page, without a kernel."""

import numpy as np
import pytest
from scipy.linalg import eigh_tridiagonal

from helpers.emulated import dataset
from helpers.jacobi import rules
from helpers.overlaps import OVERLAPS
from helpers.page_module import DENSITY, compare_density, mounted
from helpers.report_page import drawn, move
from hessview.page.state import page_state
from hessview.spectral import quadrature
from hessview.views import broadening
from hessview.views.density import density


def test_the_pages_quadrature_is_scipys(node):
    for name, (alpha, beta) in rules().items():
        own = node.evaluate(
            "([alpha, beta]) => page.quadrature(alpha, beta)", [alpha.tolist(), beta.tolist()]
        )
        nodes, vectors = eigh_tridiagonal(alpha, beta[:-1])
        norm = max(np.abs(nodes).max(), np.abs(beta).max())
        np.testing.assert_allclose(own["nodes"], nodes, rtol=0, atol=1e-13 * norm, err_msg=name)
        assert np.sum(own["weights"]) == pytest.approx(1, abs=1e-12), name
        # Of eigenvalues that agree in all digits only the sum of the weights is defined.
        at = np.linspace(nodes[0] - norm, nodes[-1] + norm, 301)
        smooth = [
            quadrature.density(own["nodes"], own["weights"], at, sigma=norm / 10 or 1.0),
            quadrature.density(nodes, vectors[0] ** 2, at, sigma=norm / 10 or 1.0),
        ]
        np.testing.assert_allclose(*smooth, rtol=1e-9, atol=1e-12 / (norm or 1), err_msg=name)
        if np.all(np.diff(nodes) > 1e-6 * norm):
            found = quadrature.ritz(alpha, beta)
            np.testing.assert_allclose(own["weights"], found.weights, atol=1e-11, err_msg=name)
            np.testing.assert_allclose(
                own["residuals"], found.residuals, atol=1e-11 * norm, err_msg=name
            )


@pytest.mark.parametrize("axis", broadening.AXES)
@pytest.mark.parametrize(
    ("stop", "end", "steps", "probes"),
    [
        (None, "done", 8, [0, 1, 2, 3]),
        (None, "done", None, None),
        (60, "", None, None),
        (None, "done", None, [1, 3]),
        (None, "done", 1, [2]),
        (60, "", 12, [0, 1, 2]),
        (60, "", 11, [1, 2]),
        (60, "cancelled", None, [2]),
        (17, "failed", 9, [0]),
    ],
)
def test_a_part_is_what_numpy_draws_of_it(node, axis, stop, end, steps, probes):
    ds = dataset(probes=4, steps=24, stop=stop, end=end)
    (section,) = page_state([ds])["sections"]
    panel = section["panels"][0]
    out = [one for one in range(4) if probes is not None and one not in probes]
    computed = node.evaluate(DENSITY, [panel, axis, steps, out])
    expected = density(ds, steps=steps, probes=probes, axis=axis)
    compare_density(computed, expected)


@pytest.mark.browser
def test_steps_and_probes_move_the_curve_and_the_panel_says_so(open_report, shots):
    ds = dataset(probes=4, steps=24)
    page = open_report(ds)
    assert page.locator(".hess-part").is_hidden()
    move(page, "Lanczos steps", 8)
    for probe in (2, 4):
        page.get_by_role("checkbox", name=f"Probe {probe}").press("Space")
    part = page.locator(".hess-part")
    page.wait_for_function(
        "() => document.querySelector('.hess-part').textContent.startsWith('8 of 24 steps, 2 of')"
    )
    assert part.text_content() == (
        "8 of 24 steps, 2 of 4 probes are drawn; the numbers above are those of the whole run."
    )
    mean = drawn(page)["mean"]
    expected = density(ds, steps=8, probes=[0, 2]).data[2]
    np.testing.assert_allclose(mean["x"], expected.x, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(mean["y"], expected.y, rtol=1e-6)
    assert "mean of 2 probes" in page.locator(".hess-key").first.text_content()
    page.screenshot(path=shots / "density_part_light.png", full_page=True)
    controls = page.locator(".hess-panel").first
    for button in controls.get_by_role("button", name="all").all():
        button.click()
    part.wait_for(state="hidden")
    np.testing.assert_allclose(drawn(page)["mean"]["y"], density(ds).data[2].y, rtol=1e-6)


@pytest.mark.browser
def test_one_probe_always_stays_in(open_report):
    page = open_report(dataset(probes=2, steps=12))
    page.get_by_role("checkbox", name="Probe 1").press("Space")
    page.get_by_role("checkbox", name="Probe 2").press("Space")
    assert page.get_by_role("checkbox", name="Probe 2").is_checked()
    assert not page.get_by_role("checkbox", name="Probe 1").is_checked()


@pytest.mark.browser
def test_probes_that_have_not_begun_cannot_be_chosen(open_report):
    page = open_report(dataset(probes=3, steps=12, stop=17, end=""))
    drawn(page)
    boxes = [page.get_by_role("checkbox", name=f"Probe {probe}") for probe in (1, 2, 3)]
    assert [box.is_enabled() for box in boxes] == [True, True, False]


FOLLOWED = mounted("""
  const seen = () => host.querySelector("[id$='-0-0-steps']").nextElementSibling.textContent;
  await frame();
  const told = [seen()];
  view.update(states[1]);
  await frame();
  told.push(seen());
  const slider = host.querySelector("[id$='-0-0-steps']");
  slider.value = "5";
  slider.dispatchEvent(new Event("input"));
  await frame();
  told.push(seen());
  view.update(states[2]);
  await frame();
  told.push(seen());
  slider.value = slider.max;
  slider.dispatchEvent(new Event("input"));
  view.update(states[3]);
  await frame();
  told.push(seen());
  return told;
""")


@pytest.mark.browser
def test_a_live_run_is_followed_until_the_user_chooses(exports):
    states = [page_state([dataset(probes=2, steps=20, stop=n, end="")]) for n in (3, 7, 9, 31)]
    told = exports.evaluate(FOLLOWED, [states])
    assert told == ["3 of 3", "7 of 7", "5 of 7", "5 of 9", "20 of 20"]


TIMED = """async () => {
  const plot = document.querySelector(".hess-plot");
  const slider = document.querySelector("input[id$=steps]");
  const times = [];
  for (const share of [1, 0.75, 0.5, 0.25, 0.6, 1, 0.05, 0.9]) {
    const redrawn = new Promise((resolve) => plot.once("plotly_afterplot", resolve));
    const began = performance.now();
    slider.value = String(Math.ceil(share * slider.max));
    slider.dispatchEvent(new Event("input", { bubbles: true }));
    await redrawn;
    times.push(performance.now() - began);
  }
  return times.sort((a, b) => a - b);
}"""


@pytest.mark.browser
@pytest.mark.parametrize(("probes", "steps"), [(4, 24), (20, 200)])
def test_a_move_is_drawn_at_once(open_report, shots, probes, steps):
    page = open_report(dataset(probes=probes, steps=steps))
    drawn(page)
    page.evaluate(TIMED)  # the browser compiles meanwhile
    times = page.evaluate(TIMED)
    print(
        f"{probes} probes x {steps} steps: {times[len(times) // 2]:.0f} ms, at most {times[-1]:.0f}"
    )
    assert times[len(times) // 2] < 1000  # ms; 50 when nobody else works on this machine
    page.screenshot(path=shots / f"density_{probes}_probes.png", full_page=True)


@pytest.mark.browser
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_twenty_probes_are_tidy_on_a_narrow_page(open_report, shots, dark):
    page = open_report(dataset(probes=20, steps=24), width=480, dark=dark)
    drawn(page)
    move(page, "Lanczos steps", 15)
    assert page.evaluate(OVERLAPS) == []
    page.screenshot(
        path=shots / f"density_narrow_{'dark' if dark else 'light'}.png", full_page=True
    )
