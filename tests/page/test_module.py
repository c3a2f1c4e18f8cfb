"""The module that each widget brings along, among models that stand in for JupyterLab's."""

import gzip
import json
import re

import pytest

from helpers.folders import TESTS
from hessview.page.module import loader

pytestmark = pytest.mark.browser

MODELS = (TESTS / "helpers" / "models.js").read_text()
PAGE = """\
globalThis.loads += 1;
export const shells = { plain: () => ({
  initialize({ model }) { model.begun = true; },
  render({ model, el }) {
    el.textContent = `drawn ${model.get("words")}`;
    return () => { el.textContent = "over"; };
  },
}) };
"""


@pytest.fixture
def harness(page):
    page.clock.install()
    page.goto("about:blank")
    page.evaluate(MODELS, loader())
    return page


def widget(harness, kernel, **traits):
    harness.evaluate("(given) => window.widget(...given)", [kernel, traits])


def packed(text=PAGE):
    return list(gzip.compress(text.encode()))


def answer(page, number, source=None, digest="one"):
    page.evaluate(
        "([number, digest, bytes]) => window.models[number].answer(digest, bytes)",
        [number, digest, packed() if source is None else source],
    )


def until(page, script):
    """Let the page's time go on until this is so."""
    for _ in range(200):
        if page.evaluate(script):
            return
        page.clock.run_for(100)
        page.evaluate(
            "() => new Promise((resolve) => { const c = new MessageChannel(); "
            "c.port1.onmessage = resolve; c.port2.postMessage(0); })"
        )
    raise AssertionError(f"it does not come true: {script}; {page.inner_text('body')!r}")


def asked(page):
    return [
        kernel
        for kernel, message in page.evaluate("() => window.asked")
        if message == {"action": "page"}
    ]


def texts(page):
    return page.evaluate("() => [...document.body.children].map((one) => one.innerText.trim())")


def test_it_is_small():
    assert len(loader().encode()) < 8_000


def test_eight_widgets_load_one_page_and_each_is_drawn(harness):
    for number in range(8):
        widget(harness, f"kernel {number}", words=f"run {number}")
    assert texts(harness) == [f"run {number}" for number in range(8)]
    assert asked(harness) == ["kernel 0"]
    answer(harness, 0)
    drawn = [f"drawn run {number}" for number in range(8)]
    until(harness, f"() => document.body.innerText.includes({json.dumps(drawn[7])})")
    assert texts(harness) == drawn
    assert harness.evaluate("() => window.loads") == 1
    assert harness.evaluate("() => window.models.every((model) => model.begun)")
    widget(harness, "later", words="later")  # which finds it here
    until(harness, "() => document.body.lastChild.innerText === 'drawn later'")
    assert asked(harness) == ["kernel 0"]
    assert harness.evaluate("() => window.loads") == 1
    harness.evaluate("() => window.models[3].dispose()")
    assert texts(harness)[3] == "over"


def test_each_version_has_its_own_page(harness):
    widget(harness, "old")
    widget(harness, "new", page="two")
    assert asked(harness) == ["old", "new"]
    answer(harness, 1, packed(PAGE.replace("drawn", "newly drawn")), digest="two")
    answer(harness, 0, digest="one")
    until(harness, "() => window.loads === 2 && !document.body.innerText.includes('\\nqueued')")
    until(harness, "() => document.body.firstChild.innerText === 'drawn queued'")
    assert texts(harness) == ["drawn queued", "newly drawn queued"]


def test_another_kernel_is_asked_where_the_first_does_not_answer_or_has_gone(harness):
    harness.evaluate("() => { window.gone = 'gone'; }")
    widget(harness, "gone")
    widget(harness, "silent")
    assert asked(harness) == ["silent"]
    harness.clock.run_for(4000)
    assert asked(harness) == ["silent"]
    harness.evaluate("() => { window.gone = 'silent'; }")
    widget(harness, "new")
    until(harness, "() => window.asked.length === 2")
    assert asked(harness) == ["silent", "new"]
    harness.clock.run_for(8000)  # a slow line is not filled with answers
    assert len(asked(harness)) == 2
    answer(harness, 2)
    until(harness, "() => document.body.innerText.split('drawn').length === 4")


def test_a_widget_without_its_page_follows_in_words_shows_what_is_stored_and_says_why(harness):
    widget(harness, "busy")
    harness.evaluate("() => window.models[0].set('words', 'streaming')")
    assert texts(harness) == ["streaming"]
    harness.clock.run_for(4500)
    (text,) = texts(harness)
    assert re.match(r"streaming\s+The page is drawn as soon as the kernel answers", text)
    assert harness.locator("b").text_content() == "stored"
    answer(harness, 0)
    until(harness, "() => document.body.innerText.trim() === 'drawn streaming'")
    assert harness.locator("b").count() == 0


def test_a_stored_notebook_shows_what_is_stored_at_once(harness):
    harness.evaluate("() => window.widget('none', {}, null)")
    harness.locator("b").get_by_text("stored").wait_for()
    assert "No kernel" in texts(harness)[0]


@pytest.mark.parametrize(
    ("source", "error"),
    [(packed("throw Error('no such thing')"), "no such thing"), ([31, 139, 8], "TypeError|Error")],
)
def test_a_page_that_cannot_be_loaded_is_told_and_tried_again_by_the_next_widget(
    harness, source, error
):
    widget(harness, "one")
    answer(harness, 0, source)
    until(harness, "() => document.body.innerText.includes('cannot be shown')")
    assert re.search(f"cannot be shown: .*({error})", texts(harness)[0])
    assert harness.locator("b").count() == 1
    widget(harness, "two")
    answer(harness, 1)
    until(harness, "() => document.body.lastChild.innerText === 'drawn queued'")


COMM = "() => { const { heard, sent } = window.models[0].own.comm; return [Boolean(heard), sent]; }"


def test_a_model_that_anywidget_gave_up_hears_again_and_is_told_what_it_missed(harness):
    harness.evaluate("() => { window.givenUp = true; }")
    widget(harness, "late")
    until(harness, "() => Boolean(window.models[0].own.comm.heard)")
    assert harness.evaluate(COMM) == [True, [{"method": "request_state"}]]
    harness.evaluate("() => window.models[0].own.comm.heard('told')")
    assert harness.evaluate("() => window.models[0].own.handled") == ["told"]


def test_a_model_that_hears_is_left_alone(harness):
    widget(harness, "in time")
    harness.clock.run_for(3000)
    assert harness.evaluate(COMM) == [False, []]


def test_nothing_listens_once_the_page_is_there(harness):
    widget(harness, "one")
    answer(harness, 0)
    until(harness, "() => document.body.innerText.trim() === 'drawn queued'")
    assert harness.evaluate("() => window.models[0].listening()") == 0
