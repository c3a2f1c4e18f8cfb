import pytest
from puppet import Puppet


@pytest.fixture
def puppet():
    """Makes processes, and ends them when the test is over."""
    made = []

    def make(code=""):
        made.append(Puppet())
        if code:
            made[-1].start(code)
        return made[-1]

    yield make
    for one in made:
        one.kill()


@pytest.fixture
def run_path(tmp_path):
    return str(tmp_path / "run #1? é")  # a path is not a URL


@pytest.fixture
def job(puppet, run_path):
    """A living job in run_path."""
    made = puppet(f"from puppet import *; job = Job({run_path!r})")
    made.result()
    return made


@pytest.fixture
def kernel(puppet, run_path):
    """Makes kernels; `attach` is theirs to call."""

    def make():
        made = puppet(
            "from puppet import *; from hessview.record.commands import *; "
            f"from hessview.record.events import *; path = {run_path!r}"
        )
        made.result()
        return made

    return make
