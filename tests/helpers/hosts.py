"""Hosts, as far as one machine can have several: namespaces of Linux.

Each has a network, a name, pids, shared memory and a boot of its own; they share the files.
"""

import base64
import json
import os
import pickle
import shutil
import subprocess
import sys
import time
import uuid

import psutil
import pytest

NAMES = ("alpha", "beta", "gamma")
_SETUP = """
hostname "$1"; mount -t tmpfs none /dev/shm
mount --bind "$2" /proc/sys/kernel/random/boot_id
if [ -e /etc/machine-id ]; then mount --bind "$2" /etc/machine-id; fi
shift 2; exec "$@"
"""
_OBEY = """
import base64, os, pickle, sys, time, traceback
from hessview.errors import HessviewError
names = {}
out = os.fdopen(os.dup(1), "w"); os.dup2(2, 1)
for line in sys.stdin:
    code, value, error = pickle.loads(base64.b64decode(line)), None, None
    try:
        try:
            value = eval(compile(code, "<test>", "eval"), names)
        except SyntaxError:
            exec(compile(code, "<test>", "exec"), names)
    except HessviewError as raised:
        error = raised
    except BaseException:
        error = AssertionError(traceback.format_exc())
    out.write(base64.b64encode(pickle.dumps((value, error))).decode() + "\\n"); out.flush()
"""


def require_namespaces():
    """Skip where the system forbids them, fail where they must be there."""
    cure = "needs ip (apt-get install iproute2) and the right to make namespaces (root)"
    if shutil.which("ip") and shutil.which("unshare"):
        name = f"hessview-probe-{os.getpid()}"
        made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True)
        if made.returncode == 0:
            tried = subprocess.run(
                ["ip", "netns", "exec", name, *_UNSHARE, "true"], capture_output=True, text=True
            )
            subprocess.run(["ip", "netns", "del", name], check=True)
            if tried.returncode == 0:
                return
            cure += f": {tried.stderr}"
        else:
            cure += f": {made.stderr}"
    if os.environ.get("HESSVIEW_REQUIRE_NAMESPACES") == "1":
        pytest.fail(cure)
    pytest.skip(cure)


_UNSHARE = ("unshare", "--uts", "--pid", "--ipc", "--fork", "--kill-child", "--mount-proc")


class Network:
    """Hosts alpha, beta and gamma at 10.214.0.1, .2 and .3, on their interfaces eth0."""

    def __init__(self, folder):
        self._switch = f"hessview-switch-{os.getpid()}"
        self._ip("netns", "add", self._switch)
        self._ip("-n", self._switch, "link", "add", "switch", "type", "bridge")
        self._ip("-n", self._switch, "link", "set", "switch", "up")
        self.hosts = {}
        for number, name in enumerate(NAMES, 1):
            space = f"hessview-{name}-{os.getpid()}"
            self._ip("netns", "add", space)
            self._ip(
                *("-n", self._switch, "link", "add", name, "type", "veth"),
                *("peer", "name", "eth0", "netns", space),
            )
            self._ip("-n", self._switch, "link", "set", name, "master", "switch", "up")
            self._ip("-n", space, "addr", "add", f"10.214.0.{number}/24", "dev", "eth0")
            for link in ("lo", "eth0"):
                self._ip("-n", space, "link", "set", link, "up")
            (folder / name).mkdir()
            self.hosts[name] = Host(name, space, folder / name)

    def cut(self, name):
        """Pull a host's cable out of the switch."""
        self._ip("-n", self._switch, "link", "set", name, "down")

    def mend(self, name):
        """Put it back."""
        self._ip("-n", self._switch, "link", "set", name, "up")

    def take_down(self, name):
        """Take a host's own interface down, and with it its routes."""
        self._ip("-n", self.hosts[name].space, "link", "set", "eth0", "down")

    def bring_up(self, name):
        self._ip("-n", self.hosts[name].space, "link", "set", "eth0", "up")

    def close(self):
        for host in self.hosts.values():
            host.end()
            self._ip("netns", "del", host.space)
        self._ip("netns", "del", self._switch)

    @staticmethod
    def _ip(*arguments):
        done = subprocess.run(["ip", *arguments], capture_output=True, text=True)
        assert done.returncode == 0, (arguments, done.stderr)


class Host:
    """One host; what was started on it ends with it."""

    def __init__(self, name, space, folder):
        self.name = name
        self.space = space
        self._folder = folder
        self._boot = folder / "boot_id"
        self._boot.write_text(f"{uuid.uuid4()}\n")
        self._started = []

    @property
    def output(self):
        return "".join(path.read_text() for path in sorted(self._folder.glob("output-*")))

    def start(self, *command, cwd=None, environment=(), **pipes):
        """Start a command; its process is the parent of the command's, which has its own pids."""
        with (self._folder / f"output-{len(self._started)}").open("w") as output:
            process = subprocess.Popen(
                [
                    *("ip", "netns", "exec", self.space, *_UNSHARE),
                    *("sh", "-euc", _SETUP, "sh", self.name, str(self._boot), *command),
                ],
                cwd=cwd,
                env={**os.environ, "OMP_NUM_THREADS": "1", **dict(environment)},
                **{"stdin": subprocess.DEVNULL, "stdout": output, "stderr": output, **pipes},
            )
        self._started.append(process)
        return process

    def kernel(self):
        """A process that does what it is told."""
        return Kernel(self)

    def processes(self):
        """What runs on it, as this machine sees it, parents first."""
        return [
            child
            for process in self._started
            if process.poll() is None
            for child in psutil.Process(process.pid).children(recursive=True)
        ]

    def listening(self):
        """Addresses and ports at which somebody listens on it."""
        done = subprocess.run(
            ["ip", "netns", "exec", self.space, sys.executable, "-c", _LISTENING],
            capture_output=True,
            text=True,
            check=True,
        )
        return {tuple(one) for one in json.loads(done.stdout)}

    def end(self):
        """Kill all that runs on it."""
        for process in self._started:
            process.kill()
            process.wait(10)
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()
        self._started.clear()


_LISTENING = (
    "import json, psutil; print(json.dumps([tuple(one.laddr) for one in psutil.net_connections("
    "'inet') if one.status == 'LISTEN']))"
)


class Kernel:
    """A Python process on a host, which runs code in one namespace."""

    def __init__(self, host):
        self.process = host.start(
            sys.executable, "-c", _OBEY, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def do(self, code):
        """Run code and return its value, or raise what it raised."""
        self.process.stdin.write(base64.b64encode(pickle.dumps(code)) + b"\n")
        self.process.stdin.flush()
        value, error = pickle.loads(base64.b64decode(self.process.stdout.readline()))
        if error is not None:
            raise error
        return value

    def until(self, code, timeout=60.0):
        """Wait until an expression is true there."""
        deadline = time.monotonic() + timeout
        while not self.do(code):
            assert time.monotonic() < deadline, f"{code} does not come true"
            time.sleep(0.05)
