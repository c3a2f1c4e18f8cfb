"""The lock on a run directory that a job holds as long as its process lives."""

import fcntl
import os
import pathlib


class JobLock:
    """Keeps a second job of this host out of a run directory.

    Args:
        path: The lock's file, made where there is none.
    """

    def __init__(self, path: pathlib.Path) -> None:
        self._path = path
        self._file: int | None = None

    def take(self) -> bool:
        """Whether the lock is this process's now, or the file system has no locks.

        Raises:
            OSError: The file cannot be made.
        """
        # A record lock is not inherited by forked children, and ends with the process.
        self._file = os.open(
            self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, 0o600
        )
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            self.release()
            return False
        except OSError:
            pass  # a file system without locks: job.json alone must do
        return True

    def release(self) -> None:
        """Give the lock up; doing so twice is allowed."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
