"""The record on disk: an append-only event log, one checksummed JSON line an event.

A line is {"crc32": "...", "event": {...}}. A line is acknowledged once it is
fsynced; a torn last line was never acknowledged and is passed over. Any other
line that fails its checksum is left out with a RecordWarning that names it.
"""

import contextlib
import json
import os
import time
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hessview.errors import RecordError, RecordWarning
from hessview.messages import Event, Payload, event_from_json, event_to_json

FILENAME = "events.jsonl"

_HEAD = '{"crc32": "'
_MIDDLE = '", "event": '


def _encode(data: dict[str, Any]) -> bytes:
    body = json.dumps(data, allow_nan=False)
    return f"{_HEAD}{zlib.crc32(body.encode()):08x}{_MIDDLE}{body}}}\n".encode()


def _decode(line: bytes) -> dict[str, Any] | None:
    """The event's JSON object, or None where the line is not what was written."""
    start = len(_HEAD) + 8 + len(_MIDDLE)
    body = line[start:-1]
    try:
        written = int(line[len(_HEAD) : len(_HEAD) + 8], 16)
        if written != zlib.crc32(body) or not line.startswith(_HEAD.encode()):
            return None
        data: dict[str, Any] = json.loads(body)
    except ValueError:
        return None
    return data


class EventReader:
    """Follows an event log that may still be written to.

    Args:
        path: The events.jsonl file; it need not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._line = 0
        self.offset = 0
        """Bytes read so far: the end of the last complete line."""

    def read(self) -> Iterator[Event]:
        """Events that were completed since the last call.

        Yields:
            Events in the order in which they were written.

        Raises:
            RecordError: The file cannot be opened, or holds events of another version.
        """
        try:
            stream = self._path.open("rb")
        except FileNotFoundError:
            return
        except OSError as error:
            raise RecordError(
                f"{self._path} cannot be read ({error}); check its permissions."
            ) from error
        with stream:
            stream.seek(self.offset)
            for line in stream:
                if not line.endswith(b"\n"):
                    return
                self.offset += len(line)
                self._line += 1
                data = _decode(line.rstrip(b"\n"))
                if data is None:
                    warnings.warn(
                        f"line {self._line} of {self._path} fails its checksum and is left out; "
                        "what it held counts as not measured.",
                        RecordWarning,
                        stacklevel=2,
                    )
                else:
                    yield event_from_json(data)


def read_events(path: Path) -> list[Event]:
    """All complete events of a log.

    Args:
        path: The events.jsonl file.

    Returns:
        Events in the order in which they were written; empty if there is no file.
    """
    return list(EventReader(path).read())


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
            self.events = list(reader.read())
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
            RecordError: The disk is full or the file is gone; nothing was acknowledged.
        """
        event = Event(seq=self._seq + 1, time=time.time(), job=self.job, run=run, payload=payload)
        if self._file is not None:
            line = _encode(event_to_json(event))
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
