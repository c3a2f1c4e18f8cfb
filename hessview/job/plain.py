"""Plain modules on several ranks, which the job shards itself."""

import contextlib
import hashlib
from collections.abc import Iterable, Iterator
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed._composable.contract import _get_registry
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor
from torch.nn.parameter import is_lazy
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from hessview.errors import ObjectiveError
from hessview.job import sharding
from hessview.job.fsdp import as_found
from hessview.job.objective import Objective

_WRAPPED = ("DistributedDataParallel", "FullyShardedDataParallel", "DataParallel")


def shard_plain(objective: Objective, *, checked: bool = True) -> None:
    """Shard an objective's module over all ranks, unless it is sharded; called by all together.

    Parameters are sharded by `sharding.shard`, so that vectors are too. What FSDP cannot take
    stays whole on each rank, and hessview sums its gradients: scalars, a group's parameters of
    another data type than its first, and all of a module whose parameters the loss uses without
    calling the module (its children one by one, or a penalty on its parameters), or whose
    derivatives by its inputs the loss holds.

    Args:
        objective: Its module is changed in place.
        checked: Whether ranks compare what they built; False where the others are not there.

    Raises:
        ObjectiveError: Ranks built unlike modules, or one without numbers (on "meta"); raised on
            all ranks alike.
    """
    module = objective.module
    if not dist.is_initialized() or dist.get_world_size() == 1:
        return
    if checked:
        _check_alike(module)
    if not _is_plain(module):
        return
    devices = {parameter.device.type for parameter in module.parameters()}
    if "meta" in devices:
        raise ObjectiveError(
            "the module is on the meta device, so that its parameters hold no numbers; give it "
            "memory by module.to_empty(device=...) and load its weights first."
        )
    lazy = any(map(is_lazy, module.parameters()))
    if len(devices) != 1 or lazy:
        return  # nothing to shard, or what a single process would meet as well
    misused = _used_from_outside(objective)
    layers = [layer for layer in sharding.separate_layers(module) if layer not in misused]
    kept_whole_by_ranks = (
        set(module.parameters()) if module in misused else _unfit_for_fsdp(module, layers)
    )
    for parameter in kept_whole_by_ranks:
        parameter._summed_by_hessview = parameter.requires_grad  # type: ignore[attr-defined]
    if module not in misused:
        mesh = init_device_mesh(devices.pop(), (dist.get_world_size(),), mesh_dim_names=("shard",))
        sharding.shard(module, mesh, apart=layers, ignored=kept_whole_by_ranks)


def kept_whole(module: nn.Module) -> dict[str, str]:
    """A note on parameters that every rank holds whole though the job sharded the module."""
    names = [n for n, p in module.named_parameters() if sharding.summed_here(p)]
    if not names:
        return {}
    shown = ", ".join(names[:8]) + (", ..." if names[8:] else "")
    return {
        "kept_whole": f"each rank holds {len(names)} parameters whole, which fully_shard does not "
        f"take (scalars, mixed types) or the loss uses outside of the module's forward: {shown}"
    }


def _is_plain(module: nn.Module) -> bool:
    """Whether no part of it is sharded or replicated."""
    if any(isinstance(parameter, DTensor) for parameter in module.parameters()):
        return False
    return not any(
        type(child).__name__ in _WRAPPED
        or {"fully_shard", "replicate"} & set(_get_registry(child) or ())
        for child in module.modules()
    )


def _check_alike(module: nn.Module) -> None:
    """Compare what the ranks built, before each keeps its own part of it only.

    Raises:
        ObjectiveError: They differ; raised on all ranks alike.
    """
    plain = _is_plain(module)
    own_digests = {"": str(plain)}
    if plain:
        named = (*module.named_parameters(), *module.named_buffers())
        own_digests |= {name: _digest(tensor) for name, tensor in named}
    every: list[dict[str, str]] = [own_digests] * dist.get_world_size()
    dist.all_gather_object(every, own_digests)
    for rank, digests in enumerate(every):
        if digests != every[0]:
            name = next(n for n in every[0] | digests if every[0].get(n) != digests.get(n))
            raise ObjectiveError(
                f"rank {rank} built another module than rank 0, first of all in "
                f"{name or 'whether it is sharded'!r}; build the same one on all ranks: seed what "
                "is random in it (torch.manual_seed), or load one checkpoint."
            )


