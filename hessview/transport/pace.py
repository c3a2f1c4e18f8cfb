"""How often to look: often while somebody is about, seldom while nothing happens."""

import time

_OFTEN = 0.05  # seconds between looks
_AWAKE = 5.0  # seconds from the last event to the slower pace


class Pace:
    """Tells how long to pause until the next look; it begins awake.

    Args:
        seldom: Seconds between looks while nothing happens: what one costs may be taken from a
            core that trains.
    """

    def __init__(self, seldom: float) -> None:
        self._seldom = seldom
        self._woken = time.monotonic()

    def wake(self) -> None:
        """Look often from now on, for a while."""
        self._woken = time.monotonic()

    @property
    def pause(self) -> float:
        """Seconds until the next look."""
        return _OFTEN if time.monotonic() - self._woken < _AWAKE else self._seldom
