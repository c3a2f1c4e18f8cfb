"""What may lie in a run directory: nothing into which others can look, and nothing unread.

Whatever was damaged, is of a newer version, or was put there by somebody is refused in words,
within bounded time and memory.
"""

import json
import os
import pathlib
import stat
from typing import Any

from hessview.checked import shown
from hessview.errors import RunDirectoryError
from hessview.files import read_text
from hessview.transport.recognise import is_run_directory

MOST_BYTES = 1 << 20
"""Of a small file of a run directory; each holds some hundreds."""


def check_safe(path: pathlib.Path) -> None:
    """Check that only its user can have put there what a run directory holds, or read it.

    Args:
        path: The directory.

    Raises:
        RunDirectoryError: A link, not a directory, of another user, or open to others.
    """
    found = os.lstat(path)
    if stat.S_ISLNK(found.st_mode):
        raise RunDirectoryError(
            f"run directory {path} is a symbolic link; name the directory itself."
        )
    if not stat.S_ISDIR(found.st_mode):
        raise RunDirectoryError(f"run directory {path} is not a directory; choose another path.")
    if found.st_uid != os.getuid():
        raise RunDirectoryError(
            f"run directory {path} belongs to another user (uid {found.st_uid}, you are "
            f"{os.getuid()}); use one of your own."
        )
    mode = stat.S_IMODE(found.st_mode)
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
        return read_text(path, MOST_BYTES)
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
