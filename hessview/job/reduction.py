"""Sums over ranks, which carry the wish to stop along."""

import time
from collections.abc import Callable

import torch
import torch.distributed as dist
from torch import Tensor

from hessview import interrupts
from hessview.errors import RunCancelledError


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
