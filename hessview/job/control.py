"""Keeping ranks together: sums that carry the wish to stop, shared errors, and polls.

`Reduction` sums a few numbers and stops all ranks at one place; `agree` raises on all what one met;
`standing` tells whether all have called the same collectives; `Control` brings rank 0's messages to
the others between the training steps.
"""

import contextlib
import dataclasses
import datetime
import json
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.distributed_c10d import _world
from torch.nn.parallel import DistributedDataParallel

from hessview import interrupts
from hessview.errors import HessviewError, JobError, RunCancelledError
from hessview.job import meeting
from hessview.job.meeting import Meeting
from hessview.job.sharding import groups
from hessview.record.events import RunEnded


class Reduction:
    """Sums a few numbers over all ranks.

    One more number travels in the same message: whether a rank wants to stop. So all ranks
    stop at the same place, and asking costs nothing. An interrupt of any rank is such a wish.
    """

    def __init__(self) -> None:
        self.wants_stop: Callable[[], bool] = lambda: False
        self.met = time.monotonic()
        """When the ranks met last, by the monotonic clock."""

    def __call__(self, numbers: Tensor) -> Tensor:
        """Sum over ranks.

        Args:
            numbers: Shape (number,), float64.

        Returns:
            Shape (number,), the same on every rank.

        Raises:
            RunCancelledError: A rank wants to stop; raised on all ranks.
        """
        stop = bool(interrupts.wanted()) or self.wants_stop()
        wish = torch.tensor([float(stop)], dtype=numbers.dtype, device=numbers.device)
        packed = torch.cat([numbers, wish])
        if dist.is_initialized() and dist.get_world_size() > 1:
            dist.all_reduce(packed)
            self.met = time.monotonic()
        if packed[-1] > 0:
            raise RunCancelledError("the run was cancelled; what was measured is kept.")
        return packed[:-1]


@contextmanager
def agree(*, on_all: bool = False) -> Iterator[None]:
    """Raise on every rank what was raised on any of them inside of the block.

    For work that each rank does on its own, without collectives.

    Args:
        on_all: Whether to share all errors; by default only those that hessview raises on
            purpose are, and anything else ends the rank, and with it the job.

    Raises:
        HessviewError: The error of the lowest rank that had one.
        JobError: Another rank is at a collective that is none of hessview's.
        Exception: This rank's own error.
    """
    error: Exception | None = None
    try:
        yield
    except Exception as raised:
        if not on_all and not isinstance(raised, HessviewError):
            raise
        error = raised
    if dist.is_initialized() and dist.get_world_size() > 1:
        shared_error = error
        if error is not None and not isinstance(error, HessviewError):  # which others may not know
            shared_error = JobError(
                f"rank {dist.get_rank()} failed: {type(error).__name__}: {error}"
            )
        errors: list[Exception | None] = [None] * dist.get_world_size()
        dist.all_gather_object(errors, shared_error)
        if any(
            rank_error is not None and not isinstance(rank_error, Exception)
            for rank_error in errors
        ):
            raise JobError(
                "ranks are at different calls: one gathers errors of hessview, another something "
                "else; have all ranks of torchrun make, serve and poll a job at the same places."
            )
        error = error or next((rank_error for rank_error in errors if rank_error is not None), None)
    if error is not None:
        raise error


Standing = dict[tuple[str, tuple[int, ...]], list[int]]
"""Collectives called so far, by a group's name and ranks: a number for each of its backends."""


def standing(*, apart_from: dist.ProcessGroup) -> Standing:
    """How many collectives this rank has called in each of its groups.

    Args:
        apart_from: A group to leave out.
    """
    result: Standing = {}
    for group in list(_world.pg_map):
        if group is not apart_from:
            key = group.group_name, tuple(dist.get_process_group_ranks(group))
            result[key] = _called(group)
    return result


def _called_alike(standings: list[Standing]) -> bool:
    """Whether ranks have called the same number of collectives in each group that they share.

    None waits for another one, then, and the next collectives of all will meet.
    """
    expected: Standing = {}
    return all(
        expected.setdefault(key, numbers) == numbers
        for of_rank in standings
        for key, numbers in of_rank.items()
    )


