"""torchrun's store, by which ranks see how far the others are, beside their collectives."""

from collections.abc import Sequence

import torch.distributed as dist
from torch.distributed.distributed_c10d import PrefixStore, _get_default_store

from hessview.errors import JobError


def rank() -> int:
    """This process's rank, 0 of one that is alone."""
    return dist.get_rank() if dist.is_initialized() else 0


def ranks() -> int:
    """How many ranks there are, 1 of a process that is alone."""
    return dist.get_world_size() if dist.is_initialized() else 1


class Meeting:
    """A part of the store of a process group.

    The store lives in torchrun's process, or in that of a rank, and goes with it, while
    collectives go on: what only tells who is late must not end a training then.

    Args:
        name: What tells this part from others.
    """

    def __init__(self, name: str) -> None:
        self._store = PrefixStore(name, _get_default_store())
        self.lost: JobError | None = None
        """Why the store can no longer be reached; None while it can."""

    def add(self, key: str, number: int) -> int:
        """Count up.

        Args:
            key: Name of the count.
            number: By how much; 0 only reads.

        Raises:
            JobError: The store is gone, and so of the other methods.
        """
        with self._as_told():
            return int(self._store.add(key, number))

    def leave(self, key: str) -> None:
        """Set a key of the store."""
        with self._as_told():
            self._store.set(key, "here")

    def has(self, key: str) -> bool:
        """Whether a key of the store is set."""
        with self._as_told():
            return bool(self._store.check([key]))

    def remove(self, keys: Sequence[str]) -> None:
        """Remove keys that all ranks have read."""
        with self._as_told():
            for key in keys:
                self._store.delete_key(key)

    def _as_told(self) -> "_Told":
        if self.lost is not None:
            raise self.lost
        return _Told(self)


class _Told:
    """Turn a store's error into a JobError, and remember it."""

    def __init__(self, meeting: Meeting) -> None:
        self._meeting = meeting

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, RuntimeError):  # all that a store raises are such
            self._meeting.lost = _gone(error)
            raise self._meeting.lost from error


def in_words(error: BaseException) -> BaseException:
    """What to tell of an error: where torch's says which socket broke, what to do.

    Args:
        error: Any error; others than of a store that went with torchrun are given back.
    """
    return _gone(error) if isinstance(error, dist.DistNetworkError) else error


def _gone(error: BaseException) -> JobError:
    line = str(error).partition("\n")[0].partition(". Exception raised")[0][:200]
    return JobError(
        "torchrun is gone, or cannot be reached any more, and with it the store by which ranks "
        f"meet ({line}); start the job again with torchrun, and end one with Ctrl-C on torchrun."
    )
