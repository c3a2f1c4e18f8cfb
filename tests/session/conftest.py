import pytest

from helpers.folders import JOBS
from helpers.shell_job import HESSVIEW, ShellJob


@pytest.fixture(scope="module")
def shell_job(tmp_path_factory):
    """A slow two-rank job, started with `hessview launch`, that all tests of a module share."""
    job = ShellJob(tmp_path_factory.mktemp("job"), HESSVIEW, "launch", "small:slow")
    try:
        yield job.wait_until_ready()
    finally:
        job.end()


@pytest.fixture
def in_jobs(monkeypatch):
    """Jobs that are launched find the modules of tests/jobs."""
    monkeypatch.chdir(JOBS)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
