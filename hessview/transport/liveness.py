"""Whether a process lives, and whether a file changed, at little cost and on any host.

`Process` says which process somebody is; deaths on this host are noticed at once, signs of life go
between hosts where nobody can look after the other's process, and a pace says how often to look.
"""

import contextlib
import dataclasses
import math
import os
import pathlib
import select
import socket
import sys
import threading
import time
from collections.abc import Iterable
from typing import Literal

import psutil

from hessview.record.validation import checked, shown

Life = Literal["alive", "stopped", "gone", "elsewhere"]

_BOOT_ID = pathlib.Path("/proc/sys/kernel/random/boot_id")
_MACHINE_ID = pathlib.Path("/etc/machine-id")
_PIDS = pathlib.Path("/proc/self/ns/pid")
_PIDS_END = 2**31  # the system counts them in 32 bits
_LONGEST_HOST = 255  # characters, see hostname(7)
_SAME_START = 1.0  # seconds; a pid does not come around again within this time


@dataclasses.dataclass(frozen=True, kw_only=True)
class Process:
    """A process, told apart from a later one with the same pid.

    Attributes:
        pid: Process id on its host.
        started: Seconds from the boot of its host to its start; setting the clock leaves
            it as it is.
        boot: Identity of that boot, "" where the system has none.
        host: Name of the host.
        machine: Identity of the host's installation, "" where there is none.
        pids: What its pid counts in (a container has pids of its own), "" where all share one.
    """

    pid: int
    started: float
    boot: str
    host: str
    machine: str = ""
    pids: str = ""

    def __post_init__(self) -> None:
        if not 0 < self.pid < _PIDS_END:
            raise ValueError(f"pid: {self.pid!r} is that of no process")
        if not math.isfinite(self.started):
            raise ValueError(f"started: {self.started!r} is no time")
        if len(self.host) > _LONGEST_HOST:
            raise ValueError(f"host: {shown(self.host, 40)} is no host's name")

    @classmethod
    def current(cls) -> "Process":
        """The process that runs this code."""
        pid = os.getpid()
        return cls(pid=pid, started=_started(psutil.Process(pid)), **_host_identity())

    def life(self) -> Life:
        """Whether the process still lives, as far as this host can tell.

        Returns:
            "alive"; "stopped" by a signal or a debugger; "gone" (a zombie is gone too, and so
            is whatever ran before a reboot); or "elsewhere", on a host that is not this one,
            though it may have its name, or in a container of which the same is true.
        """
        this_host = _host_identity()
        if (self.host, self.boot, self.pids) != (
            this_host["host"],
            this_host["boot"],
            this_host["pids"],
        ):
            same_machine = self.machine and self.machine == this_host["machine"]
            rebooted = (
                same_machine and self.host == this_host["host"] and self.boot != this_host["boot"]
            )
            return "gone" if rebooted else "elsewhere"
        try:
            process = psutil.Process(self.pid)
            with process.oneshot():  # one reading of the system for both
                started, status = _started(process), process.status()
        except psutil.NoSuchProcess:
            return "gone"
        except psutil.Error:  # of another user, on a system that hides these
            return "elsewhere"
        if abs(started - self.started) > _SAME_START:
            return "gone"
        if status in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD):
            return "gone"
        if status in (psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP):
            return "stopped"
        return "alive"

    def __str__(self) -> str:
        return f"pid {self.pid} on {self.host}"

    @classmethod
    def from_json(cls, data: object) -> "Process":
        """Process from the JSON object that `dataclasses.asdict` gives.

        Raises:
            ValueError: Not such an object, or of no process that can be.
        """
        return checked(cls, data)


def _started(process: psutil.Process) -> float:
    seconds: float = process.create_time() - psutil.boot_time()
    return round(seconds, 2)  # the system counts in hundredths; equal processes compare equal


def _host_identity() -> dict[str, str]:
    """What tells this host, and its pids, from those of others."""
    return {
        "host": socket.gethostname(),
        "boot": _text(_BOOT_ID),
        "machine": _text(_MACHINE_ID),
        "pids": os.readlink(_PIDS) if os.path.lexists(_PIDS) else "",
    }


def _text(path: pathlib.Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


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
        self._modified = self._look()

    def silent(self) -> bool:
        """Whether the last sign of life came too long ago."""
        modified, now = self._look(), time.monotonic()
        if modified != self._modified:
            self._modified, self._changed = modified, now
        return now - self._changed > SILENCE

    def _look(self) -> int | None:
        try:
            return self._path.stat().st_mtime_ns
        except OSError:
            return None


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
                return self._has_ended(seconds)
        time.sleep(seconds)
        return False

    def close(self) -> None:
        """Wait for nobody any more; closing twice is allowed."""
        with self._using:
            while self._ends:
                os.close(self._ends.pop())

    def _has_ended(self, seconds: float) -> bool:
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
        self._modified: int | None = None
        self._changed = False

    def __call__(self) -> bool:
        """Whether something may have changed since the last call that said so."""
        now, modified = time.monotonic(), self._time()
        # Twice for each change: a second one may bear the same time as the first, which the
        # system counts in units of some milliseconds.
        before, self._changed = self._changed, modified != self._modified
        self._modified = modified
        if before or self._changed or now - self._looked >= self._period:
            self._looked = now
            return True
        return False

    def _time(self) -> int | None:
        try:
            return self._path.stat().st_mtime_ns
        except OSError:
            return None


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
