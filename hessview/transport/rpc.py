"""The kernel's end of the link to rank 0: how it claims a job, calls it and hears it.

The other end is in `hessview.transport.host`. Events come down through the record, which both hosts
see. Commands go up over RPC, in talks: each opens a fresh group of two members, "job" and "kernel",
which meet through a file in the run directory, and closes it after one call. Nothing of an earlier
group, whatever became of its kernel, can stand in the way of the next, and nothing listens while
nobody talks: TensorPipe waits in shared memory by spinning, and an open link costs each side a core
(on two cores it made gradients 1.8 times slower). On another host than the job's, each side touches
a file as a sign of life, and a call that does not get through is made again: the network between
may fail while the job goes on, and its events still come. How a link is opened, and what it trusts,
is in `hessview.transport.agent`.
"""

import atexit
import contextlib
import json
import os
import secrets
import threading
import time
from collections.abc import Callable
from typing import Any

from hessview import errors
from hessview.errors import JobBusyError, JobError, JobLostError, RunDirectoryError
from hessview.record.commands import Command, command_to_json
from hessview.record.events import Event
from hessview.record.log import EventReader
from hessview.transport.agent import TURN, call, close_agent, open_agent, refuse_second_agent
from hessview.transport.diagnosis import known_loss, living_job, why_lost
from hessview.transport.files import Claim, JobFile
from hessview.transport.interface import loopback
from hessview.transport.liveness import Beat, Changes, Deaths, Pace, Pulse
from hessview.transport.run_directory import RunDirectory

_CLAIM_PATIENCE = 20.0  # seconds; rank 0 may hold Python's lock for long while it loads a model
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
    this_process = claim.process
    deadline = time.monotonic() + _CLAIM_PATIENCE
    while True:
        job = living_job(directory)
        if job.process == this_process:
            raise JobError(f"job {job.job} runs in this very process; use hessview.local instead.")
        if job.process.life() == "elsewhere" and not job.listen:
            raise JobError(
                f"job {job.job} runs with {job.process}, this kernel on {this_process.host} or in "
                f'another container, and the job does not listen; follow it with hessview.watch("'
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
                    f"has not dropped the claim for {_CLAIM_PATIENCE:.0f} s: {unreadable}"
                ) from unreadable
        _check_patience(job, deadline)
        time.sleep(_TICK)


