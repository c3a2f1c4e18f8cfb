"""Notices at little cost that something changed in a run directory."""

import pathlib
import time


class Changes:
    """Tells whether it is worth to look into a directory again.

    A file that is added, replaced or removed changes the directory's own time, which costs two
    microseconds to read. What is written into a file, or happens to a process, does not show.

    Args:
        path: The directory.
        period: Seconds after which it is worth to look in any case: for what does not show, and
            for file systems that keep a directory's time from other hosts for a while.
    """

    def __init__(self, path: pathlib.Path, period: float) -> None:
        self._path = path
        self._period = period
        self._looked = -period
        self._seen: int | None = None
        self._changed = False

    def __call__(self) -> bool:
        """Whether something may have changed since the last call that said so."""
        now, seen = time.monotonic(), self._time()
        # Twice for each change: a second one may bear the same time as the first, which the
        # system counts in steps of some milliseconds.
        before, self._changed = self._changed, seen != self._seen
        self._seen = seen
        if before or self._changed or now - self._looked >= self._period:
            self._looked = now
            return True
        return False

    def _time(self) -> int | None:
        try:
            return self._path.stat().st_mtime_ns
        except OSError:
            return None
