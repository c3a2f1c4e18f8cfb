"""The record on disk: an append-only event log, one checksummed JSON line an event.

A line is {"crc32": "...", "event": {...}}. A line is acknowledged once it is
fsynced; a torn last line was never acknowledged and is passed over. Any other
line that fails its checksum, or holds what no event may, is left out with a
RecordWarning that names it.
"""

import contextlib
import json
import operator
import os
import time
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from hessview.errors import RecordError, RecordWarning
from hessview.record.events import Event, Payload, event_from_json, event_to_json
from hessview.record.files import open_regular

FILENAME = "events.jsonl"

LONGEST_LINE = 1 << 22
"""Bytes of a line; a reading of 1,000 blocks needs 60 kB, and the names of 50,000 blocks 2 MB."""

_HEAD = '{"crc32": "'
_MIDDLE = '", "event": '
_CHUNK = 1 << 20
_SEARCHED = 1 << 28  # bytes looked through at a time for the end of a line that has none
_WARNED_SINGLY = 20  # lines that are warned of one by one

_UNREADABLE = (ValueError, RecursionError, MemoryError)  # what hostile JSON makes json raise


def _encode(data: dict[str, Any]) -> bytes:
    body = json.dumps(data, allow_nan=False)
    return f"{_HEAD}{zlib.crc32(body.encode()):08x}{_MIDDLE}{body}}}\n".encode()


def _decode(line: bytes) -> Any:
    """The event as JSON has it.

    Raises:
        ValueError: The line is not what was written.
        RecordError: It is, and json cannot read it.
    """
    start = len(_HEAD) + 8 + len(_MIDDLE)
    body = line[start:-1]
    written = int(line[len(_HEAD) : len(_HEAD) + 8], 16)
    if written != zlib.crc32(body) or not line.startswith(_HEAD.encode()):
        raise ValueError("the checksum differs")
    try:
        return json.loads(body)
    except _UNREADABLE as error:
        raise RecordError(f"it is no JSON that can be read ({type(error).__name__})") from error