def _digest(tensor: Tensor) -> str:
    if is_lazy(tensor):
        return "uninitialized"
    description = f"{tensor.dtype}{tuple(tensor.shape)}{tensor.requires_grad}"
    if tensor.device.type == "meta" or tensor.layout != torch.strided:
        return description
    state = hashlib.blake2b(description.encode(), digest_size=16)
    state.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return state.hexdigest()


def _unfit_for_fsdp(module: nn.Module, layers: Iterable[nn.Module]) -> set[nn.Parameter]:
    """Parameters that FSDP does not take in the groups that they would belong to."""
    unfit: set[nn.Parameter] = set()
    unassigned = dict.fromkeys(module.parameters())
    for group in (*layers, module):
        group_parameters = [
            parameter for parameter in group.parameters() if parameter in unassigned
        ]
        dtype = next((p.dtype for p in group_parameters if p.requires_grad and p.ndim), None)
        for parameter in group_parameters:
            del unassigned[parameter]
            another = parameter.requires_grad and parameter.dtype != dtype
            if another or not parameter.ndim or not parameter.is_floating_point():
                unfit.add(parameter)
    return unfit


class _Uses(TorchFunctionMode):
    """Notes modules whose parameters are used outside of their own forward.

    Args:
        root: Of which all parameters are noted where derivatives are taken on the way.
        owner: By parameter, the module in whose forward FSDP would gather it.
        active: Modules that are being called.
    """

    def __init__(
        self, root: nn.Module, owner: dict[nn.Parameter, nn.Module], active: list[nn.Module]
    ) -> None:
        super().__init__()
        self.root, self.owner, self.active = root, owner, active
        self.misused: set[nn.Module] = set()

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        # FSDP's hooks take part in one backward pass over the parameters, and in no other.
        if func is torch.autograd.grad or torch._C._functorch.peek_interpreter_stack() is not None:
            self.misused.add(self.root)
        if isinstance(result, Tensor | tuple | list):
            for leaf in tree_leaves((args, kwargs)):
                owner = self.owner.get(leaf) if isinstance(leaf, nn.Parameter) else None
                if owner is not None and owner not in self.active:
                    self.misused.add(owner)
        return result


def _used_from_outside(objective: Objective) -> set[nn.Module]:
    """Modules that FSDP would not gather in time: those whose parameters other modules use.

    Tried out on the first batch, which all ranks run alike.
    """
    module = objective.module
    owner: dict[nn.Parameter, nn.Module] = {}
    for group in (*sharding.separate_layers(module), module):
        for parameter in group.parameters():
            owner.setdefault(parameter, group)
    active: list[nn.Module] = []
    uses = _Uses(module, owner, active)
    # An error here comes again in the first pass of `checks`, which reports it.
    with (
        _noting(set(owner.values()), active),
        contextlib.suppress(Exception),
        as_found(module, evaluation=False),
        torch.enable_grad(),
        uses,
    ):
        objective.loss(module, objective.batches[0])
    return uses.misused


@contextlib.contextmanager
def _noting(modules: Iterable[nn.Module], active: list[nn.Module]) -> Iterator[None]:
    """Keep a list of the modules whose forward is running."""

    def enter(child: nn.Module, _: Any) -> None:
        active.append(child)

    def leave(child: nn.Module, *_: Any) -> None:
        active.remove(child)

    handles = [module.register_forward_pre_hook(enter) for module in modules]
    handles += [module.register_forward_hook(leave, always_call=True) for module in modules]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
