"""Which part of each parameter this rank holds, and how hessview shards a plain module itself."""

import hashlib
import math
from collections import Counter
from collections.abc import Sequence, Set

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard
from torch.distributed.fsdp._fully_shard._fsdp_param_group import FSDPParamGroup
from torch.distributed.tensor import DTensor
from torch.distributed.tensor._utils import compute_local_shape_and_global_offset
from torch.distributed.tensor.placement_types import Placement

from hessview.errors import ObjectiveError
from hessview.job import meeting, sharding
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
    ranks, rank = meeting.ranks(), meeting.rank()
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
    own_shapes = {  # as found: gathered parameters tell `checks` what happened to them
        sharding.plain_name(module, name): tuple(parameter.shape)
        for name, parameter in module.named_parameters()
        if parameter.requires_grad
    }
    digests = [b""] * dist.get_world_size()
    dist.all_gather_object(digests, hashlib.blake2b(repr(own_shapes).encode()).digest())
    unlike = next((rank for rank, other in enumerate(digests) if other != digests[0]), None)
    if unlike is None:
        return
    shown = []
    for rank in (0, unlike):
        holder = [own_shapes]
        dist.broadcast_object_list(holder, rank)
        shown.append(holder[0])
    first, other = shown
    name = next((n for n in first | other if first.get(n) != other.get(n)), "")
    difference = (
        f"{name!r} has shape {first.get(name, 'none')} on rank 0, {other.get(name, 'none')} on "
        f"rank {unlike}"
        if name
        else "they come in another order"
    )
    raise ObjectiveError(
        f"rank {unlike} holds other parameters than rank 0: {difference}. {_PIPELINE}"
    )


def _cure() -> str:
    return (
        f"and the job has {dist.get_world_size()}; shard over a mesh of all ranks, or start a job "
        "of its own, with a torchrun of its own, for these. Pipeline stages cannot be measured."
    )


def _not_sharded(name: str, sharded: bool, ranks: int) -> str:
    beginning = (
        f"parameter {name!r} is not sharded on a job of {ranks} ranks, so its gradient would "
    )
    if sharded:
        return (
            f"{beginning}differ between them; pass the whole module to fully_shard. Beside tensor "
            "parallelism, distribute such a parameter over that mesh first: "
            'distribute_tensor(parameter, mesh["tp"], [Replicate()]).'
        )
    return (
        f"{beginning}differ between them; pass the module to fully_shard (or to "
        "DistributedDataParallel) first. "
        'hessview.launch("package.module:function") shards a plain module itself.'
    )


def _piece(name: str, parameter: DTensor, *, first: bool) -> Piece:
    mesh, placements = parameter.device_mesh, parameter.placements
    shape, offset = compute_local_shape_and_global_offset(parameter.shape, mesh, placements)
    local_shape = tuple(parameter.to_local().shape)
    if math.prod(shape) == 0 and math.prod(local_shape) == 0:
        shape = local_shape
    assert tuple(shape) == local_shape, (
        f"{name}: DTensor holds {local_shape}, its placements say {shape}"
    )
    coordinate = mesh.get_coordinate()
    assert coordinate is not None, "a rank outside of its own mesh"
    replica = [
        c for c, placement in zip(coordinate, placements, strict=True) if placement.is_replicate()
    ]
    return Piece(
        name=name,
        full_shape=tuple(parameter.shape),
        shape=local_shape,
        offset=tuple(offset),
        owned=first and not any(replica),
    )


_WRAPPERS = ("_fsdp_wrapped_module.", "_checkpoint_wrapped_module.", "_orig_mod.")