def _refuse_or_release(
    directory: RunDirectory, job: JobFile, claim: Claim, *, force: bool
) -> RunDirectoryError | None:
    """Refuse while another kernel holds the job or, with `force`, release its claim.

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
    # A job publishes the next epoch before it removes a release: so a removed one shows here.
    return directory.read_job().epoch == job.epoch


def _wait_until_open(
    directory: RunDirectory, job: JobFile, claim: Claim, deadline: float
) -> JobFile | None:
    """The job file once the claim is noticed, None where the claim came too late for its epoch."""
    try:
        while True:
            current = living_job(directory)
            if (current.job, current.epoch) != (job.job, job.epoch):
                break
            if current.state == "held":
                return current
            _check_patience(job, deadline)
            time.sleep(_TICK)
    except BaseException:
        directory.release(claim, f"{claim} gave up")
        raise
    if current.left == claim.identity:
        raise JobError(f"job {job.job} could not open a link: {current.left_reason}.")
    directory.forget(job.epoch, claim)
    return None


def _check_patience(job: JobFile, deadline: float) -> None:
    if time.monotonic() > deadline:
        stopped = job.process.life() == "stopped"
        state = "is stopped" if stopped else f"has not answered for {_CLAIM_PATIENCE:.0f} s"
        cure = f"kill -CONT {job.process.pid}" if stopped else "try later"
        raise JobError(f"job {job.job} ({job.process}) {state}; {cure}, or end the job.")


_PATIENCE = 20.0  # seconds for a call; rank 0 may hold Python's lock while it loads a model
_PATIENCE_AWAY = 5.0  # seconds for one of the calls to another host, which are repeated
_PAUSE = 0.5  # seconds between them
_SELDOM = 0.5  # seconds between looks at the record while nothing comes and nothing is asked
_LOOK = 2.0  # seconds between looks at the job where nothing shows as a change
_HEARING = 0.01  # seconds between looks whether a talk is over
_LOOK_IN_TALK = 0.1  # seconds between looks at the job while one waits for it


class RpcChannel:
    """A kernel's line to a job; implements `hessview.transport.channel.Channel`.

    All methods may be called from any thread. A line that broke stays broken, and every
    later call raises the same error; attach again for a new one.

    Args:
        directory: The job's run directory, from `RunDirectory.open`.
        force: Take over from a kernel that holds the job.

    Raises:
        JobNotFoundError: There is no living job.
        JobBusyError: Another kernel holds the job, and `force` is not set.
        JobError: The job does not answer, cannot be reached from here, or speaks another
            protocol; or this process has an RPC agent already.
    """

    state = "attached"

    def __init__(self, directory: RunDirectory, *, force: bool = False) -> None:
        refuse_second_agent()
        self._directory = directory
        self._pid = os.getpid()
        self._leaving = threading.Lock()
        self._detached = False
        self._lost: JobLostError | None = None
        self._reading = threading.Lock()
        self._record = EventReader(directory.events_path)
        self._read_to = 0
        self._stopped = time.monotonic()
        self.job, self._claim = claim_job(directory, force=force)
        """The job file, as of when this kernel attached."""
        self._away = self.job.process.life() == "elsewhere"
        self._pulse = Pulse(directory.job_path)
        self._beat = Beat(directory.claim_path(self.job.epoch))
        self._changes = Changes(directory.path, _LOOK)
        self._pace = Pace(_SELDOM)
        self._deaths = Deaths({self.job.process, *directory.ranks("alive").values()})
        try:
            self._call("ping", {})
        except RuntimeError as error:
            lost = why_lost(directory, self.job, self._claim)
            self.close()
            raise lost from error
        except BaseException:
            self.close()
            raise
        # An interpreter that ends with an open agent aborts.
        atexit.register(self.close)

    def submit(self, run: str, command: Command) -> None:
        """Hand a command to the job; the same run identity twice counts once.

        Args:
            run: Identity of the run, made by the kernel.
            command: What to measure.

        Raises:
            InputError: The job refuses the command.
            JobLostError: The job or the line to it is gone.
        """
        self._call("submit", {"run": run, "command": command_to_json(command)})

    def events(self, after: int, wait: float) -> list[Event]:
        """Events with a sequence number above `after`; an interrupt ends the wait at once.

        They are read from the record; once the job is gone, all that it recorded comes first.

        Args:
            after: Last sequence number that the caller has; 0 replays all.
            wait: Seconds to wait for an event if there is none yet.

        Returns:
            Events in order; empty if none came in time.

        Raises:
            JobLostError: The job or the line to it is gone.
        """
        deadline = time.monotonic() + wait
        died = False
        while True:
            # Asked before reading, so that all that was recorded before the end is read.
            over = self._detached
            if not over and (self._changes() or died):
                over = self._is_lost() or self._stopped_for(time.monotonic()) > _PATIENCE
            if events := self._recorded(after):
                self._pace.wake()
                return events
            if over:
                raise self._lose()
            if time.monotonic() >= deadline:
                return []
            died = self._deaths.wait(self._pace.pause)

    def cancel(self, run: str) -> None:
        """Stop a queued or running run at the next safe point; an ended one is left alone.

        Args:
            run: Identity of the run.

        Raises:
            JobLostError: The job or the line to it is gone.
        """
        self._call("cancel", {"run": run})

    def close(self) -> None:
        """Leave the job, which goes on; closing twice is allowed."""
        if os.getpid() != self._pid:
            return  # a forked child inherits the object, but not the line
        with self._leaving:
            if self._detached:
                return
            self._detached = True
            self._deaths.close()
            atexit.unregister(self.close)
            with contextlib.suppress(OSError, JobError):  # gone, or full: the process' end tells
                if self._directory.read_claim(self.job.epoch) == self._claim:
                    self._directory.release(self._claim, f"{self._claim} detached")
        with TURN:  # a talk that was under way hangs up
            close_agent()

    def _call(self, operation: str, body: dict[str, Any]) -> Any:
        self._pace.wake()  # what comes of it shall be seen soon
        give_up = time.monotonic() + _PATIENCE
        while True:
            try:
                with TURN:
                    reply = self._talk(operation, json.dumps(body))
                break
            except ConnectionError as error:
                if time.monotonic() > give_up:
                    raise JobError(
                        f"job {self.job.job} lives, but {operation} did not get through from this "
                        f"host to {self.job.listen} ({error}); what it measures still arrives: "
                        "mend the network between, or open its firewall, and ask again."
                    ) from error
                time.sleep(_PAUSE)
        if reply.get("error") == "JobLostError":
            raise self._lose()
        if "error" in reply:
            raise getattr(errors, reply["error"])(reply["text"])
        return reply["value"]

    def _talk(self, operation: str, body: str) -> Any:
        """Open the link, make one call, and close it.

        Raises:
            ConnectionError: The job lives on another host, and the network failed.
        """
        talk = secrets.token_hex(8)
        try:
            self._directory.knock(self._claim, talk)
            self._wait_for(lambda: self._hears(talk))
            open_agent(
                self._directory.store_path(talk), interface=loopback() if self._away else None
            )
            patience = _PATIENCE_AWAY if self._away else _PATIENCE
            answer = call(self.job.token, operation, body, timeout=patience)
            self._wait_for(answer.done)
            return json.loads(answer.result())
        except RuntimeError as error:
            if self._away and not self._detached and not self._is_lost():
                raise ConnectionError(str(error)) from error
            raise self._lose() from error
        finally:
            close_agent()
            with contextlib.suppress(OSError):
                self._directory.end_talk(self._claim)
                self._directory.forget_talk(talk)

    def _hears(self, talk: str) -> bool:
        try:
            return self._directory.read_job().talk == talk
        except JobError:  # known_loss says it better
            return False

    def _wait_for(self, is_done: Callable[[], bool]) -> None:
        """Wait until something is done; raises JobLostError when it can no longer be."""
        deadline = time.monotonic() + _PATIENCE
        looked = time.monotonic()
        while not is_done():
            now = time.monotonic()
            if now - looked > _LOOK_IN_TALK:
                looked = now
                if self._detached or self._is_lost():
                    raise self._lose()
                if now > deadline:
                    raise RuntimeError(f"no answer for {_PATIENCE:.0f} s")
            time.sleep(_HEARING)

    def _is_lost(self) -> bool:
        """Whether it is known that nothing can come any more."""
        if self._away:
            self._beat()
            if self._pulse.silent():
                return True
        return known_loss(self._directory, self.job, self._claim) is not None

    def _stopped_for(self, now: float) -> float:
        """Seconds since the job was first seen stopped without a break; 0 if it is not."""
        if self.job.process.life() != "stopped":
            self._stopped = now
        return now - self._stopped

    def _recorded(self, after: int) -> list[Event]:
        """Events of the record above `after`."""
        with self._reading:
            if after < self._read_to:  # asked again, from further back
                self._record = EventReader(self._directory.events_path)
            events = [event for event in self._record.read_in_order() if event.seq > after]
            self._read_to = events[-1].seq if events else max(after, self._read_to)
            return events

    def _lose(self) -> JobLostError:
        if self._detached and self._lost is None:
            return JobLostError(f"this kernel detached from job {self.job.job}; attach again.")
        if self._lost is None:
            self._lost = why_lost(self._directory, self.job, self._claim)
            self.close()
        return self._lost
