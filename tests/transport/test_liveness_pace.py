import pytest

from hessview.transport import liveness as pace_module
from hessview.transport.liveness import Pace


def test_it_looks_often_after_something_happened_and_seldom_later(monkeypatch):
    now = 1000.0
    monkeypatch.setattr(pace_module.time, "monotonic", lambda: now)
    pace = Pace(seldom=0.2)
    often = pace.pause
    assert 0 < often <= 0.05
    now += 10
    assert pace.pause == pytest.approx(0.2)
    pace.wake()
    assert pace.pause == often