def shard(
    module: nn.Module,
    mesh: DeviceMesh,
    *,
    compute_dtype: torch.dtype | None = None,
    apart: Sequence[nn.Module] | None = None,
    ignored: Set[nn.Parameter] = frozenset(),
) -> nn.Module:
    """Shard a module in place over a one-dimensional mesh, a group per layer.

    Everything outside of the layers (embedding, final norm, head) forms the root's one group,
    so that tied parameters stay tied: sharded apart they would be two.

    Args:
        module: Plain module, on the mesh's device or on "meta".
        mesh: The ranks.
        compute_dtype: Data type of forward and backward; None for the parameters' own.
            Gradients are always reduced in float32 or wider (bfloat16 costs 30 % error).
        apart: Modules that get a group of their own; None for `separate_layers`.
        ignored: Parameters that stay as they are.

    Returns:
        The same module.
    """
    policy = MixedPrecisionPolicy()
    if compute_dtype is not None:
        policy = MixedPrecisionPolicy(param_dtype=compute_dtype, reduce_dtype=torch.float32)
    for layer in (*(separate_layers(module) if apart is None else apart), module):
        fully_shard(layer, mesh=mesh, mp_policy=policy, ignored_params=set(ignored))
    return module


def separate_layers(module: nn.Module) -> list[nn.Module]:
    """Layers that can be sharded apart: modules with a forward and no tied parameter in common."""
    candidates = [layer for _, layer in layers(module)]
    inside = {child for layer in candidates for child in layer.modules()}
    holders = Counter(p for layer in candidates for p in set(layer.parameters()))
    for child in module.modules():
        if child not in inside:
            holders.update(child.parameters(recurse=False))
    return [
        layer
        for layer in candidates
        if type(layer).forward is not nn.Module.forward
        and all(holders[parameter] == 1 for parameter in layer.parameters())
    ]


def layers(module: nn.Module) -> list[tuple[str, nn.Module]]:
    """Names and modules of the repeated layers: the entries of the outermost module lists."""
    candidates: list[tuple[str, nn.Module]] = []
    lists: list[str] = []
    for name, child in module.named_modules():
        if any(name.startswith(f"{outer}.") for outer in lists):
            continue
        if isinstance(child, nn.ModuleList) and len(child):
            lists.append(name)
            candidates += [(f"{name}.{key}", layer) for key, layer in child.named_children()]
    return [(name, layer) for name, layer in candidates if any(True for _ in layer.parameters())]


def settle(module: nn.Module) -> None:
    """Let FSDP complete itself, as the first forward pass would, which sets its data types.

    Raises:
        ObjectiveError: Tied parameters were sharded apart.
    """
    for child in module.modules():
        if isinstance(child, FSDPModule):
            try:
                child._get_fsdp_state()._lazy_init()
            except ValueError as error:
                raise ObjectiveError(f"the module is sharded in a wrong way: {error}") from error


def trainable(module: nn.Module) -> dict[str, nn.Parameter]:
    """Parameters that are differentiated, sharded where they are, by their plain names."""
    reshard(module)
    return {
        plain_name(module, name): parameter
        for name, parameter in module.named_parameters()
        if parameter.requires_grad
    }


def plain_name(module: nn.Module, name: str) -> str:
    """The name of a module's parameter or child, without the prefixes that wrappers add."""
    for wrapper in _WRAPPERS:
        name = name.replace(wrapper, "")
    replicated = distributed_data_parallel(module) is not None
    return name.removeprefix("module.") if replicated else name


def reshard(module: nn.Module) -> None:
    """Free gathered and narrowed copies of parameters, so that the next pass makes them anew."""
    torch.clear_autocast_cache()
    for child in module.modules():
        if isinstance(child, FSDPModule):
            child.reshard()


def recover(module: nn.Module) -> None:
    """Bring FSDP and DDP back to rest after an exception inside of forward or backward.

    Left as it is, DDP would refuse the next pass, or reduce gradients in a `no_sync` block, as it
    waits for those of the pass that was cut off.
    """
    for child in module.modules():
        if isinstance(child, FSDPModule) and child._get_fsdp_state()._is_root is not False:
            child.reset_iter_state()
    # Gradients that were not reduced yet would be added to those of the next pass.
    for group in groups(module):
        for parameter in group.fsdp_params:
            parameter.unsharded_accumulated_grad = None
            if hasattr(parameter, "_unsharded_param"):
                parameter._unsharded_param.grad = None
    for child in module.modules():
        if isinstance(child, nn.parallel.DistributedDataParallel):
            child.reducer._reset_state()


