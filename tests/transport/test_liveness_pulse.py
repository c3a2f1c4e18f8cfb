import os

import pytest

from hessview.transport import liveness as pulse
from hessview.transport.liveness import Beat, Pulse


@pytest.fixture
def clock(monkeypatch):
    """The time, as a list of one number that a test may change."""
    now = [1000.0]
    monkeypatch.setattr(pulse.time, "monotonic", lambda: now[0])
    return now


def test_a_file_that_is_touched_is_a_sign_of_life_whatever_the_clock_says(tmp_path, clock):
    path = tmp_path / "file"
    path.touch()
    feel = Pulse(path)
    for age in (0, 10**9, 5):  # nanoseconds since the epoch: the other host's clock is wrong
        clock[0] += pulse.SILENCE - 1
        assert not feel.silent()
        os.utime(path, ns=(age, age))
        clock[0] += 1.5
        assert not feel.silent()
    clock[0] += pulse.SILENCE + 0.5
    assert feel.silent()
    os.utime(path)
    assert not feel.silent()  # it was only asleep


def test_a_file_that_is_gone_is_silence(tmp_path, clock):
    feel = Pulse(tmp_path / "none")
    assert not feel.silent()
    clock[0] += pulse.SILENCE + 0.5
    assert feel.silent()


def test_it_beats_no_more_often_than_needed(tmp_path, clock):
    path = tmp_path / "file"
    beat = Beat(path)
    beat()  # there is nothing to touch, which is not an error
    assert not path.exists()
    path.touch()
    os.utime(path, ns=(1, 1))
    beat()
    assert path.stat().st_mtime_ns == 1
    clock[0] += pulse.PERIOD
    beat()
    assert path.stat().st_mtime_ns > 1
