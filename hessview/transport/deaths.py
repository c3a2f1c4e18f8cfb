"""Notices at once, and at no cost, that a process of this host has ended."""

import contextlib
import os
import select
import sys
import threading
import time
from collections.abc import Iterable

from hessview.transport.process import Process


class Deaths:
    """Waits for the end of processes, as far as the system tells of it (Linux does).

    It says that somebody ended, not who, nor why: look then. Where the system does not tell,
    it only waits.

    Args:
        processes: Whose end to wait for; those on other hosts, and those already gone, are
            passed over.
    """

    def __init__(self, processes: Iterable[Process]) -> None:
        self._using = threading.Lock()  # so that nothing is closed that somebody waits for
        self._poll = select.poll()
        self._ends: list[int] = []
        for process in processes:
            if (end := _end_of(process)) is not None:
                self._poll.register(end, select.POLLIN)
                self._ends.append(end)

    def wait(self, seconds: float) -> bool:
        """Wait for at most some seconds.

        Returns:
            Whether a process has ended meanwhile; each end is told once.
        """
        with self._using:
            if self._ends:
                return self._told(seconds)
        time.sleep(seconds)
        return False

    def close(self) -> None:
        """Wait for nobody any more; closing twice is allowed."""
        with self._using:
            while self._ends:
                os.close(self._ends.pop())

    def _told(self, seconds: float) -> bool:
        ended = [end for end, _ in self._poll.poll(1e3 * seconds)]
        for end in ended:
            self._poll.unregister(end)
            self._ends.remove(end)
            os.close(end)
        return bool(ended)


def _end_of(process: Process) -> int | None:
    """A descriptor that becomes readable as a process ends, None where there is none."""
    if sys.platform != "linux" or process.life() in ("gone", "elsewhere"):
        return None
    end = None
    with contextlib.suppress(OSError):  # gone meanwhile, or a sandbox forbids to ask
        end = os.pidfd_open(process.pid)
        if process.life() == "gone":  # meanwhile, and the pid is another's
            os.close(end)
            end = None
    return end
