"""What this rank holds of each parameter."""

import hashlib
import math

import torch.distributed as dist
from torch import nn
from torch.distributed.tensor import DTensor
from torch.distributed.tensor._utils import compute_local_shape_and_global_offset

from hessview.errors import ObjectiveError
from hessview.job import sharding
from hessview.spectral.vectors import Piece

_PIPELINE = (
    "A job differentiates one module that all ranks share: pipeline stages, of which each rank "
    "has another, cannot be measured; use fully_shard on the whole module in their place."
)


def pieces(module: nn.Module, *, data_ranks: int) -> list[Piece]:
    """What this rank holds of every differentiated parameter.

    Args:
        module: Sharded, replicated or plain.
        data_ranks: Number of ranks that are given different batches.

    Raises:
        ObjectiveError: A parameter whose gradient no one would sum over the ranks, or one that
            a part of the ranks only holds.
    """
    parameters = sharding.trainable(module)
    ranks, rank = (dist.get_world_size(), dist.get_rank()) if dist.is_initialized() else (1, 0)
    replica = sharding.distributed_data_parallel(module)
    if replica is not None:
        joined = dist.get_process_group_ranks(replica.process_group)
        if len(joined) != ranks:
            raise ObjectiveError(f"DistributedDataParallel joins ranks {joined} only, {_cure()}")
    sharded = [p for p in parameters.values() if isinstance(p, DTensor)]
    joint = any(parameter.device_mesh.size() == ranks for parameter in sharded)
    result = []
    for name, parameter in parameters.items():
        if isinstance(parameter, DTensor):
            joined = parameter.device_mesh.mesh.flatten().tolist()
            if len(joined) != ranks and not joint:
                raise ObjectiveError(f"parameter {name!r} lies on ranks {joined} only, {_cure()}")
            # Beside parameters that join all ranks, the others hold copies of this one.
            result.append(_piece(name, parameter, first=len(joined) == ranks or 0 in joined))
            continue
        alike = replica is not None or data_ranks == 1 or sharding.summed_here(parameter)
        if ranks > 1 and not alike:
            raise ObjectiveError(_not_sharded(name, bool(sharded), ranks))
        shape = tuple(parameter.shape)
        origin = (0,) * len(shape)
        result.append(
            Piece(name=name, full_shape=shape, shape=shape, offset=origin, owned=rank == 0)
        )
    return result


def check_same_parameters(module: nn.Module) -> None:
    """Refuse ranks that hold unlike parameters; called by all ranks together.

    Raises:
        ObjectiveError: Names or shapes differ; raised on all ranks alike.
    """
    if not dist.is_initialized() or dist.get_world_size() == 1:
        return
    own = {  # as found: gathered parameters tell `checks` what happened to them
        sharding.plain_name(module, name): tuple(parameter.shape)
        for name, parameter in module.named_parameters()
        if parameter.requires_grad
    }
    digests = [b""] * dist.get_world_size()
    dist.all_gather_object(digests, hashlib.blake2b(repr(own).encode()).digest())
    unlike = next((rank for rank, other in enumerate(digests) if other != digests[0]), None)
    if unlike is None:
        return
    shown = []
    for rank in (0, unlike):
        holder = [own]
        dist.broadcast_object_list(holder, rank)
        shown.append(holder[0])
    first, other = shown
    name = next((n for n in first | other if first.get(n) != other.get(n)), "")
    what = (
        f"{name!r} has shape {first.get(name, 'none')} on rank 0, {other.get(name, 'none')} on "
        f"rank {unlike}"
        if name
        else "they come in another order"
    )
    raise ObjectiveError(f"rank {unlike} holds other parameters than rank 0: {what}. {_PIPELINE}")


def _cure() -> str:
    return (
        f"and the job has {dist.get_world_size()}; shard over a mesh of all ranks, or start a job "
        "of its own, with a torchrun of its own, for these. Pipeline stages cannot be measured."
    )


def _not_sharded(name: str, sharded: bool, ranks: int) -> str:
    what = f"parameter {name!r} is not sharded on a job of {ranks} ranks, so its gradient would "
    if sharded:
        return (
            f"{what}differ between them; pass the whole module to fully_shard. Beside tensor "
            "parallelism, distribute such a parameter over that mesh first: "
            'distribute_tensor(parameter, mesh["tp"], [Replicate()]).'
        )
    return (
        f"{what}differ between them; pass the module to fully_shard (or to "
        "DistributedDataParallel) first. "
        'hessview.launch("package.module:function") shards a plain module itself.'
    )


def _piece(name: str, parameter: DTensor, *, first: bool) -> Piece:
    mesh, placements = parameter.device_mesh, parameter.placements
    shape, offset = compute_local_shape_and_global_offset(parameter.shape, mesh, placements)
    held = tuple(parameter.to_local().shape)
    if math.prod(shape) == 0 and math.prod(held) == 0:
        shape = held
    assert tuple(shape) == held, f"{name}: DTensor holds {held}, its placements say {shape}"
    coordinate = mesh.get_coordinate()
    assert coordinate is not None, "a rank outside of its own mesh"
    replica = [c for c, place in zip(coordinate, placements, strict=True) if place.is_replicate()]
    return Piece(
        name=name,
        full_shape=tuple(parameter.shape),
        shape=held,
        offset=tuple(offset),
        owned=first and not any(replica),
    )
