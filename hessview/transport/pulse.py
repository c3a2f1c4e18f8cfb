"""Signs of life between hosts, where nobody can look after the other's process."""

import os
import pathlib
import time

PERIOD = 1.0  # seconds from one sign of life to the next
SILENCE = 30.0  # seconds without one, after which nobody is there; a busy process may skip some


class Beat:
    """Gives signs of life by touching a file in the run directory, from time to time.

    Args:
        path: The file; as long as there is none, there is nothing to do.
    """

    def __init__(self, path: pathlib.Path) -> None:
        self._path = path
        self._last = -PERIOD

    def __call__(self) -> None:
        """Touch the file if it is time to; an unreachable file is silence, not an error."""
        now = time.monotonic()
        if now - self._last >= PERIOD:
            self._last = now
            try:
                os.utime(self._path)
            except OSError:
                return


class Pulse:
    """Feels the beat of a process on another host; the hosts' clocks need not agree.

    Args:
        path: The file that the other process touches.
    """

    def __init__(self, path: pathlib.Path) -> None:
        self._path = path
        self._changed = time.monotonic()
        self._seen = self._look()

    def silent(self) -> bool:
        """Whether the last sign of life came too long ago."""
        seen, now = self._look(), time.monotonic()
        if seen != self._seen:
            self._seen, self._changed = seen, now
        return now - self._changed > SILENCE

    def _look(self) -> int | None:
        try:
            return self._path.stat().st_mtime_ns
        except OSError:
            return None
