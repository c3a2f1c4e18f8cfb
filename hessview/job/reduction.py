"""Sums over ranks, which carry the wish to stop along."""

from collections.abc import Callable

import torch
import torch.distributed as dist
from torch import Tensor

from hessview.errors import RunCancelledError


class Reduction:
    """Sums a few numbers over all ranks.

    One more number travels in the same message: whether a rank wants to stop. So all ranks
    stop at the same place, and asking costs nothing.
    """

    def __init__(self) -> None:
        self.wants_stop: Callable[[], bool] = lambda: False

    def __call__(self, numbers: Tensor) -> Tensor:
        """Sum over ranks.

        Args:
            numbers: Shape (number,), float64.

        Returns:
            Shape (number,), the same on every rank.

        Raises:
            RunCancelledError: A rank wants to stop; raised on all ranks.
        """
        wish = torch.tensor([float(self.wants_stop())], dtype=numbers.dtype, device=numbers.device)
        packed = torch.cat([numbers, wish])
        if dist.is_initialized() and dist.get_world_size() > 1:
            dist.all_reduce(packed)
        if packed[-1] > 0:
            raise RunCancelledError("the run was cancelled; what was measured is kept.")
        return packed[:-1]
