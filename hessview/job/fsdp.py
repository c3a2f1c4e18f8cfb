"""A module borrowed from its training, and given back as it was found.

Modes, buffers, random states, hooks, and the switches of FSDP and DDP; also activation
checkpointing of transformers' models, which they leave off in evaluation mode. Ways to spread a
module over ranks that cannot be measured are refused by their names.
"""

import random
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributed._composable.contract import _get_registry
from torch.distributed.fsdp import FSDPModule, FullyShardedDataParallel
from torch.nn.parallel import DistributedDataParallel

from hessview.errors import ObjectiveError
from hessview.interrupts import borrowed
from hessview.job.sharding import groups


@contextmanager
def _kept_on(module: nn.Module) -> Iterator[None]:
    """Let layers recompute their activations in evaluation mode too, if they would in training.

    transformers' layers ask their own training mode whether to. They get that alone: what runs
    inside of them, at first and when it is recomputed, sees evaluation mode, so that dropout
    stays off. torch's own checkpoints, and wrappers of them, do not depend on the mode.

    Args:
        module: Sharded, replicated or plain; given back as it was.
    """
    lent: list[tuple[Any, Callable[..., Any]]] = [
        (layer, layer._gradient_checkpointing_func)
        for layer in _layers(module)
        if not layer.training
    ]

    def give_back() -> None:
        for layer, checkpoint in lent:
            layer._gradient_checkpointing_func = checkpoint
            layer.training = False

    with borrowed(give_back, hold=False):
        for layer, checkpoint in lent:
            layer._gradient_checkpointing_func = _evaluated(layer, checkpoint)
            layer.training = True
        yield


@contextmanager
def switched_off(module: nn.Module) -> Iterator[None]:
    """Keep activations, for second derivatives, which do not go through a recomputation.

    Args:
        module: Sharded, replicated or plain; given back as it was.
    """
    lent = _layers(module)

    def give_back() -> None:
        for layer in lent:
            layer.gradient_checkpointing = True

    with borrowed(give_back):
        for layer in lent:
            layer.gradient_checkpointing = False
        yield


def _layers(module: nn.Module) -> list[Any]:
    # By name, since transformers need not be installed. Whole models carry the switch too, and
    # some of these draw random numbers by their own mode, but it is their layers that recompute.
    return [
        layer
        for layer in module.modules()
        if any(kind.__name__ == "GradientCheckpointingLayer" for kind in type(layer).__mro__)
        and getattr(layer, "gradient_checkpointing", False)
        and hasattr(layer, "_gradient_checkpointing_func")
    ]


def _evaluated(layer: Any, checkpoint: Callable[..., Any]) -> Callable[..., Any]:
    """The checkpoint, with the layer in evaluation mode while what it wraps runs."""

    def checkpointed(function: Callable[..., Any], *inputs: Any, **options: Any) -> Any:
        def in_evaluation(*arguments: Any, **named: Any) -> Any:
            layer.training = False
            try:
                return function(*arguments, **named)
            finally:
                layer.training = True

        return checkpoint(in_evaluation, *inputs, **options)

    return checkpointed


@contextmanager
def as_found(module: nn.Module, *, evaluation: bool) -> Iterator[None]:
    """Give modes, buffers and random states back as they were.

    So are torch's own switches (gradient mode, default data type), which a loss or an operator
    that fails may have left elsewhere. Parameters and gradients are given back by whoever moves
    them, see `operators.finite_difference` and `job.passes`. Who calls this holds interrupts back.

    Args:
        module: Sharded, replicated or plain.
        evaluation: Whether the module is in evaluation mode meanwhile.
    """
    modes = [(child, child.training) for child in module.modules()]
    buffers = [
        (child._buffers, name, buffer, buffer.detach().clone())
        for child in module.modules()
        for name, buffer in child._buffers.items()
        if buffer is not None and buffer.device.type != "meta"
    ]
    trainable_before = [(parameter, parameter.requires_grad) for parameter in module.parameters()]
    # Whether the next forward pass is to take over rank 0's buffers, which a pass of ours changes.
    synced = [
        (child, child.require_forward_param_sync)
        for child in module.modules()
        if isinstance(child, DistributedDataParallel)
    ]
    switches = torch.is_grad_enabled(), torch.get_default_dtype()
    devices = {parameter.device for parameter in module.parameters()}
    cuda = sorted(device.index for device in devices if device.type == "cuda")
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    cuda_states = [torch.cuda.get_rng_state(index) for index in cuda]

    def give_back() -> None:
        torch.set_grad_enabled(switches[0])
        torch.set_default_dtype(switches[1])
        for child, training in modes:
            child.training = training
        for parameter, value in trainable_before:
            if parameter.requires_grad != value:
                parameter.requires_grad_(value)
        for replica, value in synced:
            replica.require_forward_param_sync = value
        with torch.no_grad():
            for owner, name, buffer, saved in buffers:
                owner[name] = buffer
                if _differ(buffer, saved):
                    buffer.copy_(saved)
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])
        for index, state in zip(cuda, cuda_states, strict=True):
            torch.cuda.set_rng_state(state, index)

    with borrowed(give_back, hold=False):
        if evaluation:
            module.eval()
        with _kept_on(module):
            yield


