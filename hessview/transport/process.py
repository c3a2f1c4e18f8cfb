"""Which process somebody is, and whether it still lives."""

import dataclasses
import math
import os
import pathlib
import socket
from typing import Literal

import psutil

from hessview.checked import checked, shown

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
        return cls(pid=pid, started=_started(psutil.Process(pid)), **_place())

    def life(self) -> Life:
        """Whether the process still lives, as far as this host can tell.

        Returns:
            "alive"; "stopped" by a signal or a debugger; "gone" (a zombie is gone too, and so
            is whatever ran before a reboot); or "elsewhere", on a host that is not this one,
            though it may have its name, or in a container of which the same is true.
        """
        here = _place()
        if (self.host, self.boot, self.pids) != (here["host"], here["boot"], here["pids"]):
            same_machine = self.machine and self.machine == here["machine"]
            rebooted = same_machine and self.host == here["host"] and self.boot != here["boot"]
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


def _place() -> dict[str, str]:
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
