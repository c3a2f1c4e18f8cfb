"""A page that lags behind its kernel notices, asks for what it missed, and says so in vain."""

import json

import pytest

from helpers.differences import changed
from helpers.emulated import LiveRun, dataset
from helpers.folders import ROOT
from hessview.page.board import Board
from hessview.page.dashboard import Dashboard
from hessview.page.module import card_page, drawing_page
from hessview.page.widget import RunCard, SessionCard, View, view

LINE = "This page is not being told anything"

# A model whose kernel says what the test says.
MOUNT = """async ([source, shell, values]) => {
  const listeners = [];
  window.asked = [];
  window.model = {
    get: (name) => values[name],
    set: (name, value) => { values[name] = value; },
    save_changes() {},
    send: (message) => window.asked.push(message.action),
    on: (names, heard) => names.split(" ").forEach((name) => listeners.push([name, heard])),
    off: (name, heard) => listeners.splice(listeners.findIndex((one) => one[1] === heard), 1),
    tell(name, ...told) {
      for (const [one, heard] of listeners) if (one === name) heard(...told);
    },
    update(told) {
      Object.assign(values, told);
      Object.keys(told).forEach((name) => window.model.tell(`change:${name}`));
    },
  };
  const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  const { shells } = await import(url);
  const shown = shells[shell]();
  shown.initialize?.({ model: window.model });
  window.dispose = shown.render({ model: window.model, el: document.body });
}"""
TELL = "([name, told]) => window.model.tell(name, told)"


@pytest.fixture
def mounted(page):
    """A widget's page on a model of the test's, with a clock that the test moves."""

    def mount(widget, **others):
        page.clock.install()
        page.goto("about:blank")
        values = {name: widget.get_state(name)[name] for name in widget.keys} | others
        page.evaluate(MOUNT, [widget.source.text, widget.shell, values])
        return page

    return mount


def looks(page):
    """What was asked since the last time."""
    return page.evaluate("() => window.asked.splice(0)")


def line(page):
    (text,) = page.locator(".hessview > .hess-silence").all_text_contents()[:1]
    return text


@pytest.mark.browser
def test_a_page_that_hears_nothing_says_so_and_takes_it_back(mounted):
    page = mounted(view(LiveRun(probes=2, steps=8)))
    page.clock.run_for(12_500)
    assert looks(page) == ["look"] * 4
    assert line(page) == ""
    page.clock.run_for(3_000)
    assert line(page).startswith(LINE)
    assert page.locator(".hess-silence").is_visible()
    page.evaluate(TELL, ["msg:custom", {"revision": 0}])
    assert line(page) == ""
    assert page.locator(".hess-silence").is_hidden()
    for _ in range(20):
        page.clock.run_for(3_000)
        page.evaluate(TELL, ["msg:custom", {"revision": 0}])
        assert line(page) == ""


@pytest.mark.browser
def test_a_page_that_is_told_without_answers_is_content(mounted):
    page = mounted(view(LiveRun(probes=2, steps=8)))
    for number in range(1, 15):
        page.clock.run_for(3_000)
        page.evaluate("(told) => window.model.update(told)", {"revision": number})
    assert line(page) == ""


@pytest.mark.browser
def test_a_page_that_missed_something_asks_for_it_and_says_so_in_vain(mounted):
    page = mounted(view(LiveRun(probes=2, steps=8)))
    for expected in (["look"], ["look", "again"], ["look", "again"]):
        page.clock.run_for(3_000)
        page.evaluate(TELL, ["msg:custom", {"revision": 7}])
        assert looks(page) == expected
        assert line(page) == ""
    for _ in range(2):
        page.clock.run_for(3_000)
        page.evaluate(TELL, ["msg:custom", {"revision": 7}])
    assert line(page).startswith(LINE)

    done = View(dataset(probes=2, steps=8))
    page.evaluate("(told) => window.model.update(told)", {"revision": 7, "state": done.state})
    page.clock.run_for(3_000)
    assert line(page) == ""
    assert page.locator(".hess-pill").text_content() == "done"
    looks(page)
    page.clock.run_for(30_000)
    assert looks(page) == []  # of a kernel that nobody uses nothing is asked


@pytest.mark.browser
def test_somebody_who_comes_to_a_page_that_waits_for_nothing_learns_that_it_is_not_told(mounted):
    page = mounted(View(dataset(probes=1, steps=4)))
    page.clock.run_for(30_000)
    assert looks(page) == []
    page.evaluate("() => document.body.dispatchEvent(new Event('pointerenter'))")
    page.clock.run_for(16_000)
    assert line(page).startswith(LINE)


@pytest.mark.browser
def test_a_dashboard_that_missed_something_asks_for_all(mounted):
    board = Board(runs=[LiveRun(probes=2, steps=8)])
    page = mounted(Dashboard(board))
    page.clock.run_for(100)
    assert looks(page) == ["show"]
    page.evaluate(TELL, ["msg:custom", {"told": 1}])
    page.clock.run_for(100)
    assert looks(page) == []
    page.evaluate(TELL, ["msg:custom", {"told": 3}])  # and not the second
    page.clock.run_for(100)
    assert looks(page) == ["show"]
    for _ in range(2):
        page.clock.run_for(3_000)
        page.evaluate(TELL, ["msg:custom", {"revision": 4}])
    assert looks(page) == ["look", "look", "show"]
    for _ in range(3):
        page.clock.run_for(3_000)
        page.evaluate(TELL, ["msg:custom", {"revision": 4}])
    assert line(page).startswith(LINE)
    page.evaluate(TELL, ["msg:custom", {"told": 4}])
    page.clock.run_for(3_000)
    assert line(page) == ""
    board.close()


