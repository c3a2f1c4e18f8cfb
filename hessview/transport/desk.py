"""Where calls from a kernel are answered, whatever carried them."""

import hmac
import json
import time
from typing import Any

from hessview.commands import command_from_json
from hessview.errors import HessviewError, JobError
from hessview.messages import Event, event_to_json
from hessview.transport.mailbox import Mailbox

POLL = 2.0
"""Seconds that one call may wait for an event; a longer wait takes several calls."""

_SLICE = 0.05  # seconds; a link that closes waits for the calls it has begun


class Desk:
    """Answers calls that show the right token; it never raises, computes, or waits for a rank.

    Args:
        mailbox: What kernels may leave in and fetch from.
    """

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox
        self._token: str | None = None

    def open(self, token: str) -> None:
        """Answer calls that show this token."""
        self._token = token

    def close(self) -> None:
        """Refuse calls, and let those that wait return."""
        self._token = None

    def answer(self, token: str, operation: str, body: str) -> str:
        """Answer one call.

        Args:
            token: The token, as the caller knows it.
            operation: "submit", "events", "cancel" or "ping".
            body: Arguments of the operation, a JSON object.

        Returns:
            {"value": ...}, or {"error": name in `hessview.errors`, "text": ...}, as JSON.
        """
        if self._token is None:
            return refusal("JobLostError", "the job has hung up; attach again.")
        if not hmac.compare_digest(token, self._token):
            return refusal("JobError", "the token is wrong; attach again.")
        try:
            return json.dumps({"value": self._perform(operation, json.loads(body))})
        except HessviewError as error:
            return refusal(type(error).__name__, str(error))
        except Exception as error:  # raised, it would end up in the job's output
            return refusal("JobError", f"{operation} failed in the job: {error!r}")

    def _perform(self, operation: str, body: dict[str, Any]) -> Any:
        match operation:
            case "submit":
                return self._mailbox.submit(body["run"], command_from_json(body["command"]))
            case "events":
                return [event_to_json(event) for event in self._wait_for_events(**body)]
            case "cancel":
                return self._mailbox.cancel(body["run"])
            case "ping":
                return None
        raise JobError(f"operation {operation!r} is unknown; install the same hessview.")

    def _wait_for_events(self, after: int, wait: float) -> list[Event]:
        deadline = time.monotonic() + min(wait, POLL)
        while True:
            left = deadline - time.monotonic()
            events = self._mailbox.events(after, max(0.0, min(left, _SLICE)))
            if events or left <= 0 or self._token is None:
                return events


def refusal(kind: str, text: str) -> str:
    """The answer to a call that went wrong.

    Args:
        kind: Name of the error in `hessview.errors`.
        text: Its text.

    Returns:
        The answer, as JSON.
    """
    return json.dumps({"error": kind, "text": text})
