"""What a job is doing before it can be asked, told to whoever listens."""

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator

_listeners: list[Callable[[str], None]] = []


def starting(phase: str) -> None:
    """Say what comes next.

    Args:
        phase: In words that go on "the job is ...", such as "loading smollm2".
    """
    for tell in list(_listeners):
        tell(phase)


@contextlib.contextmanager
def told(tell: Callable[[str], None]) -> Iterator[None]:
    """Have each phase told inside of the block.

    Args:
        tell: Called with the phase; what it raises is raised.
    """
    _listeners.append(tell)
    try:
        yield
    finally:
        _listeners.remove(tell)


class Printed:
    """Prints each phase as a line of rank 0, with the seconds since the job's process began."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def __call__(self, phase: str) -> None:
        """Print a phase; the dots tell `hessview.launch` that it is no error."""
        if os.environ.get("RANK") == "0":
            seconds = time.monotonic() - self._began
            sys.stdout.write(f"hessview: [{seconds:4.0f} s] {phase} ...\n")
            sys.stdout.flush()
