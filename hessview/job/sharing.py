"""Which ranks are given different batches, and which see one batch together."""

import dataclasses
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor import DTensor

from hessview.errors import InputError, ObjectiveError
from hessview.job import sharding
from hessview.job.control import agree

if TYPE_CHECKING:
    from hessview.job.objective import Objective

_TOGETHER = {
    *("cp", "context", "context_parallel", "sp", "sequence", "sequence_parallel"),
    *("tp", "tensor", "tensor_parallel", "pp", "pipe", "pipeline", "pipeline_parallel"),
}
"""Names of mesh dimensions whose ranks work on one batch together. Those of experts are not among
them: their ranks exchange tokens of batches that are their own."""


@dataclasses.dataclass(frozen=True)
class Sharing:
    """This rank's place among those that share the data out.

    Attributes:
        position: Which of the shares is this rank's.
        ranks: How many shares there are. A job of more ranks has several at one position, which
            see the same batches; each position has as many.
    """

    position: int
    ranks: int


def sharing_of(module: nn.Module, data: DeviceMesh | None = None) -> Sharing:
    """How batches are shared out, as far as meshes and their names tell; without collectives.

    Args:
        module: Sharded, replicated or plain.
        data: The mesh that the user stated; by default FSDP's, without dimensions such as "cp"
            and "tp". A module of DTensors without FSDP is one program over all ranks, which see
            every batch. Others share batches out over all ranks.

    Raises:
        InputError: A stated mesh that this rank is no part of.
    """
    if not dist.is_initialized():
        return Sharing(0, 1)
    if data is not None:
        return _in_flat_order(data)
    mesh = _fsdp_mesh(module)
    if mesh is not None:
        return _by_names(mesh)
    if any(isinstance(parameter, DTensor) for parameter in module.parameters()):
        return Sharing(0, 1)
    return Sharing(dist.get_rank(), dist.get_world_size())


def _fsdp_mesh(module: nn.Module) -> DeviceMesh | None:
    """The largest mesh over which FSDP sums gradients; None without FSDP.

    Experts have a smaller one than the other parameters: the sums over the rest of the ranks
    come with the tokens that these exchange.
    """
    meshes = [group.mesh_info.mesh for group in sharding.groups(module)]
    return max(meshes, key=lambda mesh: mesh.size(), default=None)


def agreed_sharing(objective: "Objective") -> Sharing:
    """How batches are shared out, checked for being the same on all ranks; called by all.

    Raises:
        InputError: A stated mesh that does not hold all ranks, or holds them unequally.
        ObjectiveError: FSDP's meshes do; raised on all ranks alike.
    """
    with agree():
        own_sharing = sharing_of(objective.module, objective.data)
    if not dist.is_initialized() or dist.get_world_size() == 1:
        return own_sharing
    world = dist.get_world_size()
    sharings: list[Sharing] = [own_sharing] * world
    dist.all_gather_object(sharings, own_sharing)
    counts = Counter(sharings)
    even = {
        Sharing(position, own_sharing.ranks): world // own_sharing.ranks
        for position in range(own_sharing.ranks)
    }
    if counts != even:
        whose = "that Objective(data=...) states" if objective.data is not None else "of FSDP"
        sizes = ", ".join(str(of_rank.ranks) for of_rank in sharings)
        text = (
            f"the mesh {whose} does not share batches out evenly over the job's {world} ranks: "
            f"they find it to have {sizes} ranks; use one mesh of all ranks, or one dimension of "
            'it, such as mesh["dp"].'
        )
        raise InputError(text) if objective.data is not None else ObjectiveError(text)
    return own_sharing


def check_data(data: object) -> None:
    """Refuse a `data` that is not a mesh.

    Raises:
        InputError: It is neither None nor a DeviceMesh.
    """
    if data is not None and not isinstance(data, DeviceMesh):
        raise InputError(
            f"data is a {type(data).__name__}; pass the DeviceMesh over whose ranks batches are "
            'shared out, such as init_device_mesh("cuda", (4, 2), mesh_dim_names=("dp", "cp"))'
            '["dp"], or leave it out.'
        )


def grouped(positions: Sequence[int], position: int) -> Sharing:
    """The sharing after positions have been merged into groups.

    Args:
        positions: The first position of the group that each one belongs to.
        position: This rank's, before.
    """
    groups = sorted(set(positions))
    return Sharing(groups.index(positions[position]), len(groups))


def _in_flat_order(mesh: DeviceMesh) -> Sharing:
    ranks = mesh.mesh.flatten().tolist()
    rank = dist.get_rank()
    if rank not in ranks:
        raise InputError(
            f"Objective(data=...) is a mesh of ranks {ranks}, to which rank {rank} does not "
            f"belong; pass a mesh of all {dist.get_world_size()} ranks, or one dimension of it, "
            'such as mesh["dp"].'
        )
    return Sharing(ranks.index(rank), len(ranks))


def _by_names(mesh: DeviceMesh) -> Sharing:
    """By the coordinates of a mesh's ranks in those dimensions that do share batches out."""
    ranks = mesh.mesh.flatten().tolist()
    # A flattened mesh has one name only; the root mesh still has the names of its dimensions.
    root_mesh = mesh._get_root_mesh()
    names = sharding.dimension_names(root_mesh)
    data_axes = [axis for axis, name in enumerate(names) if name.lower() not in _TOGETHER]
    coordinates = {
        rank: tuple(coordinate[axis] for axis in data_axes)
        for rank in ranks
        for coordinate in (root_mesh.mesh == rank).nonzero().tolist()
    }
    if len(coordinates) < len(ranks):
        return Sharing(ranks.index(dist.get_rank()), len(ranks))
    shares = list(dict.fromkeys(coordinates[rank] for rank in ranks))
    return Sharing(shares.index(coordinates[dist.get_rank()]), len(shares))


def mesh_of(module: nn.Module) -> dict[str, int]:
    """Size of each dimension of the largest mesh that parameters lie on, by name."""
    replica = sharding.distributed_data_parallel(module)
    if replica is not None:
        return {"replicate": dist.get_world_size(replica.process_group)}
    sharded = [parameter for parameter in module.parameters() if isinstance(parameter, DTensor)]
    mesh = max(
        (parameter.device_mesh for parameter in sharded), key=lambda m: m.size(), default=None
    )
    if mesh is None:
        return {}
    return dict(zip(sharding.dimension_names(mesh), mesh.shape, strict=True))
