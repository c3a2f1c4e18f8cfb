"""Ranks agreeing on whether to go on, so that none waits for one that has stopped."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch.distributed as dist

from hessview.errors import HessviewError, JobError


@contextmanager
def agree(*, on_all: bool = False) -> Iterator[None]:
    """Raise on every rank what was raised on any of them inside of the block.

    For work that each rank does on its own, without collectives.

    Args:
        on_all: Whether to share all errors; by default only those that hessview raises on
            purpose are, and anything else ends the rank, and with it the job.

    Raises:
        HessviewError: The error of the lowest rank that had one.
        Exception: This rank's own error.
    """
    error: Exception | None = None
    try:
        yield
    except Exception as own:
        if not on_all and not isinstance(own, HessviewError):
            raise
        error = own
    if dist.is_initialized() and dist.get_world_size() > 1:
        told = error
        if error is not None and not isinstance(error, HessviewError):  # which others may not know
            told = JobError(f"rank {dist.get_rank()} failed: {type(error).__name__}: {error}")
        errors: list[Exception | None] = [None] * dist.get_world_size()
        dist.all_gather_object(errors, told)
        error = error or next((other for other in errors if other is not None), None)
    if error is not None:
        raise error