def _differ(buffer: Tensor, saved: Tensor) -> bool:
    """Whether a buffer must be written back; one that holds NaN always is."""
    try:
        return not torch.equal(buffer, saved)
    except RuntimeError:  # no memory for the comparison
        return True


@contextmanager
def accumulating(module: nn.Module) -> Iterator[Callable[[], None]]:
    """Let gradients add up on each rank, unreduced.

    Args:
        module: Sharded, replicated or plain.

    Yields:
        What to call before the last forward and backward pass, which then reduces the sum.
    """
    lent = [(group, group.reduce_grads, group.all_reduce_grads) for group in groups(module)]
    replicas = [child for child in module.modules() if isinstance(child, DistributedDataParallel)]
    sync_before = [replica.require_backward_grad_sync for replica in replicas]

    def reduce(value: bool = True) -> None:
        for group, *_ in lent:
            group.reduce_grads = group.all_reduce_grads = value
        for replica in replicas:
            replica.require_backward_grad_sync = value

    def give_back() -> None:
        for group, scatter, gather in lent:
            group.reduce_grads, group.all_reduce_grads = scatter, gather
        for replica, value in zip(replicas, sync_before, strict=True):
            replica.require_backward_grad_sync = value

    with borrowed(give_back):
        reduce(False)
        yield reduce


@contextmanager
def wide_reduction(module: nn.Module) -> Iterator[None]:
    """Sum gradients over ranks in float32 where the user's policy says something narrower.

    Sums in bfloat16 cost 30 % of a difference of gradients.

    Args:
        module: Sharded, replicated or plain.
    """
    lent = []
    for group in groups(module):
        parameters = group.fsdp_params
        types = {group._reduce_dtype or p.param_dtype or p.orig_dtype for p in parameters}
        # Frozen ones may hold integers: quantised weights, say.
        if any(dtype.is_floating_point and torch.finfo(dtype).bits < 32 for dtype in types):
            lent.append((group, group._reduce_dtype, [p.reduce_dtype for p in parameters]))

    def give_back() -> None:
        for group, dtype, dtypes in lent:
            group._reduce_dtype = dtype
            for parameter, reduce_dtype in zip(group.fsdp_params, dtypes, strict=True):
                parameter.reduce_dtype = reduce_dtype

    with borrowed(give_back):
        for group, *_ in lent:
            group._reduce_dtype = torch.float32
            for parameter in group.fsdp_params:
                parameter.reduce_dtype = torch.float32
        yield


