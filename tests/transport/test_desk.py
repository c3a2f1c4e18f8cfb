import json

import pytest

from hessview.commands import Density, command_to_json
from hessview.eventlog import EventLog
from hessview.transport.desk import Desk
from hessview.transport.mailbox import Mailbox


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
    assert mailbox.take() == ("a", command)
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