def wait_for_collectives(module: nn.Module) -> None:
    """Wait until all collectives that were called are over; all ranks call it together.

    Args:
        module: Whose groups to look at, besides the group of all ranks.
    """
    if not dist.is_initialized():
        return
    process_groups: list[dist.ProcessGroup] = (
        [dist.group.WORLD] if dist.group.WORLD is not None else []
    )
    for sharded in groups(module):
        mesh = sharded.mesh_info.mesh
        process_groups += [mesh.get_group(axis) for axis in range(mesh.ndim)]
    for child in module.modules():
        if isinstance(child, DistributedDataParallel):
            process_groups.append(child.process_group)
    for group in dict.fromkeys(process_groups):
        dist.barrier(group=group)  # which waits for what was called before it
    if any(parameter.is_cuda for parameter in module.parameters()):
        torch.cuda.synchronize()


def _called(group: dist.ProcessGroup) -> list[int]:
    numbers = []
    for device in sorted(str(device) for device in group._device_types):
        try:
            backend: Any = group._get_backend(torch.device(device))
            numbers.append(backend._get_sequence_number_for_group())
        except RuntimeError:  # a backend that does not count
            numbers.append(-1)
    return numbers


_IDLE_LIMIT = datetime.timedelta(days=30)  # the group's own; ours are below
_TICK = 1.0  # seconds after which a waiting rank lets the others know
_WORD = 30.0  # seconds until it says which ranks it waits for
_LIMIT = 1800.0  # seconds until it gives up, as gloo's collectives do
_NO_STEP = -1
_CLOSING = -2
_NOBODY = -3
_RUN_END = -4

_log = logging.getLogger(__name__)


