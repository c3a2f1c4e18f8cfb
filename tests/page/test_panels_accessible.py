"""The page of every command, to those who do not point and click, or see little."""

import pytest

from helpers.accessible import problems
from helpers.emulated import dataset
from helpers.every_command import dataset_of
from helpers.overlaps import OVERLAPS
from hessview.page.module import module
from hessview.page.state import page_state
from hessview.record.commands import Density, command_to_json

pytestmark = pytest.mark.browser

MOUNT = """async ([source, state]) => {
  const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  const { mount } = await import(url);
  document.documentElement.lang = "en";
  window.shown = mount(document.body, state, { ask: () => {} });
  for (const details of document.querySelectorAll("details")) details.open = true;
}"""
COMMANDS = ("accuracy", "epsilon_sweep", "fraction_sweep", "coupling", "benchmark")


@pytest.fixture
def shown(page):
    """Mount a page on which the session can be asked, with everything on it opened."""

    def show(runs, *, dark, width):
        page.set_viewport_size({"width": width, "height": 1000})
        page.emulate_media(color_scheme="dark" if dark else "light", reduced_motion="reduce")
        page.goto("data:text/html,<!doctype html>")
        notice = {"text": "steps=0 is not allowed; use steps >= 1.", "tone": "bad"}
        state = page_state(runs) | {"asking": True, "reason": "", "notice": notice}
        for section in state["sections"]:
            section["panels"][0]["again"] = command_to_json(Density())
        page.evaluate(MOUNT, [module(), state])
        page.wait_for_function(
            "() => [...document.querySelectorAll('.hess-plot')]"
            ".every((plot) => plot._fullData || plot.hidden)"
        )
        return page

    return show


def every_stage():
    runs = [dataset_of(name, noise=1.0) for name in COMMANDS]
    under_way = dataset("density-2", probes=3, steps=12, stop=20, end="")
    return [dataset(probes=2, steps=20), under_way, *runs, dataset_of("accuracy", stop=0, end="")]


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1180, 480])
def test_all_can_be_named_read_seen_and_reached(shown, shots, dark, width):
    page = shown(every_stage(), dark=dark, width=width)
    for at in page.get_by_role("radio", name="any").all():
        at.check()
    page.screenshot(
        path=shots / f"accessible_{width}_{'dark' if dark else 'light'}.png", full_page=True
    )
    assert problems(page) == []
    assert page.evaluate(OVERLAPS) == []


def test_what_is_wrong_is_found(page):
    page.goto("data:text/html,<!doctype html>")
    page.set_content(
        """<style>* { outline: none !important }</style><button></button>
        <p style="color: #888; background: #777">grey</p><input tabindex="-1" aria-label="lost">"""
    )
    assert problems(page) == [
        "no name: button ",
        "contrast 1.26: grey (p grey)",
        "focus cannot be seen: BUTTON ",
        "Tab reaches 1 of 2 controls",
    ]
