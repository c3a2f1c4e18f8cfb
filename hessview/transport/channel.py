"""How a kernel reaches a job: the interface of all channels, and a channel that only reads.

The latter tails the record, and no job learns of it; the line over RPC is in `transport.rpc`.
"""

import pathlib
import time
from typing import NoReturn, Protocol

from hessview.errors import (
    HessviewError,
    JobError,
    JobLostError,
    JobNotFoundError,
    JobStartingError,
)
from hessview.record.commands import Command
from hessview.record.events import Event
from hessview.record.log import EventReader
from hessview.transport.diagnosis import living_job
from hessview.transport.liveness import Pace
from hessview.transport.mailbox import Mailbox
from hessview.transport.run_directory import RunDirectory
from hessview.transport.trust import check_record

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
            remaining = deadline - time.monotonic()
            events = self._mailbox.events(after, max(0.0, min(remaining, _SLICE)))
            if events or remaining <= 0:
                return events
        return []

    def cancel(self, run: str) -> None:
        """See `Channel.cancel`."""
        self._mailbox.cancel(run)

    def close(self) -> None:
        """See `Channel.close`."""
        self._closed = True


_SELDOM = 0.5  # seconds between looks at the record while nothing comes
_LOOK = 0.5  # seconds between looks whether the job still lives


class WatchingChannel:
    """A read-only line to a run directory; implements `hessview.transport.channel.Channel`.

    Any number of them may follow one job, from any host that sees the directory. Directories
    that were copied, or opened to others, can be read too: nothing in them is trusted or run.

    Args:
        path: The run directory.

    Raises:
        RunDirectoryError: It is no run directory.
        JobStartingError: Its job is still starting.
        JobNotFoundError: There is no record in it.
    """

    state = "watching"

    def __init__(self, path: pathlib.Path) -> None:
        record = check_record(path)
        self._directory = RunDirectory(path.absolute())
        self._closed = False
        self._reader = EventReader(record)
        self._read_to = 0
        self._looked = 0.0
        self._pace = Pace(_SELDOM)

    def submit(self, run: str, command: Command) -> None:
        """Refuses: see `Channel.submit`."""
        self._refuse("ask for a run")

    def events(self, after: int, wait: float) -> list[Event]:
        """See `Channel.events`; once the job is gone, all that it recorded comes first."""
        deadline = time.monotonic() + wait
        while not self._closed:
            # Asked before reading, so that all that was recorded before the end is read.
            lost = self._lost()
            if events := self._recorded(after):
                self._pace.wake()
                return events
            if lost:
                raise JobLostError(lost)
            if time.monotonic() >= deadline:
                break
            time.sleep(self._pace.pause)
        return []

    def cancel(self, run: str) -> None:
        """Refuses: see `Channel.cancel`."""
        self._refuse("cancel a run")

    def close(self) -> None:
        """Stop listening; closing twice is allowed."""
        self._closed = True

    def _recorded(self, after: int) -> list[Event]:
        """Events of the record above `after`."""
        if after < self._read_to:  # asked again, from further back
            self._reader = EventReader(self._directory.events_path)
        events = [event for event in self._reader.read_in_order() if event.seq > after]
        self._read_to = events[-1].seq if events else max(after, self._read_to)
        return events

    def _lost(self) -> str:
        """Why nothing can come any more, "" as long as something may."""
        now = time.monotonic()
        if now - self._looked < _LOOK:
            return ""
        self._looked = now
        try:
            living_job(self._directory)
        except JobStartingError:  # the next job of this directory, whose events will come
            return ""
        except JobNotFoundError as error:
            return str(error)
        except HessviewError:  # on another host, or of another version: the record goes on
            return ""
        return ""

    def _refuse(self, action: str) -> NoReturn:
        raise JobError(
            f"this session only watches, and cannot {action}; use "
            f'hessview.attach("{self._directory.path}").'
        )
