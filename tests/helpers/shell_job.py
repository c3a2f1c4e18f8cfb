"""Jobs that somebody started from a shell."""

import contextlib
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil

from helpers.folders import JOBS
from hessview.errors import JobError
from hessview.transport.run_directory import RunDirectory

HESSVIEW = str(Path(sys.executable).parent / "hessview")
READY_SECONDS = 90


class ShellJob:
    """A command that starts a job, its run directory, and the processes of its ranks."""

    def __init__(self, folder, *command, run_dir=None):
        self.path = run_dir or folder / "run"
        self._log = (folder / "output").open("w")
        self.process = subprocess.Popen(
            [*command, "--run-dir", str(self.path)],
            cwd=JOBS,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )

    @property
    def output(self):
        return Path(self._log.name).read_text()

    def wait_until_ready(self):
        deadline = time.monotonic() + READY_SECONDS
        while True:
            with contextlib.suppress(JobError):
                if RunDirectory.open(self.path).read_job().state == "waiting":
                    return self
            alive = self.process.poll() is None and time.monotonic() < deadline
            assert alive, self.output
            time.sleep(0.05)

    @property
    def rank_0(self):
        return psutil.Process(RunDirectory.open(self.path).read_job().process.pid)

    def end(self):
        """End it without a word; nothing of it is left."""
        with contextlib.suppress(psutil.NoSuchProcess):
            top = psutil.Process(self.process.pid)
            for one in [*top.children(recursive=True), top]:
                one.kill()
        self.process.wait(10)
        self._log.close()


def measured(run):
    """How many readings a run has."""
    return int(run.dataset.alpha.notnull().sum())


def ranks_of(path):
    """Processes of the job, the lowest rank first."""
    found = [
        one
        for one in psutil.process_iter()
        if "hessview.job" in (line := cmdline(one)) and str(path) in line and "-u" in line
    ]
    return sorted(found, key=lambda one: int(one.environ()["RANK"]))


def cmdline(process):
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def processes_of(path):
    """All processes that name the run directory."""
    return [one.pid for one in psutil.process_iter() if str(path) in cmdline(one)]


def belongings():
    """What this process holds, to compare."""
    own = psutil.Process()
    return {
        "processes": len(own.children(recursive=True)),
        "threads": sorted(thread.name for thread in threading.enumerate()),
        "native threads": own.num_threads(),
        "files": own.num_fds(),
        "sockets": len(own.net_connections(kind="all")),
    }
