"""What a path is, and whether it may be trusted as a run directory: one wording for each case.

A directory that others can read is refused, and every file is checked: whatever was damaged, is of
a newer version, or was put there by somebody is refused in words, within bounded time and memory.
"""

import collections
import json
import os
import pathlib
import stat
from collections.abc import Iterator
from typing import Any

from hessview.errors import JobNotFoundError, JobStartingError, RunDirectoryError
from hessview.record.files import read_text
from hessview.record.log import FILENAME
from hessview.record.validation import shown
from hessview.transport.files import Starting

JOB = "job.json"
LOCK = "job.lock"
_MARKS = (JOB, LOCK, Starting.FILENAME, FILENAME)  # any of them makes a directory one
_DEPTH = 3  # folders below the given one that are looked through
_LOOKED_AT = 2_000  # entries, so that a whole file system is not searched for a slip of the pen
_SHOWN = 5


def is_run_directory(path: pathlib.Path) -> bool:
    """Whether a directory holds what a job leaves there: its file, its record, or its beginning."""
    return any(os.path.lexists(path / mark) for mark in _MARKS)


def check_run_directory(path: pathlib.Path) -> None:
    """Refuse a path that is no run directory, and name those that lie below it.

    Args:
        path: What was given where a run directory is wanted.

    Raises:
        RunDirectoryError: Nothing is there, a file, or a directory in which no job was started.
    """
    check_there(path)
    if not is_run_directory(path):
        below = [
            str(directory) for directory, _ in zip(_below(path), range(_SHOWN + 1), strict=False)
        ]
        more = ", ..." if len(below) > _SHOWN else ""
        cure = (
            f"below it are {', '.join(below[:_SHOWN])}{more}: pass one of these."
            if below
            else "pass what the job was given as --run-dir."
        )
        raise RunDirectoryError(
            f"{path} is no run directory (it holds neither {JOB} nor {FILENAME}); {cure}"
        )


def check_there(path: pathlib.Path) -> None:
    """Refuse a path at which there is no directory.

    Args:
        path: What was given where a run directory is wanted.

    Raises:
        RunDirectoryError: Nothing is there, or something else.
    """
    if not os.path.lexists(path):
        raise RunDirectoryError(
            f"there is no run directory {path}; check the path, or start a job with "
            f"--run-dir {path}."
        )
    if not path.is_dir():
        raise RunDirectoryError(
            f"{path} is not a directory; pass the run directory of a job, the one that holds "
            f"{FILENAME}."
        )


def check_record(path: pathlib.Path) -> pathlib.Path:
    """The record of a run directory.

    Args:
        path: What was given where a run directory is wanted.

    Returns:
        Path of the record, which is there.

    Raises:
        RunDirectoryError: It is no run directory.
        JobStartingError: Its job is still starting, and has recorded nothing yet.
        JobNotFoundError: No job got so far as to record anything.
    """
    check_run_directory(path)
    record = path / FILENAME
    if not os.path.lexists(record):
        refuse_starting(path)
        raise JobNotFoundError(
            f"run directory {path} holds no record ({FILENAME}): no job got so far there; start "
            f"one with --run-dir {path}."
        )
    return record


def refuse_starting(path: pathlib.Path) -> None:
    """Say of a job that is still starting that it is, and how long it has been at what.

    Args:
        path: The run directory.

    Raises:
        JobStartingError: Its job is still starting.
    """
    starting = Starting.read(path)
    if starting is not None and starting.process.life() != "gone":
        raise JobStartingError(
            f"the job of {path} is still starting ({starting}); wait, such as with "
            f'hessview.attach("{path}", wait=120).'
        )


def _below(top: pathlib.Path) -> Iterator[pathlib.Path]:
    """Run directories below a folder, the nearest first, as far as a short look finds them."""
    waiting = collections.deque([(top, 0)])
    looked_at = 0
    while waiting:
        folder, depth = waiting.popleft()
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError:  # of another user, or gone meanwhile
            continue
        for entry in entries:
            looked_at += 1
            if looked_at > _LOOKED_AT:
                return
            if not entry.is_dir(follow_symlinks=False):
                continue
            if is_run_directory(pathlib.Path(entry.path)):
                yield pathlib.Path(entry.path)
            elif depth + 1 < _DEPTH:
                waiting.append((pathlib.Path(entry.path), depth + 1))


_MOST_BYTES = 1 << 20
"""Of a small file of a run directory; each holds some hundreds."""


def check_safe(path: pathlib.Path) -> None:
    """Check that only its user can have put there what a run directory holds, or read it.

    Args:
        path: The directory.

    Raises:
        RunDirectoryError: A link, not a directory, of another user, or open to others.
    """
    status = os.lstat(path)
    if stat.S_ISLNK(status.st_mode):
        raise RunDirectoryError(
            f"run directory {path} is a symbolic link; name the directory itself."
        )
    if not stat.S_ISDIR(status.st_mode):
        raise RunDirectoryError(f"run directory {path} is not a directory; choose another path.")
    if status.st_uid != os.getuid():
        raise RunDirectoryError(
            f"run directory {path} belongs to another user (uid {status.st_uid}, you are "
            f"{os.getuid()}); use one of your own."
        )
    mode = stat.S_IMODE(status.st_mode)
    if mode & 0o077 and not is_run_directory(path) and any(path.iterdir()):
        raise RunDirectoryError(
            f"{path} is no run directory, and holds other files; choose one that is not there "
            "yet, which is made with mode 0700."
        )
    if mode & 0o077:
        raise RunDirectoryError(
            f"run directory {path} is open to others (mode {mode:04o}), who could run code in "
            f"the job; close it with: chmod 700 {path}"
        )


def read_small(path: pathlib.Path, cure: str) -> str:
    """The text of a small file.

    Args:
        path: The file.
        cure: What to do where it cannot be read, for the error's text.

    Raises:
        FileNotFoundError: There is none.
        RunDirectoryError: It cannot be read: no regular file, too long, or not UTF-8.
    """
    try:
        return read_text(path, _MOST_BYTES)
    except FileNotFoundError:
        raise
    except (OSError, ValueError, MemoryError) as error:
        raise damaged(path, error, cure) from error


def read_object(path: pathlib.Path, cure: str) -> dict[str, Any]:
    """The JSON object that a small file holds.

    Args:
        path: The file.
        cure: What to do where it cannot be read, for the error's text.

    Raises:
        FileNotFoundError: There is none.
        RunDirectoryError: It cannot be read, or holds something else.
    """
    text = read_small(path, cure)
    try:
        data = json.loads(text)
        if not isinstance(data, dict):
            raise ValueError(f"it holds {shown(data)}, where an object belongs")
    except (ValueError, RecursionError, MemoryError) as error:
        raise damaged(path, error, cure) from error
    return data


def damaged(path: pathlib.Path, error: Exception, cure: str) -> RunDirectoryError:
    """The error to raise of a file that cannot be read.

    Args:
        path: The file.
        error: What went wrong.
        cure: What to do.
    """
    reason = shown(str(error)).strip("'\"") or type(error).__name__
    return RunDirectoryError(f"{path.name} is damaged ({reason}; {path}); {cure}.")
