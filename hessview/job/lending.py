"""Switches of FSDP and DDP that are borrowed for a while and given back."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.distributed.fsdp import FSDPModule
from torch.nn.parallel import DistributedDataParallel

from hessview.interrupts import borrowed
from hessview.job.sharding import groups


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
    wanted = [replica.require_backward_grad_sync for replica in replicas]

    def reduce(value: bool = True) -> None:
        for group, *_ in lent:
            group.reduce_grads = group.all_reduce_grads = value
        for replica in replicas:
            replica.require_backward_grad_sync = value

    def give_back() -> None:
        for group, scatter, gather in lent:
            group.reduce_grads, group.all_reduce_grads = scatter, gather
        for replica, value in zip(replicas, wanted, strict=True):
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
            for parameter, own in zip(group.fsdp_params, dtypes, strict=True):
                parameter.reduce_dtype = own

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
    """Set aside what users hang on parameters' gradients.

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
            own = (state._pre_forward_hook_handle, state._post_forward_hook_handle)
            # Modules that were sharded together have one handle for all of them.
            handles = [one for each in own for one in getattr(each, "handles", (each,))]
            for hooks in (child._forward_pre_hooks, child._forward_hooks):
                for handle in handles:
                    if handle is not None:
                        hooks.pop(handle.id, None)
        with accumulating(module):
            yield
