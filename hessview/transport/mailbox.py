"""Rank 0's counter, where commands are left and events are picked up; safe from any thread."""

import collections
import threading
from collections.abc import Callable

from hessview.commands import Command, command_to_json
from hessview.eventlog import EventLog
from hessview.messages import Event, Payload, RunEnded, RunQueued


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
        self._waiting: collections.deque[tuple[str, Command]] = collections.deque()
        self._known = {event.run for event in log.events if event.run}
        self._cancelled: set[str] = set()

    def submit(self, run: str, command: Command) -> None:
        """Queue a command; the same run identity twice counts once.

        Raises:
            InputError: The job cannot carry it out; nothing was recorded.
        """
        with self._changed:
            if run in self._known:
                return
            if self._accept is not None:
                self._accept(command)
            self._write(RunQueued(command=command_to_json(command)), run)
            self._known.add(run)  # not before: what the disk has no room for may come again
            self._waiting.append((run, command))

    def events(self, after: int, wait: float) -> list[Event]:
        """Events with a sequence number above `after`, waiting up to `wait` seconds for one."""
        with self._changed:
            self._changed.wait_for(lambda: bool(self._since(after)), timeout=wait)
            return self._since(after)

    def cancel(self, run: str) -> None:
        """Drop a queued run, or mark a running one to stop at its next safe point."""
        with self._changed:
            for entry in self._waiting:
                if entry[0] == run:
                    self._write(RunEnded(state="cancelled", error="cancelled while queued"), run)
                    self._waiting.remove(entry)
                    return
            self._cancelled.add(run)

    def take(self, wait: float = 0.0) -> tuple[str, Command] | None:
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
