"""What ranks died of."""

import dataclasses
import time
from collections.abc import Mapping, Sequence

from hessview.checked import check_time, told
from hessview.transport.process import Process

# How gloo and NCCL put it that a rank at the other end has gone.
_LOST_PEER = (
    "Connection closed by peer",
    "Connection reset by peer",
    "Broken pipe",
    "remote process exited",
    "Connection refused",
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Failure:
    """What a rank died of.

    Attributes:
        rank: The rank.
        error: Kind and text of its error.
        time: Seconds since the epoch.
    """

    rank: int
    error: str
    time: float

    def __post_init__(self) -> None:
        check_time("time", self.time)
        object.__setattr__(self, "error", told(self.error))

    @classmethod
    def of(cls, rank: int, error: BaseException | str) -> "Failure":
        """Failure of a rank by an error, now."""
        text = error if isinstance(error, str) else f"{type(error).__name__}: {error}"
        return cls(rank=rank, error=text, time=time.time())

    @property
    def lost_peer(self) -> bool:
        """Whether the rank only died because another one had gone."""
        return any(words in self.error for words in _LOST_PEER)


def blame(failures: Sequence[Failure], gone: Mapping[int, Process]) -> str:
    """What began the death of a job, in words.

    Args:
        failures: What ranks said that they died of, the earliest first.
        gone: Ranks whose process is gone.

    Returns:
        Which rank and why, as far as it can be told; "" if nothing went wrong.
    """
    for failure in failures:
        if not failure.lost_peer:
            return f"rank {failure.rank} failed: {failure.error}"
    said = {failure.rank for failure in failures}
    silent = sorted(rank for rank in gone if rank not in said)
    if silent:
        who = ", ".join(f"rank {rank} ({gone[rank]})" for rank in silent)
        return (
            f"{who} was killed without a word, by the system (out of memory?), by hand, or with "
            "torchrun; the end of torchrun's output says which"
        )
    if failures:
        return (
            f"another rank was killed without a word; rank {failures[0].rank}: {failures[0].error}"
        )
    return ""
