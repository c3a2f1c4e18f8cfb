"""What ranks died of."""

import dataclasses
import time
from collections.abc import Mapping, Sequence

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
    silent = dict(gone)
    for failure in failures:
        silent.pop(failure.rank, None)
    if len(silent) == 1:
        ((rank, process),) = silent.items()
        return f"rank {rank} ({process}) was killed without a word (out of memory?)"
    if silent:
        return (
            f"ranks {', '.join(map(str, sorted(silent)))} are gone without a word, killed by "
            "torchrun or with it; the end of torchrun's output says why"
        )
    if failures:
        return (
            f"another rank was killed without a word; rank {failures[0].rank}: {failures[0].error}"
        )
    return ""
