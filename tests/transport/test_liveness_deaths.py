import dataclasses
import subprocess
import sys
import threading
import time

import psutil
import pytest

from hessview.transport import liveness as deaths_module
from hessview.transport.liveness import Deaths, Process

_LONG = 60.0  # seconds; no test waits for its end


@pytest.fixture
def child():
    """A process that sleeps; the test ends with it."""
    child = subprocess.Popen([sys.executable, "-c", f"import time; time.sleep({_LONG})"])
    yield child
    child.kill()
    child.wait()


def of(child):
    started = psutil.Process(child.pid).create_time() - psutil.boot_time()
    return dataclasses.replace(Process.current(), pid=child.pid, started=started)


def test_a_process_that_ends_ends_the_wait_and_is_told_once(child):
    deaths = Deaths([Process.current(), of(child)])
    assert not deaths.wait(0.01)
    threading.Timer(0.1, child.kill).start()
    began = time.monotonic()
    assert deaths.wait(_LONG)
    assert time.monotonic() - began < _LONG / 2
    assert not deaths.wait(0)
    deaths.close()


def test_a_process_that_is_stopped_has_not_ended(child):
    deaths = Deaths([of(child)])
    psutil.Process(child.pid).suspend()
    assert not deaths.wait(0.1)
    deaths.close()


@pytest.mark.parametrize("change", [{"started": 0.0}, {"boot": "of another host"}])
def test_what_is_gone_or_elsewhere_is_passed_over(child, change):
    deaths = Deaths([dataclasses.replace(of(child), **change)])
    child.kill()
    child.wait()
    assert not deaths.wait(0.05)
    deaths.close()


def test_a_system_that_does_not_tell_only_waits(child, monkeypatch):
    def forbidden(pid):
        raise PermissionError

    monkeypatch.setattr(deaths_module.os, "pidfd_open", forbidden)
    deaths = Deaths([of(child)])
    child.kill()
    began = time.monotonic()
    assert not deaths.wait(0.05)
    assert time.monotonic() - began >= 0.05
    deaths.close()


def test_no_descriptor_is_left(child):
    before = psutil.Process().num_fds()
    deaths = Deaths([Process.current(), of(child)])
    assert psutil.Process().num_fds() == before + 2
    child.kill()
    assert deaths.wait(_LONG)
    assert psutil.Process().num_fds() == before + 1
    deaths.close()
    deaths.close()
    assert psutil.Process().num_fds() == before
