"""Tied parameters that came apart, which no derivative would show."""

import itertools

import torch

from hessview.errors import ObjectiveError
from hessview.job.surface import ShardedLoss


def untied(surface: ShardedLoss) -> dict[str, str]:
    """Look for parameters that were one before modules were sharded apart.

    Args:
        surface: The loss, over all of its parameters.

    Returns:
        A note on distinct parameters with equal numbers, by name; {} if there are none. They
        may be meant so (layers that start as copies), hence no error.

    Raises:
        ObjectiveError: The model's own configuration says that two parameters are one.
    """
    module = surface.objective.module
    config = getattr(module, "config", None)
    if getattr(config, "tie_word_embeddings", False):
        ends = (module.get_input_embeddings(), module.get_output_embeddings())  # type: ignore[operator]
        weights = [getattr(end, "weight", None) for end in ends]
        if None not in weights and weights[0] is not weights[1]:
            raise ObjectiveError(
                "the model ties its output embedding to its input embedding, but they are two "
                "parameters now, as happens when each is passed to fully_shard alone; shard "
                "both in one group: fully_shard([embedding, head]), or leave them to the root."
            )
    pairs = _equal(surface)
    if not pairs:
        return {}
    return {
        "equal_parameters": ", ".join(f"{a} = {b}" for a, b in pairs)
        + "; if they were tied, sharding them apart has untied them"
    }


def _equal(surface: ShardedLoss) -> list[tuple[str, str]]:
    """Pairs of parameters that hold the same numbers, not all equal, on all ranks."""
    pieces, shards, reduce = surface.space.pieces, surface.shards(), surface.space.reduce
    # Sums first, so that few are compared number by number.
    own = [s.sum(dtype=torch.float64) * p.owned for s, p in zip(shards, pieces, strict=True)]
    sums = reduce(torch.stack(own)).tolist()
    candidates = [
        (i, j)
        for i, j in itertools.combinations(range(len(pieces)), 2)
        if pieces[i].full_shape == pieces[j].full_shape and sums[i] == sums[j]
    ]
    if not candidates:
        return []
    differs = [float(not torch.equal(shards[i], shards[j])) for i, j in candidates]
    # A shard is constant on each rank alone; over ranks the constants would have to differ too.
    varies = [float(_varies(shards[i])) for i, _ in candidates]
    numbers = torch.tensor([*differs, *varies], dtype=torch.float64, device=surface.space.device)
    total = reduce(numbers).tolist()
    both = zip(candidates, total[: len(candidates)], total[len(candidates) :], strict=True)
    return [
        (pieces[i].name, pieces[j].name) for (i, j), unequal, vary in both if not unequal and vary
    ]


def _varies(shard: torch.Tensor) -> bool:
    return shard.numel() > 0 and bool((shard != shard.flatten()[0]).any())
