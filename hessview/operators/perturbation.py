"""What is left of a step once the parameters' data type has rounded it."""

import math

import torch
from torch import Tensor

from hessview.operators.base import LossSurface


def perturbation_error(surface: LossSurface, direction: Tensor, step: float) -> float:
    """Relative error |(theta + h v) - theta - h v| / |h v| of the displacement that is made.

    In float32 it is below 1e-2 for any useful step; in bfloat16 most parameters do not move at
    all under a short one, and 1 means that nothing moved.

    Args:
        surface: The loss, at its undisplaced parameters.
        direction: v, of unit norm, shape (local_size,).
        step: h.

    Returns:
        The error, the same on all ranks.
    """
    space = surface.space
    missing = direction.clone()
    with torch.no_grad():
        for part, shard in zip(space.split(missing), surface.shards(), strict=True):
            moved = torch.add(shard, part, alpha=step).to(shard.dtype)
            part.sub_((moved.to(part.dtype) - shard.to(part.dtype)).div_(step))
    return math.sqrt(float(space.reduce(space.squares(missing))))
