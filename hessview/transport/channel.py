"""What a kernel can ask of a job, whatever lies between them."""

import time
from typing import Protocol

from hessview.commands import Command
from hessview.messages import Event
from hessview.transport.mailbox import Mailbox

_SLICE = 0.1  # seconds; a wait for events looks this often whether the line was closed


class Channel(Protocol):
    """A kernel's line to a job.

    Every method may raise JobLostError; the message says what happened and what to do.
    """

    @property
    def state(self) -> str:
        """Either "attached" to a job that can be asked, or "watching" its record."""
        ...

    def submit(self, run: str, command: Command) -> None:
        """Hand a command to the job; the same run identity twice counts once.

        Args:
            run: Identity of the run, made by the kernel.
            command: What to measure.
        """
        ...

    def events(self, after: int, wait: float) -> list[Event]:
        """Events with a sequence number above `after`.

        Args:
            after: Last sequence number that the caller has; 0 replays all.
            wait: Seconds to wait for an event if there is none yet.

        Returns:
            Events in order; empty if none came in time.
        """
        ...

    def cancel(self, run: str) -> None:
        """Stop a queued or running run at the next safe point; an ended one is left alone."""
        ...

    def close(self) -> None:
        """Leave the job, which goes on; closing twice is allowed."""
        ...


class LocalChannel:
    """A line to a job in this very process.

    Args:
        mailbox: The job's mailbox.
    """

    state = "attached"

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox
        self._closed = False

    def submit(self, run: str, command: Command) -> None:
        """See `Channel.submit`."""
        self._mailbox.submit(run, command)

    def events(self, after: int, wait: float) -> list[Event]:
        """See `Channel.events`."""
        deadline = time.monotonic() + wait
        while not self._closed:
            left = deadline - time.monotonic()
            events = self._mailbox.events(after, max(0.0, min(left, _SLICE)))
            if events or left <= 0:
                return events
        return []

    def cancel(self, run: str) -> None:
        """See `Channel.cancel`."""
        self._mailbox.cancel(run)

    def close(self) -> None:
        """See `Channel.close`."""
        self._closed = True
