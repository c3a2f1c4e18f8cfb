"""Ranks agreeing on whether to go on, so that none waits for one that has stopped."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch.distributed as dist

from hessview.errors import HessviewError


@contextmanager
def agree() -> Iterator[None]:
    """Raise on every rank what was raised on any of them inside of the block.

    For work that each rank does on its own, without collectives. Only errors that hessview
    raises on purpose are shared; anything else ends the rank, and with it the job.

    Raises:
        HessviewError: The error of the lowest rank that had one.
    """
    error: HessviewError | None = None
    try:
        yield
    except HessviewError as own:
        error = own
    if dist.is_initialized() and dist.get_world_size() > 1:
        errors: list[HessviewError | None] = [None] * dist.get_world_size()
        dist.all_gather_object(errors, error)
        error = error or next((other for other in errors if other is not None), None)
    if error is not None:
        raise error
