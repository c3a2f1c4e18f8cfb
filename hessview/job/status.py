"""What a job says of itself: what it is doing before it can be asked, and how its runs end."""

import contextlib
import gc
import os
import pathlib
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence

import torch

from hessview.errors import HessviewError, RunCancelledError
from hessview.record.events import RunEnded
from hessview.wording import counted

_listeners: list[Callable[[str], None]] = []


def starting(phase: str) -> None:
    """Say what comes next.

    Args:
        phase: In words that go on "the job is ...", such as "loading smollm2".
    """
    for tell in list(_listeners):
        tell(phase)


@contextlib.contextmanager
def told(tell: Callable[[str], None]) -> Iterator[None]:
    """Report each phase inside of the block.

    Args:
        tell: Called with the phase; what it raises is raised.
    """
    _listeners.append(tell)
    try:
        yield
    finally:
        _listeners.remove(tell)


class Printed:
    """Prints each phase as a line of rank 0, with the seconds since the job's process began."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def __call__(self, phase: str) -> None:
        """Print a phase; the dots tell `hessview.launch` that it is no error."""
        if os.environ.get("RANK") == "0":
            seconds = time.monotonic() - self._began
            sys.stdout.write(f"hessview: [{seconds:4.0f} s] {phase} ...\n")
            sys.stdout.flush()


_OURS = (str(pathlib.Path(__file__).parents[1]), str(pathlib.Path(torch.__file__).parent))
_SHOWN = 4  # ranks whose errors are told, where these differ


def end_by(error: Exception) -> RunEnded:
    """How an error ends a run on the rank that met it."""
    if isinstance(error, RunCancelledError):
        return RunEnded(state="cancelled", error=str(error))
    if isinstance(error, HessviewError):
        return RunEnded(state="failed", error=str(error))
    if isinstance(error.__cause__, StopIteration):  # which a generator may not raise
        error = error.__cause__
    text = f"{type(error).__name__}: {error}{_location(error)}"
    if _out_of_memory(error):
        text = (
            f"out of memory ({text}); use fewer steps, a window (reorthogonalize=2), smaller "
            "batches, or more ranks."
        )
    return RunEnded(state="failed", error=text)


def end_of_all(ends: Sequence[RunEnded]) -> RunEnded:
    """How a run ended, from how it ended on each rank."""
    worst = [end for state in ("failed", "cancelled") for end in ends if end.state == state]
    if not worst:
        return ends[0]
    state = worst[0].state
    texts = {rank: end.error for rank, end in enumerate(ends) if end.state == state}
    if state == "cancelled":
        # The other ranks only heard that some rank was to stop.
        of_stopped_ranks = {
            rank: text for rank, text in texts.items() if text.startswith("stopped by")
        }
        if not of_stopped_ranks:
            return worst[0]
        texts = of_stopped_ranks
    if len(set(texts.values())) == 1 and len(texts) == len(ends):
        return RunEnded(state=state, error=next(iter(texts.values())))
    texts_in_words = [f"rank {rank}: {text}" for rank, text in texts.items()]
    more = (
        f"; and {counted(len(texts_in_words) - _SHOWN, 'rank')} more"
        if len(texts_in_words) > _SHOWN
        else ""
    )
    return RunEnded(state=state, error="; ".join(texts_in_words[:_SHOWN]) + more)


def _out_of_memory(error: BaseException) -> bool:
    """Whether an error says that a host's or a device's memory is used up."""
    cpu_allocation_failed = isinstance(error, RuntimeError) and "can't allocate memory" in str(
        error
    )
    return cpu_allocation_failed or isinstance(error, torch.OutOfMemoryError | MemoryError)


def forget(error: Exception) -> None:
    """Release what an error's traceback holds, which may be most of the memory.

    Args:
        error: One that was told, and goes nowhere.
    """
    link: BaseException | None = error
    while link is not None:
        traceback.clear_frames(link.__traceback__)
        link = link.__cause__ or link.__context__
    if _out_of_memory(error):
        gc.collect()
        torch.cuda.empty_cache()


def _location(error: Exception) -> str:
    """Where in the user's code it was raised, "" if nowhere."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if frame.filename.startswith("<") or frame.filename.startswith(_OURS):
            continue
        return f" ({frame.name}, {pathlib.Path(frame.filename).name}:{frame.lineno})"
    return ""
