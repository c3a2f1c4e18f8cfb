"""Where calls from a kernel are answered, whatever carried them."""

import hmac
import json
from typing import Any

from hessview.checked import shown
from hessview.commands import command_from_json
from hessview.errors import HessviewError, InputError, JobError
from hessview.eventlog import LONGEST_LINE
from hessview.messages import check_run
from hessview.transport.mailbox import Mailbox

_QUOTE = "'"


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
        if not _same(token, self._token):
            return refusal("JobError", "the token is wrong; attach again.")
        try:
            return json.dumps({"value": self._perform(operation, body)})
        except HessviewError as error:
            return refusal(type(error).__name__, str(error))
        except Exception as error:  # raised, it would end up in the job's output
            text = f"{shown(operation, 40).strip(_QUOTE)} failed in the job: {shown(error)}"
            return refusal("JobError", f"{text}; install the same hessview on both sides.")

    def _perform(self, operation: str, body: str) -> Any:
        if len(body) > LONGEST_LINE:
            raise InputError(
                f"a call came with {len(body):,} characters; use commands of at most "
                f"{LONGEST_LINE:,}."
            )
        fields = json.loads(body)
        match operation:
            case "submit":
                run = check_run(fields["run"])
                return self._mailbox.submit(run, command_from_json(fields["command"]))
            case "cancel":
                return self._mailbox.cancel(check_run(fields["run"]))
            case "ping":
                return None
        raise JobError(f"operation {shown(operation, 40)} is unknown; install the same hessview.")


def _same(token: object, own: str) -> bool:
    """Whether a token is the right one, in a time that does not tell how much of it is."""
    given = token if isinstance(token, str) else ""
    # Not as texts, which may hold ASCII only.
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), own.encode())


def refusal(kind: str, text: str) -> str:
    """The answer to a call that went wrong.

    Args:
        kind: Name of the error in `hessview.errors`.
        text: Its text.

    Returns:
        The answer, as JSON.
    """
    return json.dumps({"error": kind, "text": text})