@contextmanager
def one_divisor(module: nn.Module) -> Iterator[float]:
    """Have all of FSDP's groups treat their sums of gradients alike.

    A group's sum over ranks is the gradient of the whole loss, also where its mesh is smaller, as
    that of experts is: the rest came with their tokens. So all sums have to be divided by the same
    number. By itself, FSDP divides each by the size of its own mesh. torchtitan has it divide by 1
    throughout (and divides its loss by the tokens of all ranks), and earlier had experts divide by
    the number of data-parallel ranks: in both cases FSDP sums meanwhile. Where the groups'
    numbers do not agree, one was forgotten, and they are left for the gradient's check to see.

    Args:
        module: Sharded, replicated or plain.

    Yields:
        By what gradients are divided, as a share of the ranks of the largest mesh.
    """
    every = groups(module)
    largest = max((group.mesh_info.mesh.size() for group in every), default=1)
    divisors = {group.gradient_divide_factor or group.mesh_info.mesh.size() for group in every}
    stated = any(group.gradient_divide_factor is not None for group in every)
    if not stated or divisors not in ({1}, {largest}):
        yield 1.0
        return
    lent = [(g, g.gradient_divide_factor, g.force_sum_reduction_for_comms) for g in every]

    def give_back() -> None:
        for group, divisor, forced in lent:
            group.gradient_divide_factor, group.force_sum_reduction_for_comms = divisor, forced

    with borrowed(give_back):
        for group in every:
            # By 1, since torch 2.13 divides twice where a group of one rank reduces in float64,
            # and as sums, since gloo cannot multiply on the way.
            group.gradient_divide_factor, group.force_sum_reduction_for_comms = 1.0, True
        yield 1 / largest


@contextmanager
def without_gradient_hooks(parameters: Iterable[nn.Parameter]) -> Iterator[None]:
    """Set aside the hooks that users registered on parameters' gradients.

    A mask or a factor would make products of another, asymmetric matrix, and an optimizer that
    steps in backward would move the parameters.

    Args:
        parameters: As the module holds them, sharded where they are.
    """
    lent = [
        (hooks, dict(hooks))
        for parameter in parameters
        for hooks in (parameter._backward_hooks, parameter._post_accumulate_grad_hooks)
        if hooks
    ]

    def give_back() -> None:
        for hooks, items in lent:
            hooks.update(items)

    with borrowed(give_back):
        for hooks, _ in lent:
            hooks.clear()
        yield


@contextmanager
def without_hooks(module: nn.Module) -> Iterator[None]:
    """Set FSDP's hooks and DDP's synchronisation aside, with parameters sharded.

    Args:
        module: Sharded, replicated or plain.
    """
    sharded = [child for child in module.modules() if isinstance(child, FSDPModule)]
    lent = [
        (hooks, list(hooks.items()))
        for child in sharded
        for hooks in (child._forward_pre_hooks, child._forward_hooks)
    ]

    def give_back() -> None:
        for hooks, items in lent:
            hooks.clear()
            hooks.update(items)

    with borrowed(give_back):
        for child in sharded:
            child.reshard()
            state = child._get_fsdp_state()
            handles_of_state = (state._pre_forward_hook_handle, state._post_forward_hook_handle)
            # Modules that were sharded together have one handle for all of them.
            handles = [
                each_handle
                for holder in handles_of_state
                for each_handle in getattr(holder, "handles", (holder,))
            ]
            for hooks in (child._forward_pre_hooks, child._forward_hooks):
                for handle in handles:
                    if handle is not None:
                        hooks.pop(handle.id, None)
        with accumulating(module):
            yield


def check_wrappers(module: nn.Module) -> None:
    """Refuse wrappers (FSDP1, DataParallel) that hide the parameters.

    Raises:
        ObjectiveError: The older FullyShardedDataParallel, the older composable replicate, or
            DataParallel.
    """
    for name, child in module.named_modules():
        module_name = f"{name!r}" if name else "the module"
        if isinstance(child, FullyShardedDataParallel):
            raise ObjectiveError(
                f"{module_name} is sharded by the older FullyShardedDataParallel (FSDP1), which "
                "keeps parameters in flat buffers that cannot be measured; use "
                "torch.distributed.fsdp.fully_shard on the plain module in its place."
            )
        registry = _get_registry(child)
        if registry and "replicate" in registry and not isinstance(child, FSDPModule):
            raise ObjectiveError(
                f"{module_name} is replicated by the older composable replicate, whose reductions "
                "cannot be steered; use fully_shard or DistributedDataParallel on the plain "
                "module in its place."
            )
        if isinstance(child, nn.DataParallel):
            raise ObjectiveError(
                f"{module_name} is wrapped by torch.nn.DataParallel, which copies it to several "
                "devices of one process; start a process for each device with torchrun, and use "
                "fully_shard on the plain module in its place."
            )
