"""Rank 0's end of the link to a kernel; `hessview.transport.rpc` tells how the two talk."""

import atexit
import contextlib
import dataclasses
import logging
import secrets
import threading
import time
from typing import Any

from hessview.errors import JobError, RunDirectoryError
from hessview.transport.agent import TURN, close_agent, open_agent, refuse_second_agent
from hessview.transport.files import Claim, JobFile
from hessview.transport.interface import Interface
from hessview.transport.liveness import SILENCE, Beat, Changes, Deaths, Pace, Process, Pulse
from hessview.transport.mailbox import Desk, Mailbox
from hessview.transport.run_directory import RunDirectory

_SELDOM = 0.2  # seconds between looks while nobody calls, by which the next call is late
_LOOK = 1.0  # seconds between looks at what does not show as a change
_TALK = 30.0  # seconds; a kernel that did not call by then will not
_HEARING = 0.01  # seconds between looks whether a talk is over

_log = logging.getLogger(__name__)


class RpcHost:
    """Serves a job's mailbox to one kernel at a time, on a thread of rank 0's process.

    The computing thread need not do anything for it.

    Args:
        directory: The job's run directory, from `RunDirectory.create`.
        mailbox: What kernels may leave in and fetch from.
        job: Identity of the job.
        listen: Interface on which kernels on other hosts may call; None admits those of this
            host alone.

    Raises:
        JobError: The process already uses torch.distributed.rpc.
    """

    def __init__(
        self,
        directory: RunDirectory,
        mailbox: Mailbox,
        *,
        job: str,
        listen: Interface | None = None,
    ) -> None:
        refuse_second_agent()
        try:
            epoch = directory.read_job().epoch + 1
        except JobError:  # the first job of this directory, or one that cannot be read
            epoch = 1
        self._directory = directory
        self._desk = Desk(mailbox)
        self._listen_on = listen
        self._beat = Beat(directory.job_path)
        self._job = JobFile(
            job=job,
            process=Process.current(),
            epoch=epoch,
            token=secrets.token_hex(32),
            listen=str(listen or ""),
        )
        self._closing = threading.Event()
        self._reason = ""
        directory.publish(self._job)
        self._thread = threading.Thread(target=self._watch, name="hessview-host", daemon=True)
        self._thread.start()
        # An interpreter that ends with an open agent aborts.
        atexit.register(self.close, "its process ended")

    def close(self, reason: str) -> None:
        """End the job towards kernels; the first reason given stands.

        Args:
            reason: Why the job ends, in words.
        """
        if self._closing.is_set():
            return
        atexit.unregister(self.close)
        self._reason = reason
        self._closing.set()
        self._thread.join()
        self._directory.close()

    def _watch(self) -> None:
        changes, pace, logged = Changes(self._directory.path, _LOOK), Pace(_SELDOM), ""
        while not self._closing.wait(pace.pause):
            if not changes():
                continue
            self._beat()
            try:
                self._mend()
                try:
                    claim = self._directory.read_claim(self._job.epoch)
                except RunDirectoryError as error:
                    self._drop(error)
                    continue
                if claim is not None:
                    self._serve(claim)
                    pace.wake()
            except JobError as error:
                if str(error) != logged:
                    _log.warning("no kernel can attach to the job for now: %s", error)
                logged = str(error)
                self._closing.wait(1.0)
            except Exception:  # this thread must not die, or no kernel could ever attach again
                _log.exception("no kernel can attach to the job for now")
                self._closing.wait(1.0)
        with contextlib.suppress(OSError, JobError):  # deleted meanwhile, or full
            self._publish(state="ended", reason=self._reason)

    def _serve(self, claim: Claim) -> None:
        """Serve one kernel until it leaves, then make the job free for the next."""
        pulse = Pulse(self._directory.claim_path(self._job.epoch))
        deaths = Deaths([claim.process])
        reason = self._why_over(claim, pulse)
        if not reason:
            try:
                reason = self._listen(claim, pulse, deaths)
            except (JobError, RuntimeError) as error:
                reason = str(error)
        deaths.close()
        epoch = self._job.epoch
        if self._job.state != "ended":
            self._free(claim.identity, reason)
        # Only now: the claim keeps others from claiming the epoch that has just ended.
        self._directory.forget(epoch, claim)

    def _drop(self, error: RunDirectoryError) -> None:
        """Make the job free of a claim that cannot be read, and which nobody could ever release."""
        _log.warning("a claim on the job is dropped: %s", error)
        epoch = self._job.epoch
        self._free("", f"it was dropped: {error}")
        self._directory.forget(epoch, None)

    def _free(self, served_claim: str, reason: str) -> None:
        """Let the next kernel claim the job."""
        self._publish(
            epoch=self._job.epoch + 1,
            token=secrets.token_hex(32),
            state="waiting",
            left=served_claim,
            left_reason=reason,
        )

    def _mend(self) -> None:
        """Write job.json again where it was damaged, so that kernels find the job."""
        try:
            self._directory.read_job()
        except RunDirectoryError as error:
            _log.warning("%s It is written again.", error)
            self._publish()
        except JobError:  # the directory was removed, or is another job's by now
            return

    def _listen(self, claim: Claim, pulse: Pulse, deaths: Deaths) -> str:
        """Talk whenever the kernel knocks, until its claim is over; returns why it is."""
        self._publish(state="held")
        changes, pace = Changes(self._directory.path, _LOOK), Pace(_SELDOM)
        last = ""
        while not self._closing.wait(pace.pause):
            if not (changes() or deaths.wait(0)):
                continue
            self._beat()
            self._mend()
            if reason := self._why_over(claim, pulse):
                return reason
            talk = self._directory.read_knock(claim)
            if talk and talk != last:
                self._talk(claim, talk)
                last = talk
                pace.wake()
        self._publish(state="ended", reason=self._reason)
        return "the job ended"

    def _talk(self, claim: Claim, talk: str) -> None:
        """Keep the link open for as long as one talk lasts."""
        elsewhere = claim.process.life() == "elsewhere"
        deadline = time.monotonic() + _TALK
        with TURN:
            try:
                open_agent(
                    self._directory.store_path(talk),
                    self._desk,
                    interface=self._listen_on if elsewhere else None,
                )
                self._desk.open(self._job.token)
                self._publish(talk=talk)
                while self._directory.read_knock(claim) == talk and time.monotonic() < deadline:
                    if self._why_over(claim):
                        break
                    if self._closing.wait(_HEARING):
                        # Said before hanging up: the kernel looks for the reason.
                        self._publish(state="ended", reason=self._reason, talk="")
                        return
            finally:
                self._desk.close()
                close_agent()
                self._directory.forget_talk(talk)
        self._publish(talk="")

    def _why_over(self, claim: Claim, pulse: Pulse | None = None) -> str:
        """Why a claim shall be served no longer, "" if it shall."""
        match claim.process.life():
            case "gone":
                return f"{claim} is gone"
            case "elsewhere" if self._listen_on is None:
                return "the job does not listen to other hosts"
            case "elsewhere" if pulse is not None and pulse.silent():
                return f"{claim} has given no sign of life for {SILENCE:.0f} s"
        if pulse is not None:
            try:
                if self._directory.read_claim(self._job.epoch) != claim:
                    return "its claim was removed"
            except RunDirectoryError as error:
                return str(error)
        return self._directory.read_release(claim) or ""

    def _publish(self, **changes: Any) -> None:
        job = dataclasses.replace(self._job, **changes)
        self._directory.publish(job)
        self._job = job  # not before: what the disk has no room for was not said
