"""Where calls from a kernel are answered, whatever carried them."""

import hmac
import json
from typing import Any

from hessview.commands import command_from_json
from hessview.errors import HessviewError, JobError
from hessview.transport.mailbox import Mailbox


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
        """Refuse calls."""
        self._token = None

    def answer(self, token: str, operation: str, body: str) -> str:
        """Answer one call.

        Args:
            token: The token, as the caller knows it.
            operation: "submit", "cancel" or "ping".
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
            case "cancel":
                return self._mailbox.cancel(body["run"])
            case "ping":
                return None
        raise JobError(f"operation {operation!r} is unknown; install the same hessview.")


def refusal(kind: str, text: str) -> str:
    """The answer to a call that went wrong.

    Args:
        kind: Name of the error in `hessview.errors`.
        text: Its text.

    Returns:
        The answer, as JSON.
    """
    return json.dumps({"error": kind, "text": text})