class Control:
    """Passes messages of rank 0 to all ranks; each rank makes one, and calls the same methods.

    A rank that leaves a poll out would take part in the sums of another one. So no rank goes on
    before all have come, and have come to the same training step.
    """

    def __init__(self) -> None:
        self._ranks = meeting.ranks()
        self._rank = meeting.rank()
        self._group = (
            dist.new_group(backend="gloo", timeout=_IDLE_LIMIT) if self._ranks > 1 else None
        )
        self._meeting = Meeting(f"hessview/{self._group.group_name}") if self._group else None
        self._polls = self._runs = 0
        self._broken_off = ""

    def hear(
        self,
        message: dict[str, Any],
        training_step: int | None,
        *,
        patient: bool = False,
        wish: str = "",
    ) -> dict[str, Any]:
        """Rank 0's message in a poll; an empty one costs a few bytes.

        Args:
            message: What rank 0 has to say; not looked at on other ranks.
            training_step: Training step of this rank's poll.
            patient: Whether to wait without limit.
            wish: Why this rank wants the job to close, "" if it does not. Where rank 0 has
                nothing to say, the message is to close, then, and names the rank.

        Raises:
            JobError: Ranks poll at different training steps (on all ranks alike), or some have not
                come for half an hour.
        """
        return self._hear(
            message, _NO_STEP if training_step is None else int(training_step), patient, wish
        )

    def hear_end(self, reason: str) -> None:
        """Tell ranks that still poll that the job closes.

        Raises:
            JobError: Rank 0 still polls.
        """
        self._hear({"close": reason}, _CLOSING, False)

    def check_moment(self, training_step: int | None, caller: str, *, patient: bool) -> None:
        """Refuse a measurement for which ranks may have come from different moments.

        Polls meet in the order in which each rank makes them. Where a rank left one out, its next
        one takes the place; if that comes after an optimizer step which the others have yet to
        make, shards of two models would be measured as one.

        Args:
            training_step: Training step of this poll, the same on all ranks.
            caller: Place of the script that polls.
            patient: Whether the poll waits for commands, as where nothing trains.

        Raises:
            JobError: The training step was not told, or the places differ; on all ranks alike.
        """
        if self._group is None:
            return
        if training_step is None and not patient:
            raise JobError(
                "nothing is measured, since poll() was not told the training step: a rank that "
                "left a poll out would be measured at other weights than the rest, and nobody "
                "could tell; call job.poll(training_step=step)."
            )
        callers = [""] * self._ranks
        dist.all_gather_object(callers, caller, group=self._group)
        if len(set(callers)) > 1:
            where_each_polls = "; ".join(
                f"rank {rank} in {caller_of_rank}" for rank, caller_of_rank in enumerate(callers)
            )
            raise JobError(
                f"nothing is measured, since ranks poll in different places: {where_each_polls}. "
                "One may have changed the weights already and the other not; call job.poll in one "
                "place."
            )

    def conclude(self, end: RunEnded, *, limit: float) -> tuple[list[RunEnded], bool]:
        """How a run ended on all ranks, and whether they can go on; all call it at its end.

        A rank that fails in the middle of a pass leaves the others in a collective, unless they
        fail alike.

        Args:
            end: How it ended on this rank.
            limit: Seconds to wait for the others where it failed.

        Returns:
            Each rank's end, and whether a rank was interrupted, which then leaves the poll.

        Raises:
            JobError: Not all ranks came, or not from the same place.
        """
        interrupted = interrupts.wanted()
        if self._group is None:
            return [_named_end(end, interrupted)], bool(interrupted)
        bad = end.state != "done"
        # By the store, not by a collective: one that is never joined would keep this process from
        # ending.
        try:
            self._arrive(_LIMIT if not bad else limit)
        except JobError:
            # Without the store nobody knows who comes. Where this rank did not fail, the others do
            # too, or end.
            if self._meeting is None or self._meeting.lost is None or end.state == "failed":
                raise
        flag = torch.tensor([int(bad or bool(interrupted))])
        dist.all_reduce(flag, dist.ReduceOp.MAX, group=self._group)
        if not flag.item():
            return [end] * self._ranks, False
        own_end = (_named_end(end, interrupted), interrupted, standing(apart_from=self._group))
        all_ends: list[tuple[RunEnded, str, Standing]] = [own_end] * self._ranks
        dist.all_gather_object(all_ends, own_end, group=self._group)
        ends, names, standings = (list(column) for column in zip(*all_ends, strict=True))
        if not _called_alike(standings):
            ends_in_words = "; ".join(
                f"rank {r}: {rank_end.error or rank_end.state}" for r, rank_end in enumerate(ends)
            )
            raise JobError(
                "ranks ended a run in the middle of different passes, so that their collectives "
                f"would no longer meet ({ends_in_words}); start the job again."
            )
        return ends, any(names)

    def part(self) -> None:
        """Wait for all ranks before leaving: one that went first would look like a killed one."""
        if self._group is not None:
            dist.barrier(group=self._group)

    def _hear(
        self, message: dict[str, Any], moment: int, patient: bool, wish: str = ""
    ) -> dict[str, Any]:
        if self._group is None:
            return message
        if self._broken_off:
            raise JobError(self._broken_off)
        self._polls += 1
        speaks = self._rank == 0
        text = json.dumps(message).encode() if message and speaks else b""
        wishing = self._rank if wish else -1
        head = torch.tensor([len(text), moment if speaks else _NOBODY, moment, -moment, wishing])
        work = dist.all_reduce(head, dist.ReduceOp.MAX, group=self._group, async_op=True)
        self._wait(work, moment, patient)
        length, first, largest, negative, wishing = head.tolist()
        if largest != -negative and first != _CLOSING:
            raise JobError(self._out_of_step(moment))
        if not length:
            return self._wished(wishing, wish) if wishing >= 0 else {}
        content = torch.frombuffer(bytearray(text.ljust(length)), dtype=torch.uint8)
        dist.broadcast(content, 0, group=self._group)
        received: dict[str, Any] = json.loads(content.numpy().tobytes())
        return received

    def _wished(self, rank: int, wish: str) -> dict[str, Any]:
        box = [wish]
        dist.broadcast_object_list(box, rank, group=self._group)
        return {"close": f"rank {rank}: {box[0]}"}

    def _arrive(self, limit: float) -> None:
        """Come to a run's end, and wait until all ranks have.

        Raises:
            JobError: They have not, after so many seconds.
        """
        meeting = self._meeting
        assert meeting is not None, "one rank meets nobody"
        self._runs += 1
        count, all_here = f"end/{self._runs}", f"end/{self._runs}/all"
        if meeting.add(count, 1) == self._ranks:
            meeting.leave(all_here)
        began, pause = time.monotonic(), 1e-3
        while not meeting.has(all_here):
            if time.monotonic() - began > limit:
                raise JobError(
                    f"only {meeting.add(count, 0)} of {self._ranks} ranks came to the end of the "
                    f"run within {limit:.0f} s, so that the others wait in a collective."
                )
            self._break_in(_RUN_END)
            time.sleep(pause)
            pause = min(2 * pause, 0.05)
        if self._rank == 0 and self._runs > 1:  # all have read those
            meeting.remove([f"end/{self._runs - 1}", f"end/{self._runs - 1}/all"])

    def _wait(self, work: Any, moment: int, patient: bool) -> None:
        """Wait for all ranks, and say for which, as far as the store tells."""
        meeting = self._meeting
        assert meeting is not None, "one rank waits for nobody"
        began, warned, arrival_key = time.monotonic(), False, ""
        while True:
            try:
                work.wait(datetime.timedelta(seconds=_TICK))
                break
            except RuntimeError:
                if work.is_completed():  # it failed, rather than takes its time
                    raise
            self._break_in(moment)
            waited = time.monotonic() - began
            # Training goes on if the store is lost, which only tells which ranks are late.
            with contextlib.suppress(JobError):
                if not arrival_key:
                    meeting.leave(f"{self._polls}/{self._rank}")
                    arrival_key = f"{self._polls}/{self._rank}"
                elif patient:
                    meeting.has(arrival_key)  # as long as torchrun lives, which would end this rank
            lost = meeting.lost
            if waited < _WORD or (warned and lost is None and (patient or waited < _LIMIT)):
                continue
            if lost is not None and patient:  # nobody is left who would end this rank
                raise lost
            missing = self._missing()
            latecomers = _ranks_in_words(missing) if missing else "some ranks have"
            text = (
                f"{latecomers} not come to {_moment_in_words(moment)} for {waited:.0f} s, "
                "where all other ranks wait; call job.poll on all ranks, at the same steps."
            )
            if lost is not None:
                text = f"{text} Which ones cannot be told: {lost}"
            if waited >= _LIMIT and not patient:
                raise JobError(text)
            speaks = min(set(range(self._ranks)) - set(missing)) if missing else 0
            if self._rank == speaks and not warned:  # one speaks for all
                _log.warning("%s", text)
            warned = True
        if arrival_key:
            with contextlib.suppress(JobError):
                meeting.remove([arrival_key])

    def _missing(self) -> list[int]:
        """Ranks that have not come to this poll; none where nobody can tell."""
        assert self._meeting is not None, "one rank waits for nobody"
        with contextlib.suppress(JobError):
            return [
                rank
                for rank in range(self._ranks)
                if not self._meeting.has(f"{self._polls}/{rank}")
            ]
        return []

    def _break_in(self, moment: int) -> None:
        """Let an interrupt through that has waited for too long; others may never come."""
        try:
            interrupts.break_in()
        except BaseException:
            self._broken_off = (
                f"this rank was interrupted at {_moment_in_words(moment)}, where it waited "
                "for others, and is out of step with them; start the job again."
            )
            raise

    def _out_of_step(self, moment: int) -> str:
        moments = [torch.zeros(1, dtype=torch.int64) for _ in range(self._ranks)]
        dist.all_gather(moments, torch.tensor([moment]), group=self._group)
        ranks: dict[int, list[int]] = {}
        for rank, moment_of_rank in enumerate(moments):
            ranks.setdefault(int(moment_of_rank), []).append(rank)
        moments_in_words = "; ".join(
            f"{_ranks_in_words(its_ranks)} come to {_moment_in_words(one_moment)}"
            for one_moment, its_ranks in ranks.items()
        )
        return (
            f"ranks are out of step: {moments_in_words}. Call job.poll on all ranks, at the "
            "same steps, and close the job after the same one."
        )


def _moment_in_words(moment: int) -> str:
    if moment == _CLOSING:
        return "the job's end"
    if moment == _RUN_END:
        return "a run's end"
    return "poll()" if moment == _NO_STEP else f"poll(training_step={moment})"


def _named_end(end: RunEnded, interrupted: str) -> RunEnded:
    """How a run ended on a rank that was interrupted, in words."""
    if end.state != "cancelled" or not interrupted:
        return end
    return dataclasses.replace(end, error=f"stopped by {interrupted}; what was measured is kept.")


def _ranks_in_words(ranks: list[int]) -> str:
    names = ", ".join(str(rank) for rank in ranks)
    return f"rank {names} has" if len(ranks) == 1 else f"ranks {names} have"
