"""How a kernel becomes the one that a job serves."""

import time

from hessview.errors import JobBusyError, JobError, RunDirectoryError
from hessview.transport.claim import Claim
from hessview.transport.job_file import JobFile
from hessview.transport.lost import living_job
from hessview.transport.run_directory import RunDirectory

_PATIENCE = 20.0  # seconds; rank 0 may hold Python's lock for long while it loads a model
_TICK = 0.01  # seconds


def claim_job(directory: RunDirectory, *, force: bool) -> tuple[JobFile, Claim]:
    """Claim a job, and wait until it has taken notice.

    Args:
        directory: Where the job was started.
        force: Take over from a kernel that holds the job.

    Returns:
        The job file of the epoch that is now this kernel's, and the claim on it.

    Raises:
        JobNotFoundError: There is no living job.
        JobBusyError: Another kernel holds the job, and `force` is not set.
        JobError: The job does not answer, cannot open a link, or cannot be reached from here.
    """
    claim = Claim.new()
    here = claim.process
    deadline = time.monotonic() + _PATIENCE
    while True:
        job = living_job(directory)
        if job.process == here:
            raise JobError(f"job {job.job} runs in this very process; use hessview.local instead.")
        if job.process.life() == "elsewhere" and not job.listen:
            raise JobError(
                f"job {job.job} runs with {job.process}, this kernel on {here.host} or in another "
                f'container, and the job does not listen; follow it with hessview.watch("'
                f'{directory.path}"), start the kernel where the job is, or the job with --listen '
                "INTERFACE (in a script, hessview.serve(..., listen=)), a private network of both."
            )
        if job.state == "waiting" and directory.claim(job.epoch, claim):
            opened = _wait_until_open(directory, job, claim, deadline)
            if opened is not None:
                return opened, claim
        else:
            unreadable = _refuse_or_release(directory, job, claim, force=force)
            if unreadable is not None and time.monotonic() > deadline:
                raise JobError(
                    f"job {job.job} ({job.process}) is claimed by somebody who cannot be told, and "
                    f"has not dropped the claim for {_PATIENCE:.0f} s: {unreadable}"
                ) from unreadable
        _check_patience(job, deadline)
        time.sleep(_TICK)


def _refuse_or_release(
    directory: RunDirectory, job: JobFile, claim: Claim, *, force: bool
) -> RunDirectoryError | None:
    """Do what there is to do about the kernel that holds the job.

    Returns:
        Why its claim cannot be read, None if it can: the job drops it, so that there is nothing
        to do but wait.

    Raises:
        JobBusyError: It holds the job, and `force` is not set.
    """
    try:
        holder = directory.read_claim(job.epoch)
    except RunDirectoryError as error:
        return error
    if holder is not None and _holds(directory, job, holder):
        if not force:
            raise JobBusyError(
                f"job {job.job} is held by {holder}; wait until it detaches, take over with "
                f'force=True, or only read with hessview.open_runs("{directory.path}").'
            )
        directory.release(holder, f"{claim} took over")
    return None


def _holds(directory: RunDirectory, job: JobFile, holder: Claim) -> bool:
    """Whether a claim stands, rather than waits for the job to notice that it does not."""
    if directory.read_release(holder) is not None or holder.process.life() == "gone":
        return False
    # A job moves on before it forgets: had the release just been forgotten, this would show.
    return directory.read_job().epoch == job.epoch


def _wait_until_open(
    directory: RunDirectory, job: JobFile, claim: Claim, deadline: float
) -> JobFile | None:
    """The job file once the claim is noticed, None where the claim came too late for its epoch."""
    try:
        while True:
            now = living_job(directory)
            if (now.job, now.epoch) != (job.job, job.epoch):
                break
            if now.state == "held":
                return now
            _check_patience(job, deadline)
            time.sleep(_TICK)
    except BaseException:
        directory.release(claim, f"{claim} gave up")
        raise
    if now.left == claim.identity:
        raise JobError(f"job {job.job} could not open a link: {now.left_reason}.")
    directory.forget(job.epoch, claim)
    return None


def _check_patience(job: JobFile, deadline: float) -> None:
    if time.monotonic() > deadline:
        stopped = job.process.life() == "stopped"
        state = "is stopped" if stopped else f"has not answered for {_PATIENCE:.0f} s"
        cure = f"kill -CONT {job.process.pid}" if stopped else "try later"
        raise JobError(f"job {job.job} ({job.process}) {state}; {cure}, or end the job.")
