"""Why a job cannot be reached: gone, stopped, starting, or silent."""

import time

from hessview.errors import JobError, JobLostError, JobNotFoundError
from hessview.transport.files import Claim, JobFile, Starting, blame
from hessview.transport.liveness import SILENCE, Process
from hessview.transport.run_directory import RunDirectory
from hessview.transport.trust import refuse_starting

_SETTLE = 1.0  # seconds until what broke a link shows: a dying process closes it before it is gone


def living_job(directory: RunDirectory) -> JobFile:
    """The job of a run directory, unless it is known to be gone.

    Args:
        directory: Where the job was started.

    Returns:
        Its job file, as of now. Whether a job on another host lives, only time can tell.

    Raises:
        JobStartingError: It is starting.
        JobNotFoundError: There is no job, it ended, or it was killed.
        JobError: The job speaks another protocol.
    """
    if still_starting(directory) is not None:
        refuse_starting(directory.path)
    job = directory.read_job()
    if job.state == "ended":
        raise JobNotFoundError(
            f"job {job.job} of {directory.path} has ended ({_end(directory, job)}); "
            f"{_record(directory)}"
        )
    if cause := _cause_of_death(directory, job):
        raise JobNotFoundError(
            f"job {job.job} of {directory.path} is no longer alive: {cause}; {_record(directory)}"
        )
    return job


def still_starting(directory: RunDirectory) -> Starting | None:
    """What the job of a run directory is doing before it can be asked, None where it can.

    A job removes its word of this once it is ready. Where that could not be done, or somebody
    left such a file, the job that is there counts.

    Args:
        directory: Where the job was started.
    """
    starting = Starting.read(directory.path)
    if starting is None or starting.process.life() == "gone":
        return None
    try:
        job = directory.read_job()
    except JobError:  # none, or one of an earlier version
        return starting
    ready = job.state != "ended" and job.process.life() in ("alive", "stopped")
    return None if ready else starting


def why_lost(directory: RunDirectory, job: JobFile, claim: Claim) -> JobLostError:
    """Find out why the link to a job broke; takes up to a second.

    Args:
        directory: Where the job was started.
        job: Its job file, as of when the link was opened.
        claim: The claim under which this kernel was served.

    Returns:
        An error to raise, which says what happened and what to do.
    """
    deadline = time.monotonic() + _SETTLE
    while True:
        reason = known_loss(directory, job, claim)
        if reason is not None:
            return JobLostError(reason)
        if time.monotonic() > deadline:
            return JobLostError(_silence(directory, job))
        time.sleep(0.02)


def known_loss(directory: RunDirectory, job: JobFile, claim: Claim) -> str | None:
    """Why a job serves this kernel no longer, None as long as nothing says so.

    Args:
        directory: Where the job was started.
        job: Its job file, as of when the link was opened.
        claim: The claim under which this kernel was served.

    Returns:
        What happened and what to do.
    """
    try:
        current = directory.read_job()
    except JobError as error:
        return f"job {job.job} can no longer be reached: {error}"
    if current.job != job.job:
        return f"job {job.job} is gone and job {current.job} runs in its place; attach again."
    if current.state == "ended":
        return f"job {job.job} ended ({_end(directory, current)}); {_record(directory)}"
    if cause := _cause_of_death(directory, current):
        return f"job {job.job} is lost: {cause}; {_record(directory)}"
    released = directory.read_release(claim)
    if released is None and current.left == claim.identity:
        released = current.left_reason
    if released is None and current.epoch > job.epoch:
        released = "another kernel took over"
    if released is not None:
        return (
            f"job {job.job} serves this kernel no longer: {released}; the job goes on: attach "
            "again, with force=True if another kernel holds it."
        )
    return None


def _silence(directory: RunDirectory, job: JobFile) -> str:
    """What may have happened to a job that does not answer."""
    if stopped := directory.ranks("stopped") or _stopped(job):
        pids = " ".join(str(process.pid) for process in stopped.values())
        ranks_in_words = ", ".join(f"rank {rank} ({process})" for rank, process in stopped.items())
        return (
            f"{ranks_in_words} of job {job.job} is stopped; kill -CONT {pids}, then attach "
            "again, or end it."
        )
    match job.process.life():
        case "elsewhere":
            state = f"has given no sign of life for {SILENCE:.0f} s"
            cure = "see whether its host, and this run directory there, can be reached"
        case _:
            state, cure = "does not answer", "wait"
    return f"job {job.job} ({job.process}) {state}; {cure}, then attach again, or end it."


def _stopped(job: JobFile) -> dict[int, Process]:
    return {0: job.process} if job.process.life() == "stopped" else {}


def _end(directory: RunDirectory, job: JobFile) -> str:
    failures = directory.failures()
    # The ranks of an ended job are all gone; that is no failure where none recorded an error.
    return blame(failures, directory.ranks("gone") if failures else {}) or job.reason


def _cause_of_death(directory: RunDirectory, job: JobFile) -> str:
    dead_ranks = directory.ranks("gone")
    if job.process.life() == "gone":
        dead_ranks[0] = job.process
    return blame(directory.failures(), dead_ranks)


def _record(directory: RunDirectory) -> str:
    return (
        "what was measured is kept: read it with "
        f'hessview.open_runs("{directory.path}"), or start the job again.'
    )
