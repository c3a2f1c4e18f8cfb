"""What a page asks of a session, on a real one in this process."""

import threading
import time

import pytest

from hessview.errors import HessviewError
from hessview.page.live import SECONDS_BETWEEN, Actions, Pump, perform
from hessview.page.widget import View
from hessview.record.commands import Density, command_to_json

LONG = {"steps": 100, "probes": 20}  # a run that no test waits for


def test_a_run_is_asked_for_and_cancelled(session, until):
    run = perform({"action": "measure", "command": command_to_json(Density(**LONG))}, session)
    assert run.command == Density(**LONG)
    assert perform({"action": "cancel", "run": run.id}, session) is None
    until(lambda: run.state == "cancelled")


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (None, "is not allowed; use an action"),
        ({"action": "format the disk"}, "is not allowed; use an action"),
        ({"action": "cancel", "run": "<b>"}, "run '<b>' is none of this session's"),
        ({"action": "cancel"}, "run '' is none of this session's"),
        ({"action": "measure"}, "command=None is not allowed"),
        ({"action": "measure", "command": {"command": "density", "steps": 0}}, "steps=0"),
        ({"action": "measure", "command": {"command": "density", "color": 1}}, "has no"),
        ({"action": "measure", "command": {"command": "accuracy", "epsilons": 3}}, "epsilons"),
    ],
)
def test_what_a_page_may_not_ask(session, message, text):
    with pytest.raises(HessviewError, match=text):
        perform(message, session)
    assert session.runs == []


def test_failures_are_answered_from_another_thread_and_never_raised():
    answers = []
    there = threading.Event()

    def answer(notice, run):
        answers.append((notice, run, threading.current_thread()))
        there.set()

    def nobody(about):
        raise ZeroDivisionError(about)

    Actions(nobody, answer)({"action": "cancel", "run": "x"})
    assert there.wait(10)
    [(notice, run, thread)] = answers
    assert notice == {"text": "that failed: ZeroDivisionError('x')", "tone": "bad"}
    assert run is None
    assert thread is not threading.current_thread()


def test_what_is_measured_from_the_page_joins_the_curve_on_it(session, until):
    run = session.accuracy(epsilons=[1e-2], probes=1, top=False)
    view = View(run)
    assert view.state["asking"]
    again = view.state["sections"][0]["panels"][0]["again"]
    message = {"action": "measure", "command": {**again, "epsilons": [1e-3]}}
    view._handle_custom_msg(message, [])
    until(lambda: len(session.runs) == 2)
    until(lambda: [section["status"]["state"] for section in view.state["sections"]] == ["done"])
    assert session.runs[1].command.epsilons == (1e-3,)
    [section] = view.state["sections"]  # one section, in which the runs are joined
    assert section["status"]["done"] == sum(one.command.total for one in session.runs)

    view._handle_custom_msg({"action": "measure", "command": {**again, "epsilons": [-1.0]}}, [])
    until(lambda: view.state["notice"])
    assert "epsilons" in view.state["notice"]["text"]
    assert len(session.runs) == 2
    view.close()


def test_a_page_whose_job_is_gone_says_why_it_cannot_be_asked(session, until):
    view = View(session.density(steps=2, probes=1))
    view.wait(60)
    session.close()
    until(lambda: not view.state["asking"])
    assert "session is closed" in view.state["reason"] or "has ended" in view.state["reason"]
    view.close()


def test_pokes_that_come_together_count_as_one_and_none_is_lost(until):
    seen = []
    said = [0]
    pump = Pump(lambda: seen.append(said[-1]))
    began = time.monotonic()
    for value in range(1, 201):
        said.append(value)
        pump.poke()
        time.sleep(0.002)
    until(lambda: seen[-1] == 200)
    assert len(seen) <= 3 + (time.monotonic() - began) / SECONDS_BETWEEN
    pump.close()
    pump.poke()
    time.sleep(2 * SECONDS_BETWEEN)
    assert seen[-1] == 200