def unreduced(module: FSDPModule) -> bool:
    """Whether a sharded module holds gradients that were not summed over the ranks yet."""
    return any(
        group._partial_reduce_output is not None
        or any(
            parameter.unsharded_accumulated_grad is not None
            or getattr(getattr(parameter, "_unsharded_param", None), "grad", None) is not None
            for parameter in group.fsdp_params
        )
        for group in module._get_fsdp_state()._fsdp_param_groups
    )


def local(tensor: Tensor) -> Tensor:
    """This rank's part of a parameter or gradient, sharing its storage."""
    tensor = tensor.detach()
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def groups(module: nn.Module) -> list[FSDPParamGroup]:
    """Groups of parameters that FSDP gathers and reduces together; none in a plain module."""
    states = [m._get_fsdp_state() for m in module.modules() if isinstance(m, FSDPModule)]
    # Modules that were sharded together share one state.
    return [group for state in dict.fromkeys(states) for group in state._fsdp_param_groups]


def kinds(module: nn.Module) -> dict[str, list[str]]:
    """Differentiated parameters by how ranks share them, and thus by how gradients are summed.

    What goes wrong between ranks goes wrong for one such kind: a mesh whose sums are divided by
    another number than the others', say, as that of experts is.

    Returns:
        Plain names by kind, in the module's order, each parameter in one of them. The kinds are
        in words ("fully_shard over shard=4, split over tp=2") and the same on all ranks.
    """
    group_of = _group_of(module)
    replicated = distributed_data_parallel(module) is not None
    names_by_kind: dict[str, list[str]] = {}
    for name, parameter in trainable(module).items():
        group = group_of.get(id(parameter))
        if group is None and not isinstance(parameter, DTensor):
            kind = "DistributedDataParallel" if replicated else "plain"
        else:
            kind = _kind(parameter, group)
        names_by_kind.setdefault(kind, []).append(name)
    return names_by_kind


def _group_of(module: nn.Module) -> dict[int, FSDPParamGroup]:
    """FSDP's groups by the identity of their parameters."""
    return {id(p.sharded_param): group for group in groups(module) for p in group.fsdp_params}


def _kind(parameter: nn.Parameter, group: FSDPParamGroup | None) -> str:
    words = []
    if group is not None:
        words.append(f"fully_shard over {_sizes(group.mesh_info.mesh)}")
    inner = _inner_dimensions(parameter, group)
    for verb, replicated in (("split", False), ("copied", True)):
        dimensions = [
            f"{name}={size}"
            for name, size, placement in inner
            if placement.is_replicate() is replicated
        ]
        if dimensions:
            words.append(f"{verb} over {' x '.join(dimensions)}")
    if group is not None and group.gradient_divide_factor is not None:
        words.append(f"gradients divided by {group.gradient_divide_factor:g}")
    return ", ".join(words)


def _inner_dimensions(
    parameter: nn.Parameter, group: FSDPParamGroup | None
) -> list[tuple[str, int, Placement]]:
    """Name, size and placement of a parameter's mesh dimensions that are not FSDP's.

    Over them, ranks compute one activation together: tensor or expert parallelism.

    Args:
        parameter: As the module holds it; plain ones have none.
        group: The FSDP group that it belongs to, None if it belongs to none.
    """
    if not isinstance(parameter, DTensor):
        return []
    mesh, outer = parameter.device_mesh, 0
    names = dimension_names(mesh)
    if group is not None:
        info = group.mesh_info
        if info.dp_mesh_dims is not None:  # parameters on a mesh of all dimensions, by name
            fsdp_names = {*info.dp_mesh_dims.shard_names, *info.dp_mesh_dims.replicate_names}
            return [
                (name, mesh.size(axis), placement)
                for axis, (name, placement) in enumerate(
                    zip(names, parameter.placements, strict=True)
                )
                if name not in fsdp_names
            ]
        outer = info.mesh.ndim  # FSDP's dimensions come first
    dimensions = zip(names, mesh.shape, parameter.placements, strict=True)
    return list(dimensions)[outer:]


