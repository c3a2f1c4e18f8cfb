"""Eight live runs in a notebook of JupyterLab: whatever the browser does, the page follows them.

`tests/benchmarks/eight_widgets.py` has the full matrix of throttles, reloads and Run All.
"""

import re

import pytest

from helpers.eight import WIDGETS, Eight

pytestmark = pytest.mark.browser

# What anywidget takes for two seconds is over before any module can be there.
NO_TIME = """() => {
  const timeout = AbortSignal.timeout;
  AbortSignal.timeout = (ms) => timeout.call(AbortSignal, ms === 2000 ? 0 : ms);
}"""
# The module of ipywidgets in JupyterLab that looks for a widget's model, "not found" of which is
# told once all models are there, as if the browser had been busy since it looked last.
LOOKS_FOR_MODELS = re.compile(r"@jupyter-widgets/jupyterlab-manager/static/32\..*\.js")
LOOK, NOT_FOUND = "Date.now()-o<2e3", 'throw Error("widget model not found")'
ALL_THERE = "for(;!this.restoredStatus;)await new Promise(e=>setTimeout(e,100))"


def follow(lacking):
    assert lacking == [""] * WIDGETS


@pytest.mark.timeout(900)  # a minute on a machine that is busy otherwise
def test_all_follow_on_a_slow_browser_after_a_reload(jupyterlab, page):
    shown = Eight(jupyterlab, page, "eight", patience=240)
    shown.run_all()
    shown.slow(4)
    shown.reload()
    follow(shown.go_on())


def test_all_follow_that_anywidget_has_given_up(jupyterlab, page):
    page.add_init_script(f"({NO_TIME})()")
    shown = Eight(jupyterlab, page, "given_up")
    given_up = []
    page.on("pageerror", lambda error: given_up.append("Failed to initialize model" in str(error)))
    shown.run_all()
    follow(shown.go_on())
    assert any(given_up)


def test_all_follow_that_jupyterlab_does_not_find_at_first(jupyterlab, page):
    missed = []

    def late(route):
        text = route.fetch().text()
        missed.append(LOOK in text and NOT_FOUND in text)
        text = text.replace(LOOK, "!1")
        text = text.replace(NOT_FOUND, f"{ALL_THERE};{NOT_FOUND}")
        route.fulfill(body=text, content_type="text/javascript")

    shown = Eight(jupyterlab, page, "not_found")
    shown.run_all()
    page.route(LOOKS_FOR_MODELS, late)
    errors = []
    page.on("console", lambda message: errors.append(message.text))
    shown.reload()
    follow(shown.go_on())
    assert missed == [True]
    assert any("widget model not found" in text for text in errors)
