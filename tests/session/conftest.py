import sys

import pytest
from shell_job import HESSVIEW, JOBS, ShellJob

sys.path += [str(JOBS), str(JOBS.parent / "transport")]  # for small and puppet


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


@pytest.fixture
def puppet():
    """Makes processes, and ends them when the test is over."""
    from puppet import Puppet

    made = []

    def make(*lines):
        made.append(Puppet())
        for line in lines:
            made[-1].do(line)
        return made[-1]

    yield make
    for one in made:
        one.kill()
