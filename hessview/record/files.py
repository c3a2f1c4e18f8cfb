"""Reading files that anything may have been put in place of, within bounded time and memory."""

import os
import stat
from pathlib import Path
from typing import BinaryIO, Literal

_KINDS = (
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file, or a link to one, for reading; never waits.

    Args:
        path: The file.

    Raises:
        FileNotFoundError: There is none.
        OSError: It is something else (a named pipe, a device, a directory), or may not be read.
    """
    _check_regular(os.stat(path).st_mode)  # before it is opened: a device may act on that
    # Not to wait for whoever writes into a pipe that took the file's place meanwhile.
    file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    return _stream(file, "rb")


def read_text(path: Path, most: int) -> str:
    """The text of a small regular file.

    Args:
        path: The file.
        most: Bytes that it may hold.

    Raises:
        FileNotFoundError: There is none.
        OSError: It is no regular file, may not be read, or is longer.
        UnicodeDecodeError: It is not UTF-8.
    """
    with open_regular(path) as stream:
        content = stream.read(most + 1)
    if len(content) > most:
        raise OSError(f"it is longer than {most:,} bytes")
    return content.decode()


def create_regular(path: Path) -> BinaryIO:
    """Open a regular file for writing, made anew or emptied; never waits.

    Args:
        path: The file.

    Raises:
        OSError: Something else is there (a named pipe, a device, a directory), or it cannot be
            written.
    """
    # Not to wait for whoever reads from a pipe, nor to empty what is no file.
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    return _stream(file, "wb")


def read_end(path: Path, most: int) -> str:
    """The end of a regular file's text; what is no text shows as such.

    Args:
        path: The file.
        most: Bytes to read.

    Raises:
        OSError: It is not there, is no regular file, or may not be read.
    """
    with open_regular(path) as stream:
        size = os.fstat(stream.fileno()).st_size
        stream.seek(max(0, size - most))
        return stream.read(most).decode(errors="replace")


def _stream(file: int, mode: Literal["rb", "wb"]) -> BinaryIO:
    """A stream of an open file, which is closed if it is no regular one."""
    try:
        _check_regular(os.fstat(file).st_mode)
        if mode == "wb":
            os.ftruncate(file, 0)
        return open(file, mode)
    except BaseException:
        os.close(file)
        raise


def _check_regular(mode: int) -> None:
    if not stat.S_ISREG(mode):
        kind = next((words for holds, words in _KINDS if holds(mode)), "something else")
        raise OSError(f"it is {kind}, where a file belongs")
