import os

import pytest

from hessview.transport import liveness as changes
from hessview.transport.liveness import Changes


@pytest.fixture
def clock(monkeypatch):
    """The time, as a list of one number that a test may change."""
    now = [1000.0]
    monkeypatch.setattr(changes.time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def changed(tmp_path, clock):
    """The directory's changes, with all of its beginning looked at."""
    changed = Changes(tmp_path, period=0.5)
    assert changed()
    assert changed()
    assert not changed()
    return changed


@pytest.mark.parametrize(
    "change",
    [
        lambda path: (path / "new").touch(),
        lambda path: (path / "there").rename(path / "name"),
        lambda path: (path / "there").unlink(),
        lambda path: (path / "there").replace(path / "other"),
        lambda path: os.link(path / "there", path / "link"),
    ],
    ids=["added", "renamed", "removed", "replaced", "linked"],
)
def test_each_change_of_a_directory_is_told(tmp_path, clock, change):
    for name in ("there", "other"):
        (tmp_path / name).touch()
    os.utime(tmp_path, ns=(1, 1))  # an earlier change, long ago
    changed = Changes(tmp_path, period=0.5)
    while changed():
        pass
    change(tmp_path)
    assert changed()


def test_a_second_change_at_the_same_time_is_told_too(tmp_path, changed):
    os.utime(tmp_path, ns=(5, 5))
    assert changed()
    os.utime(tmp_path, ns=(5, 5))  # the file system's clock has not moved on
    assert changed()
    assert not changed()


def test_without_a_change_it_tells_to_look_once_a_period(changed, clock):
    clock[0] += 0.4
    assert not changed()
    clock[0] += 0.1
    assert changed()
    assert not changed()


def test_a_directory_that_is_deleted_has_changed(tmp_path, changed):
    tmp_path.rmdir()
    assert changed()
    assert changed()
    assert not changed()
