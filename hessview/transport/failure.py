"""What ranks died of."""

import dataclasses
import time
from collections.abc import Sequence

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


def blame(failures: Sequence[Failure]) -> str:
    """The failure that began it, in words.

    Args:
        failures: All known failures, the earliest first; at least one.

    Returns:
        Which rank and why; where only followers left word, that some other rank was killed.
    """
    for failure in failures:
        if not failure.lost_peer:
            return f"rank {failure.rank} failed: {failure.error}"
    ranks = ", ".join(str(failure.rank) for failure in failures)
    return (
        f"another rank than {ranks} was killed without a word (out of memory?): {failures[0].error}"
    )
