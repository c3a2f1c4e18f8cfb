import json
import re

import pytest

from helpers.emulated import payloads
from hessview.record.commands import Coupling, Density, command_to_json
from hessview.record.log import EventLog
from hessview.record.measurements import command_from_text
from hessview.transport.mailbox import Desk, Mailbox


@pytest.fixture
def mailbox():
    return Mailbox(EventLog("job"))


@pytest.fixture
def desk(mailbox):
    made = Desk(mailbox)
    made.open("right")
    return made


def ask(desk, operation, token="right", **body):
    return json.loads(desk.answer(token, operation, json.dumps(body)))


def test_it_hands_commands_in(desk, mailbox):
    command = Density(steps=2)
    assert ask(desk, "submit", run="a", command=command_to_json(command)) == {"value": None}
    queued = mailbox.take()
    assert queued[:2] == ("a", command)
    assert command_from_text(queued.text) == command
    (event,) = mailbox.events(0, 0)
    assert event.payload.command == command_to_json(command)
    assert ask(desk, "ping") == {"value": None}
    assert ask(desk, "cancel", run="a") == {"value": None}
    assert mailbox.is_cancelled("a")


@pytest.mark.parametrize("token", ["", "wrong", "right "])
def test_it_does_nothing_for_a_wrong_token(desk, mailbox, token):
    reply = ask(desk, "submit", token, run="a", command=command_to_json(Density()))
    assert reply == {"error": "JobError", "text": "the token is wrong; attach again."}
    assert mailbox.take() is None


def test_it_does_nothing_once_it_is_closed(desk, mailbox):
    desk.close()
    reply = ask(desk, "submit", run="a", command=command_to_json(Density()))
    assert reply == {"error": "JobLostError", "text": "the job has hung up; attach again."}
    assert mailbox.take() is None


def test_nothing_that_goes_wrong_is_raised(desk):
    assert ask(desk, "cancel")["error"] == "JobError"
    assert ask(desk, "dance")["error"] == "JobError"
    assert json.loads(desk.answer("right", "cancel", "torn"))["error"] == "JobError"
    assert ask(desk, "submit", run="a", command={"command": "density", "steps": 0}) == {
        "error": "InputError",
        "text": "steps=0 is not allowed; use a whole number >= 1.",
    }


@pytest.mark.parametrize("token", ["é", "\ud800", None, 5, b"right", ["right"], "right\0"])
def test_a_token_of_any_type_is_answered(desk, mailbox, token):
    reply = ask(desk, "submit", token, run="a", command=command_to_json(Density()))
    assert reply == {"error": "JobError", "text": "the token is wrong; attach again."}
    assert mailbox.take() is None


@pytest.mark.parametrize(
    ("operation", "body", "refusal"),
    [
        (None, "{}", "operation None is unknown"),
        (["submit"], "{}", "operation .'submit'. is unknown"),
        ("x" * 10_000, "{}", "operation 'x{39}... is unknown"),
        ("submit", "[" * 100_000, "submit failed in the job: RecursionError"),
        ("submit", None, "submit failed in the job: TypeError"),
        ("submit", "null", "submit failed in the job: TypeError"),
        ("submit", " " * 5_000_000, "a call came with 5,000,000 characters; use commands of at"),
        ("cancel", '{"run": []}', r"run \[\] is not allowed; use up to 64 letters"),
    ],
)
def test_an_operation_of_any_form_is_answered(desk, operation, body, refusal):
    assert re.match(refusal, json.loads(desk.answer("right", operation, body))["text"])


@pytest.mark.parametrize("run", [None, 1e308, "", "../../x", "a/b", ["a"], "x" * 65, "\ud800"])
def test_an_identity_that_names_no_run_is_refused_and_not_recorded(desk, mailbox, run):
    reply = ask(desk, "submit", run=run, command=command_to_json(Density()))
    assert reply["error"] == "InputError"
    assert re.match(r"run .* is not allowed; use up to 64 letters, digits", reply["text"])
    assert mailbox.events(0, 0) == []


@pytest.mark.parametrize(
    "command",
    [
        {"command": "density", "probes": 10_000_000, "steps": 80},
        {"command": "density", "seed": 2**63},
        {"command": "accuracy", "epsilons": [0.1], "top": None},
        {"command": "coupling", "blocks": [["a", "x"], ["b", 5]]},
        {"command": []},
        None,
    ],
)
def test_what_no_reader_could_hold_is_refused_and_not_recorded(desk, mailbox, command):
    reply = ask(desk, "submit", run="a", command=command)
    assert reply["error"] == "InputError"
    assert "use" in reply["text"]
    assert mailbox.events(0, 0) == []
    assert ask(desk, "submit", run="a", command=command_to_json(Density())) == {"value": None}


def test_the_names_of_the_jobs_blocks_come_with_a_coupling_that_takes_them():
    log = EventLog("job")
    job = next(payloads())
    log.append(job)
    mailbox = Mailbox(log)
    mailbox.submit("a", Coupling())
    mailbox.submit("b", Coupling(blocks={"x": "x*", "y": "y*"}))
    mailbox.submit("c", Density())
    assert [event.payload.blocks for event in log.events[1:]] == [list(job.blocks), [], []]


def test_to_cancel_what_was_never_asked_for_is_nothing_to_remember(mailbox):
    mailbox.cancel("nobody")
    assert not mailbox.is_cancelled("nobody")
