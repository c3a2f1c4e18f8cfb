"""Refuses a run directory into which others can look."""

import os
import pathlib
import stat

from hessview.errors import RunDirectoryError
from hessview.transport.recognise import is_run_directory


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
