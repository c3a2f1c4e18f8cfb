"""Rank 0's queue of commands and its events, whatever way a kernel's calls come."""

import collections
import hmac
import json
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

from hessview.errors import HessviewError, InputError, JobError
from hessview.record.commands import Command, Coupling, command_to_json
from hessview.record.events import Event, JobStarted, Payload, RunEnded, RunQueued, check_run
from hessview.record.log import LONGEST_LINE, EventLog
from hessview.record.measurements import command_from_json
from hessview.record.validation import shown


class Queued(NamedTuple):
    """A command that waits for the ranks.

    Attributes:
        run: Identity of its run.
        command: The command.
        text: The command as JSON, in which form other ranks get it.
    """

    run: str
    command: Command
    text: str


class Mailbox:
    """Joins the threads that talk to kernels with the one that computes.

    Kernels' threads call `submit`, `events` and `cancel`; none of these computes or waits
    for a rank. The computing thread calls `take`, `append` and `is_cancelled`.

    Args:
        log: The record; all further writing goes through this mailbox.
        accept: Raises InputError for commands that the job cannot carry out; None takes all.
    """

    def __init__(self, log: EventLog, accept: Callable[[Command], None] | None = None) -> None:
        self._log = log
        self._accept = accept
        self._changed = threading.Condition()
        self._waiting: collections.deque[Queued] = collections.deque()
        self._runs = {event.run for event in log.events if event.run}
        self._cancelled: set[str] = set()

    def submit(self, run: str, command: Command) -> None:
        """Queue a command; the same run identity twice counts once.

        Raises:
            InputError: What no reader could hold, a run's identity that is none, or what the job
                cannot carry out; nothing was recorded.
            RecordError: The disk has no room for it.
        """
        check_run(run)
        command.check_size()
        with self._changed:
            if run in self._runs:
                return
            if self._accept is not None:
                self._accept(command)
            blocks = self._blocks() if isinstance(command, Coupling) and not command.blocks else []
            fields = command_to_json(command)
            self._write(RunQueued(command=fields, blocks=blocks), run)
            self._runs.add(run)  # not before: what the disk has no room for may come again
            self._waiting.append(Queued(run, command, json.dumps(fields)))

    def events(self, after: int, wait: float) -> list[Event]:
        """Events with a sequence number above `after`, waiting up to `wait` seconds for one."""
        with self._changed:
            self._changed.wait_for(lambda: bool(self._since(after)), timeout=wait)
            return self._since(after)

    def cancel(self, run: str) -> None:
        """Drop a queued run, or mark a running one to stop at its next safe point."""
        with self._changed:
            for entry in self._waiting:
                if entry.run == run:
                    self._write(RunEnded(state="cancelled", error="cancelled while queued"), run)
                    self._waiting.remove(entry)
                    return
            if run in self._runs:
                self._cancelled.add(run)

    def take(self, wait: float = 0.0) -> Queued | None:
        """The next queued command, or None if none came within `wait` seconds."""
        with self._changed:
            self._changed.wait_for(lambda: bool(self._waiting), timeout=wait)
            return self._waiting.popleft() if self._waiting else None

    def append(self, payload: Payload, run: str = "") -> Event:
        """Write an event to the record and wake whoever waits for one."""
        with self._changed:
            return self._write(payload, run)

    def is_cancelled(self, run: str) -> bool:
        """Whether somebody asked for this run to stop."""
        return run in self._cancelled

    def _blocks(self) -> list[str]:
        """Names of the job's blocks, as it told them itself."""
        for event in reversed(self._log.events):
            if isinstance(event.payload, JobStarted):
                return list(event.payload.blocks)
        return []

    def _write(self, payload: Payload, run: str) -> Event:
        event = self._log.append(payload, run)
        self._changed.notify_all()
        return event

    def _since(self, after: int) -> list[Event]:
        events = self._log.events
        if not events or events[-1].seq <= after:
            return []
        first = next(i for i in range(len(events), -1, -1) if i == 0 or events[i - 1].seq <= after)
        return events[first:]


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
        if not _is_token(token, self._token):
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


def _is_token(token: object, expected: str) -> bool:
    """Whether a token is right, in a time that does not depend on how much of it is."""
    text = token if isinstance(token, str) else ""
    # As bytes: compare_digest takes texts of ASCII only.
    return hmac.compare_digest(text.encode("utf-8", "surrogatepass"), expected.encode())


def refusal(kind: str, text: str) -> str:
    """The answer to a call that went wrong.

    Args:
        kind: Name of the error in `hessview.errors`.
        text: Its text.

    Returns:
        The answer, as JSON.
    """
    return json.dumps({"error": kind, "text": text})