def split_within(module: nn.Module) -> bool:
    """Whether ranks hold parts of a parameter that they compute with, as in tensor parallelism."""
    group_of = _group_of(module)
    return any(
        size > 1 and not placement.is_replicate()
        for parameter in module.parameters()
        for _, size, placement in _inner_dimensions(parameter, group_of.get(id(parameter)))
    )


def copied_within(module: nn.Module) -> bool:
    """Whether ranks hold copies of parameters of which neither FSDP nor DDP knows."""
    group_of = _group_of(module)
    if distributed_data_parallel(module) is not None:
        return False
    ranks = meeting.ranks()
    for parameter in trainable(module).values():
        inner = _inner_dimensions(parameter, group_of.get(id(parameter)))
        if any(size > 1 and placement.is_replicate() for _, size, placement in inner):
            return True
        joined = parameter.device_mesh.size() if isinstance(parameter, DTensor) else 1
        if joined < ranks and not summed_here(parameter):
            return True
    return False


def summed_here(parameter: nn.Parameter) -> bool:
    """Whether the gradient of a plain parameter is summed by hessview, which sharded the rest."""
    return getattr(parameter, "_summed_by_hessview", False)


def dimension_names(mesh: DeviceMesh) -> list[str]:
    """Name of each dimension; where the mesh has no names, dim_0, dim_1 and so on."""
    return list(mesh.mesh_dim_names or [f"dim_{axis}" for axis in range(mesh.ndim)])


def _sizes(mesh: DeviceMesh) -> str:
    sizes = zip(dimension_names(mesh), mesh.shape, strict=True)
    return " x ".join(f"{name}={size}" for name, size in sizes)


def distributed_data_parallel(module: nn.Module) -> nn.parallel.DistributedDataParallel | None:
    """The DistributedDataParallel that a module is, also below torch.compile; None if it is none.

    One that is a child only replicates a part of the module.
    """
    while isinstance(inside := getattr(module, "_orig_mod", None), nn.Module):
        module = inside
    return module if isinstance(module, nn.parallel.DistributedDataParallel) else None


def compute_dtype(module: nn.Module) -> torch.dtype:
    """Data type of forward and backward: the narrowest that parameters are cast to."""
    dtypes = {parameter.dtype for parameter in trainable(module).values()}
    for child in module.modules():
        if isinstance(child, FSDPModule):
            policy = child._get_fsdp_state()._mp_policy
            if policy.param_dtype is not None:
                dtypes.add(policy.param_dtype)
    floating = {dtype for dtype in dtypes if dtype.is_floating_point}
    return max(floating, key=lambda dtype: torch.finfo(dtype).eps)


def blocks(module: nn.Module) -> dict[str, list[str]]:
    """Parameter names by block: what comes before the layers, each layer, what comes after.

    A module without repeated layers has one block for each child that holds parameters.
    """
    names = list(trainable(module))
    prefixes = [plain_name(module, name) for name, _ in layers(module)]
    result: dict[str, list[str]] = {}
    seen_layer = False
    for name in names:
        inside = next((p for p in prefixes if name.startswith(f"{p}.")), None)
        seen_layer = seen_layer or inside is not None
        if inside is None:
            inside = ("head" if seen_layer else "embedding") if prefixes else name.split(".")[0]
        result.setdefault(inside, []).append(name)
    return result
