import dataclasses
import signal
import subprocess
import sys
import time

import psutil
import pytest

from hessview.transport import liveness as process_module
from hessview.transport.liveness import Process


def test_this_process_lives():
    assert Process.current().life() == "alive"
    assert Process.current() == Process.from_json(dataclasses.asdict(Process.current()))


def test_a_process_stops_goes_on_and_is_gone_even_as_a_zombie():
    child = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(60)"], stdin=subprocess.DEVNULL
    )
    here = Process.current()
    started = psutil.Process(child.pid).create_time() - psutil.boot_time()
    process = dataclasses.replace(here, pid=child.pid, started=started)
    try:
        assert process.life() == "alive"
        child.send_signal(signal.SIGSTOP)
        _until(lambda: process.life() == "stopped")
        child.send_signal(signal.SIGCONT)
        _until(lambda: process.life() == "alive")
    finally:
        child.kill()
    _until(lambda: psutil.Process(child.pid).status() == psutil.STATUS_ZOMBIE)
    assert process.life() == "gone"
    child.wait()
    assert process.life() == "gone"


def test_a_later_process_of_the_same_pid_is_another():
    here = Process.current()
    assert dataclasses.replace(here, started=here.started - 5).life() == "gone"


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """Give this host an identity."""
    (tmp_path / "machine-id").write_text("this one\n")
    monkeypatch.setattr(process_module, "_MACHINE_ID", tmp_path / "machine-id")


def test_a_reboot_ends_all_processes(machine):
    assert dataclasses.replace(Process.current(), boot="earlier").life() == "gone"


@pytest.mark.parametrize(
    "other",
    [
        {"host": "elsewhere"},
        {"boot": "another", "machine": "another"},  # two hosts of the same name
        {"boot": "another", "machine": ""},  # perhaps this one before a reboot, perhaps not
        {"boot": "another", "host": "elsewhere"},  # copies of one installation
        {"pids": "pid:[1]"},  # a container of this host, with its name
    ],
)
def test_a_pid_of_another_host_is_not_taken_for_one_of_this(machine, other):
    own = dataclasses.replace(Process.current(), **other)
    assert own.life() == "elsewhere"
    assert dataclasses.replace(own, pid=2**22 + 1).life() == "elsewhere"  # nor for a dead one


def _until(condition):
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
