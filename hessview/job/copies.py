"""Whether ranks that hold copies of a parameter hold, and do, the same."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from hessview.errors import ObjectiveError
from hessview.job import sharding
from hessview.job.surface import ShardedLoss

_VALUES, _GRADIENTS = 1e-4, 1e-2
"""Differences of copies over their norms that are let pass. Copies that are meant to be equal are
so to the last bit on like machines; those that are not meant to be differ by a multiple."""


def check_values(surface: ShardedLoss) -> None:
    """Refuse copies of a parameter that hold different numbers; called by all ranks together.

    Replicas that were initialised with another seed each, or stages of a pipeline whose
    parameters bear the same names, would be measured as a model that nobody has.

    Args:
        surface: The loss, over all of its parameters.

    Raises:
        ObjectiveError: They differ; raised on all ranks alike.
    """
    if not _copied(surface):
        return
    unlike = _unlike(surface, surface.shards(), _VALUES)
    if unlike is not None:
        name, first, other = unlike
        raise ObjectiveError(
            f"ranks {first} and {other} hold copies of parameter {name!r} that differ; give all "
            "replicas the same numbers, from one checkpoint or one seed, before it is measured. "
            "Parts of one parameter have to be DTensors (distribute_tensor); pipeline stages, "
            "whose parameters may bear the same names, cannot be measured."
        )


def check_gradients(surface: ShardedLoss) -> None:
    """Refuse copies whose gradients differ between ranks; called by all ranks together.

    FSDP and DistributedDataParallel sum gradients over the ranks that they know of. Over the
    others, as over those of tensor parallelism, each rank has to find the whole gradient by
    itself, which holds or not by what the module does.

    Args:
        surface: The loss, over all of its parameters.

    Raises:
        ObjectiveError: They differ; raised on all ranks alike.
    """
    if not _copied(surface) or not sharding.copied_within(surface.objective.module):
        return
    surface.measure()
    gradient = surface.space.zeros()
    surface.gradient(gradient)
    noise = 1e3 * surface.machine_epsilon * surface.gradient_norm
    unlike = _unlike(surface, surface.space.split(gradient), _GRADIENTS, noise)
    if unlike is not None:
        name, first, other = unlike
        raise ObjectiveError(
            f"ranks {first} and {other} hold copies of parameter {name!r}, but find different "
            "gradients for it, which nobody sums. Distribute it over the mesh of tensor "
            'parallelism, distribute_tensor(parameter, mesh["tp"], [Replicate()]), and keep '
            "DTensors in between (with SequenceParallel, say), so that torch knows of the sum."
        )


def _copied(surface: ShardedLoss) -> bool:
    """Whether any rank holds what another one owns."""
    if not dist.is_initialized() or dist.get_world_size() == 1:
        return False
    copies = float(sum(not piece.owned and piece.numel > 0 for piece in surface.space.pieces))
    total = surface.space.reduce(
        torch.tensor([copies], dtype=torch.float64, device=surface.space.device)
    )
    return bool(total > 0)


def _unlike(
    surface: ShardedLoss, parts: Sequence[Tensor], tolerance: float, noise: float = 0.0
) -> tuple[str, int, int] | None:
    """A parameter whose copies differ, and two ranks that hold such; the same on all ranks.

    Told by inner products with a probe, which depends on the place in the whole parameter alone.
    """
    pieces = surface.space.pieces
    signs = surface.space.split(surface.space.probe(0, 0))
    own = []
    for piece, part, sign in zip(pieces, parts, signs, strict=True):
        wide = part.to(torch.float64)
        norm = float(wide.norm())
        own.append((*piece.offset, *piece.shape, float((wide * sign).sum()), norm))
    every: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(every, own)
    for number, piece in enumerate(pieces):
        seen: dict[tuple[float, ...], tuple[int, float, float]] = {}
        for rank, told in enumerate(every):
            *box, product, norm = told[number]
            first, expected, size = seen.setdefault(tuple(box), (rank, product, norm))
            if abs(product - expected) > tolerance * max(norm, size) + noise:
                return piece.name, first, rank
    return None
