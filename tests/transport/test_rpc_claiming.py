import dataclasses

import pytest

from hessview.errors import JobBusyError, JobError
from hessview.transport import rpc as claiming
from hessview.transport.files import Claim, JobFile
from hessview.transport.rpc import claim_job
from hessview.transport.run_directory import RunDirectory


@pytest.fixture
def directory(tmp_path):
    made = RunDirectory.create(tmp_path / "run")
    yield made
    made.close()


@pytest.fixture
def job(directory, puppet):
    """The file of a job in another process, which waits to be claimed."""
    other = puppet("from hessview.transport.liveness import Process")
    made = JobFile(job="job", process=other.do("Process.current()"), epoch=3, token="secret")
    directory.publish(made)
    return made


@pytest.fixture
def other_kernel(job):
    return dataclasses.replace(Claim.new(), process=job.process)


def open_once_claimed(directory, monkeypatch):
    """Let the job answer the next claim at once."""
    claim = directory.claim

    def claim_and_open(epoch, wanted):
        got = claim(epoch, wanted)
        if got:
            directory.publish(dataclasses.replace(directory.read_job(), state="held"))
        return got

    monkeypatch.setattr(directory, "claim", claim_and_open)


def test_a_free_job_is_claimed(directory, job, monkeypatch):
    open_once_claimed(directory, monkeypatch)
    opened, claim = claim_job(directory, force=False)
    assert opened == dataclasses.replace(job, state="held")
    assert directory.read_claim(3) == claim


def test_one_that_is_held_is_refused(directory, job, other_kernel):
    directory.claim(3, other_kernel)
    with pytest.raises(JobBusyError, match=rf"held by the kernel with {other_kernel.process} "):
        claim_job(directory, force=False)


def test_a_kernel_that_leaves_at_that_moment_is_not_taken_for_one_that_holds(
    directory, job, other_kernel, monkeypatch
):
    directory.claim(3, other_kernel)
    directory.release(other_kernel, "detached")
    read_claim = directory.read_claim

    def read_and_move_on(epoch):
        holder = read_claim(epoch)
        directory.publish(dataclasses.replace(job, epoch=4))
        directory.forget(3, other_kernel)
        monkeypatch.setattr(directory, "read_claim", read_claim)
        open_once_claimed(directory, monkeypatch)
        return holder

    monkeypatch.setattr(directory, "read_claim", read_and_move_on)
    opened, claim = claim_job(directory, force=False)
    assert opened.epoch == 4
    assert directory.read_claim(4) == claim


def test_a_claim_that_comes_too_late_for_its_epoch_is_made_again(directory, job, monkeypatch):
    claim = directory.claim

    def move_on_and_claim(epoch, wanted):
        directory.publish(dataclasses.replace(job, epoch=4))
        monkeypatch.setattr(directory, "claim", claim)
        open_once_claimed(directory, monkeypatch)
        return claim(epoch, wanted)

    monkeypatch.setattr(directory, "claim", move_on_and_claim)
    opened, made = claim_job(directory, force=False)
    assert opened.epoch == 4
    assert directory.read_claim(3) is None
    assert directory.read_claim(4) == made


def test_a_job_that_cannot_open_says_why(directory, job, monkeypatch):
    claim = directory.claim

    def claim_and_fail(epoch, wanted):
        got = claim(epoch, wanted)
        directory.publish(
            dataclasses.replace(job, epoch=4, left=wanted.identity, left_reason="no memory")
        )
        return got

    monkeypatch.setattr(directory, "claim", claim_and_fail)
    with pytest.raises(JobError, match="job job could not open a link: no memory"):
        claim_job(directory, force=False)


def test_a_job_that_does_not_answer_is_given_up_and_the_claim_taken_back(
    directory, job, monkeypatch
):
    monkeypatch.setattr(claiming, "_CLAIM_PATIENCE", 0.2)
    with pytest.raises(JobError, match=r"has not answered for 0 s; try later, or end the job"):
        claim_job(directory, force=False)
    claim = directory.read_claim(3)
    assert directory.read_release(claim) == f"{claim} gave up"
