"""Doing something soon after it was asked for, and not too often."""

import threading
import time
from collections.abc import Callable

SECONDS_BETWEEN = 0.1  # ten pictures a second look continuous, and leave the kernel its time


class Pump:
    """Calls a function after it was poked, at most ten times a second, on a thread of its own.

    Pokes that come meanwhile count as one. The thread lives only while there is something to do.

    Args:
        act: What to do.
    """

    def __init__(self, act: Callable[[], None]) -> None:
        self._act = act
        self._lock = threading.Lock()
        self._poked = False
        self._closed = False
        self._thread: threading.Thread | None = None

    def poke(self) -> None:
        """Ask for a call that begins after this one; from any thread, returns at once."""
        with self._lock:
            self._poked = not self._closed
            if self._poked and self._thread is None:
                self._thread = threading.Thread(
                    target=self._work, daemon=True, name="hessview-view"
                )
                self._thread.start()

    def close(self) -> None:
        """Call no more; a call that is under way comes to its end."""
        with self._lock:
            self._closed, self._poked = True, False

    def _work(self) -> None:
        while self._next():
            began = time.monotonic()
            try:
                self._act()
            except BaseException:
                with self._lock:
                    self._thread = None
                raise
            time.sleep(max(0.0, SECONDS_BETWEEN - (time.monotonic() - began)))

    def _next(self) -> bool:
        with self._lock:
            poked, self._poked = self._poked, False
            if not poked:
                self._thread = None
            return poked