class EventReader:
    """Follows an event log that may still be written to.

    Args:
        path: The events.jsonl file; it need not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._line = 0
        self._events = 0
        self._left_out = 0
        self._foreign: list[str] = []  # why lines were left out, as long as none was read
        self._endless = False
        self._searched = 0  # how far the end of an overlong line was looked for
        self.offset = 0
        """Bytes read so far: the end of the last complete line."""

    def read(self) -> Iterator[Event]:
        """Events that were completed since the last call.

        Yields:
            Events in the order in which they stand in the file, which is that of their numbers
            unless somebody moved lines.

        Raises:
            RecordError: The file cannot be opened, is no regular file, or holds events of another
                version only.
        """
        try:
            stream = open_regular(self._path)
        except FileNotFoundError:
            return
        except OSError as error:
            raise RecordError(
                f"{self._path} cannot be read ({error}); check its permissions, and that it is "
                "the file that a job wrote."
            ) from error
        with stream:
            before = self._left_out
            for line in self._lines(stream):
                try:
                    event = event_from_json(_decode(line))
                except ValueError:
                    self._leave_out("fails its checksum")
                except RecordError as error:
                    self._leave_out_foreign(str(error).rstrip("."))
                else:
                    self._events += 1
                    while self._foreign:
                        _warn(self._foreign.pop(0))
                    yield event
            reported = max(_WARNED_SINGLY, before)
            if self._left_out > reported:
                _warn(f"{self._left_out - reported} more lines of {self._path} are left out.")
        if self._foreign:  # there is no other event: it is not a matter of a damaged line
            raise RecordError(self._foreign[0])

    def read_in_order(self) -> list[Event]:
        """Events that were completed since the last call, by their numbers.

        Raises:
            RecordError: As of `read`.
        """
        return sorted(self.read(), key=operator.attrgetter("seq"))

    def _lines(self, stream: BinaryIO) -> Iterator[bytes]:
        """Complete lines; those that no writer writes, since they are too long, are left out."""
        if self._searched > os.fstat(stream.fileno()).st_size:
            self._searched = 0  # a new job cut the torn end off
        stream.seek(max(self.offset, self._searched))
        searching = self._searched > self.offset
        while True:
            line = b"" if searching else stream.readline(LONGEST_LINE)
            if not searching and line.endswith(b"\n"):
                self.offset += len(line)
                self._line += 1
                yield line.rstrip(b"\n")
            elif not searching and len(line) < LONGEST_LINE:
                return  # torn, or not written to its end yet
            elif self._search_end(stream):
                self._leave_out(f"is longer than {LONGEST_LINE:,} bytes")
                searching = False
            else:
                if not self._endless:
                    self._endless = True
                    _warn(
                        f"from byte {self.offset:,} on, {self._path} holds {LONGEST_LINE:,} bytes "
                        "and more without an end of line; they are left out."
                    )
                return

    def _search_end(self, stream: BinaryIO) -> bool:
        """Pass over the rest of an overlong line; whether its end was found."""
        file, position = stream.fileno(), stream.tell()
        own, searched = os.lseek(file, 0, os.SEEK_CUR), 0  # where the stream reads from next
        while searched < _SEARCHED:
            try:  # what a power loss may leave is a hole, which needs no reading
                position = os.lseek(file, position, os.SEEK_DATA)
            except OSError:
                position = max(position, os.fstat(file).st_size)
            chunk = os.pread(file, _CHUNK, position)
            end = chunk.find(b"\n")
            if end >= 0:
                os.lseek(file, own, os.SEEK_SET)
                stream.seek(position + end + 1)
                self.offset, self._searched = position + end + 1, 0
                self._line += 1
                return True
            if not chunk:
                break
            position, searched = position + len(chunk), searched + len(chunk)
        self._searched = position
        return False

    @property
    def at_end(self) -> bool:
        """Whether all that is there was looked at, also what has no end of line."""
        try:
            size = os.stat(self._path).st_size
        except FileNotFoundError:
            return True
        return self._searched == 0 or self._searched >= size

    def _leave_out(self, reason: str) -> None:
        self._left_out += 1
        if self._left_out <= _WARNED_SINGLY:
            _warn(
                f"line {self._line} of {self._path} {reason} and is left out; "
                "what it held counts as not measured."
            )

    def _leave_out_foreign(self, reason: str) -> None:
        """Leave a line out that is as somebody wrote it, but holds what no event may."""
        self._left_out += 1
        text = f"line {self._line} of {self._path} is left out: {reason}."
        if not self._events and len(self._foreign) < _WARNED_SINGLY:
            self._foreign.append(text)
        elif self._left_out <= _WARNED_SINGLY:
            _warn(text)


def _warn(text: str) -> None:
    warnings.warn(text, RecordWarning, stacklevel=4)


def read_events(path: Path) -> list[Event]:
    """All complete events of a log.

    Args:
        path: The events.jsonl file.

    Returns:
        Events in the order in which they were written; empty if there is no file.
    """
    return EventReader(path).read_in_order()


class EventLog:
    """Appends events, numbered from 1 without gaps; the only writer of its file.

    Opening an existing log goes on where it ended, and cuts a torn last line off.

    Args:
        job: Identity of the job that writes.
        path: The events.jsonl file, or None to keep the events in memory only.

    Raises:
        RecordError: The file cannot be written.
    """

    def __init__(self, job: str, path: Path | None = None) -> None:
        self.job = job
        self.events: list[Event] = []
        self._path = path
        self._file: int | None = None
        if path is not None:
            reader = EventReader(path)
            self.events = reader.read_in_order()
            while not reader.at_end:  # it is cut off here: only what is no line may be
                self.events += reader.read_in_order()
            try:
                self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
                os.ftruncate(self._file, reader.offset)
                os.lseek(self._file, reader.offset, os.SEEK_SET)
            except OSError as error:
                raise RecordError(
                    f"{path} cannot be written ({error}); choose another run directory."
                ) from error
        self._seq = self.events[-1].seq if self.events else 0

    def append(self, payload: Payload, run: str = "") -> Event:
        """Write one event and wait until it is on disk.

        Args:
            payload: What happened.
            run: Identity of the run, "" for the job's own events.

        Returns:
            The numbered event.

        Raises:
            RecordError: The disk is full or the file is gone, or no reader could read the event;
                nothing was recorded, nor acknowledged.
        """
        event = Event(seq=self._seq + 1, time=time.time(), job=self.job, run=run, payload=payload)
        line = _readable(event)
        if self._file is not None:
            end = os.lseek(self._file, 0, os.SEEK_CUR)
            try:
                written = os.write(self._file, line)
                if written != len(line):
                    raise OSError(f"{written} of {len(line)} bytes written")
                os.fsync(self._file)
            except OSError as error:
                with contextlib.suppress(OSError):  # the system made it read-only
                    os.ftruncate(self._file, end)
                os.lseek(self._file, end, os.SEEK_SET)
                raise RecordError(
                    f"{self._path} cannot be written ({error}); free disk space."
                ) from error
        self._seq = event.seq
        self.events.append(event)
        return event

    def close(self) -> None:
        """Close the file; the events stay readable."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def _readable(event: Event) -> bytes:
    """The line of an event, which was read once, so that others will be able to."""
    kind = event.payload.kind
    try:
        line = _encode(event_to_json(event))
        event_from_json(_decode(line[:-1]))
    except (TypeError, OverflowError, RecordError, *_UNREADABLE) as error:
        raise RecordError(
            f"an event of kind {kind!r} cannot be recorded, since nobody could read it ({error}); "
            "let what is measured be finite or NaN, as Python's own numbers."
        ) from error
    if len(line) > LONGEST_LINE:
        raise RecordError(
            f"an event of kind {kind!r} takes {len(line):,} bytes, and a line of the record may "
            f"take {LONGEST_LINE:,}; ask for fewer blocks, or give shorter names."
        )
    return line
