import pytest


@pytest.fixture
def run_path(tmp_path):
    return str(tmp_path / "run #1? é")  # a path is not a URL


@pytest.fixture
def job(puppet, run_path):
    """A living job in run_path."""
    return puppet(f"from helpers.puppet import *; job = Job({run_path!r})")


@pytest.fixture
def kernel(puppet, run_path):
    """Makes kernels; `attach` is theirs to call."""

    def make():
        return puppet(
            "from helpers.puppet import *; from hessview.record.commands import *; "
            f"from hessview.record.events import *; path = {run_path!r}"
        )

    return make