def test_a_widget_answers_what_its_page_asks(monkeypatch):
    shown = View(dataset(probes=1, steps=5))
    sent = []
    monkeypatch.setattr(View, "send", lambda self, *told, buffers=(): sent.append((*told, buffers)))
    monkeypatch.setattr(View, "send_state", lambda self: sent.append("all"))
    for action in ("page", "look", "again", "none", "unknown"):
        shown._handle_custom_msg({"action": action}, [])
    assert sent == [
        ({"page": drawing_page().digest}, [drawing_page().packed]),
        ({"revision": 0}, ()),
        "all",
    ]


def test_every_change_has_a_number_and_what_is_stored_is_the_end():
    run = LiveRun(seconds=0.01, probes=2, steps=20)
    shown = view(run)
    assert shown.words.endswith(": queued")
    assert "queued, 0 of 40 steps" in shown.still
    told = []
    shown.observe(lambda change: told.append(change.new), "revision")
    run.start().join()
    assert shown.wait(10)
    assert told == list(range(1, len(told) + 1))
    assert len(told) > 2
    assert shown.words.endswith(": done")
    assert "done, 40 of 40 steps" in shown.still
    assert "<script" not in shown.still


def test_a_dashboard_numbers_what_it_tells_and_stores_the_end(monkeypatch, until):
    told = []
    monkeypatch.setattr(Dashboard, "send", lambda self, message, **_: told.append(message))
    run = LiveRun(seconds=0.01, probes=1, steps=20)
    board = Board(runs=[run])
    shown = Dashboard(board)
    run.start().join()
    until(lambda: "done, 20 of 20 steps" in shown.still)
    assert [message["told"] for message in told] == list(range(1, len(told) + 1))
    assert shown.get_state("revision") == {"revision": told[-1]["told"]}
    shown._handle_custom_msg({"action": "look"}, [])
    assert told[-1] == {"revision": told[-2]["told"]}
    shown.close()


def told_of(monkeypatch, run):
    """A view of a run that goes on to its end, and what it told of that."""
    told = []
    monkeypatch.setattr(View, "send", lambda self, message, **_: told.append(message))
    shown = view(run)
    first = shown.state
    run.start().join()
    assert shown.wait(10)
    return shown, first, told


def test_a_view_tells_what_became_different_and_no_more(monkeypatch):
    shown, first, told = told_of(monkeypatch, LiveRun(seconds=0.01, probes=2, steps=60))
    assert [message["told"] for message in told] == list(range(1, len(told) + 1))
    assert shown.get_state("revision") == {"revision": len(told)}
    state = first
    for message in told:
        state = changed(state, message["difference"])
    assert json.loads(json.dumps(state)) == json.loads(json.dumps(shown.state))
    sizes = [len(json.dumps(message)) for message in told[1:]]  # the first brings the figures
    assert sum(sizes) / len(sizes) < len(json.dumps(shown.state)) / 3


@pytest.mark.browser
def test_a_page_that_is_told_piece_by_piece_shows_what_one_that_is_told_all_does(
    monkeypatch, mounted
):
    shown, first, told = told_of(monkeypatch, LiveRun(seconds=0.01, probes=2, steps=20))
    page = mounted(shown, state=first, revision=0)
    page.clock.run_for(100)
    assert page.locator(".hess-pill").text_content() == "queued"
    for message in told:
        page.evaluate(TELL, ["msg:custom", message])
    page.clock.run_for(200)
    pieces = page.locator(".hessview").inner_text()
    looks(page)
    assert "41.3" in pieces
    whole = mounted(shown)
    whole.clock.run_for(200)
    assert whole.locator(".hessview").inner_text() == pieces


@pytest.mark.browser
def test_a_page_that_missed_a_piece_asks_for_all_and_takes_it(monkeypatch, mounted):
    shown, first, told = told_of(monkeypatch, LiveRun(seconds=0.01, probes=2, steps=20))
    page = mounted(shown, state=first, revision=0)
    page.clock.run_for(100)
    page.evaluate(TELL, ["msg:custom", told[1]])
    page.evaluate(TELL, ["msg:custom", told[0]])  # late, and not twice
    assert looks(page) == ["again"]
    page.evaluate(TELL, ["msg:custom", told[0]])
    assert looks(page) == []
    now = {"state": shown.state, "revision": shown.revision}
    page.evaluate("(told) => window.model.update(told)", now)
    page.clock.run_for(200)
    assert page.locator(".hess-pill").text_content() == "done"


def test_widgets_share_two_pages():
    assert View.source is Dashboard.source
    assert RunCard.source is SessionCard.source
    assert View.source is not RunCard.source
    assert drawing_page().digest != card_page().digest
    assert View._esm == Dashboard._esm == RunCard._esm
    text = (ROOT / "hessview/page/static/plotly-cartesian.min.js").read_text()
    assert text not in View._esm
    assert text in View.source.text
