"""What must hold before a number is believed: one loss, twice the same, with its gradient."""

import math

import torch
from torch import nn
from torch.distributed.fsdp import FSDPModule

from hessview.errors import ObjectiveError
from hessview.job import sharding
from hessview.job.surface import ShardedLoss
from hessview.operators.displaced import displaced

_AGREEMENT = 0.1  # of the loss's slope with |g|; an unsummed gradient is off by a factor
_FACTORS = (1.0, 8.0, 64.0, 1 / 8, 1 / 64)
"""Distances in the order in which they are tried. Farther ones are for a loss that is computed in
a narrower type than the parameters', as under autocast."""
_CURE = (
    "call module.eval() first, or, in a training loop, "
    "hessview.serve(..., evaluation=True), which gives the training mode back."
)


def check_mode(module: nn.Module) -> None:
    """Refuse modules that draw random numbers, move buffers, or keep gradients to their rank.

    Raises:
        ObjectiveError: Dropout or batch normalisation in training mode, gradients that are not
            summed over the ranks, as while they are accumulated over micro-batches, those that
            still wait for it, or inference mode.
    """
    _check_inference(module)
    for name, child in module.named_modules():
        if not _sums_gradients(child):
            raise ObjectiveError(
                f"gradient synchronisation is off in {name or 'the module'!r}, so that ranks keep "
                "their gradients to themselves; call set_requires_gradient_sync(True) first (with "
                "DistributedDataParallel, leave no_sync())."
            )
        _check_at_rest(name, child)
        if not child.training:
            continue
        if isinstance(child, nn.modules.dropout._DropoutNd) and child.p > 0:
            raise ObjectiveError(
                f"dropout is on in {name or 'the module'!r} (p={child.p:g}), so each pass has "
                f"another loss; {_CURE}"
            )
        if isinstance(child, nn.modules.batchnorm._BatchNorm) and child.track_running_stats:
            raise ObjectiveError(
                f"batch normalisation {name or 'the module'!r} is in training mode, so each pass "
                f"moves its statistics; {_CURE}"
            )


def _check_inference(module: nn.Module) -> None:
    if torch.is_inference_mode_enabled():
        raise ObjectiveError(
            "torch.inference_mode is on, under which nothing can be differentiated; leave it first."
        )
    for name, parameter in module.named_parameters():
        if sharding.local(parameter).is_inference():
            raise ObjectiveError(
                f"parameter {name!r} cannot be moved: it was made, or its sharded module first "
                "run, under torch.inference_mode; load weights outside of it, and evaluate under "
                "torch.no_grad."
            )


def _check_at_rest(name: str, module: nn.Module) -> None:
    """Refuse FSDP between micro-batches, when it keeps what the next pass of ours would take."""
    if not isinstance(module, FSDPModule):
        return
    where = name or "the module"
    if not module._get_fsdp_state()._state_ctx.is_last_backward:
        raise ObjectiveError(
            f"{where!r} waits for another backward pass, so that stale copies of parameters "
            "would be used; call set_is_last_backward(True) first."
        )
    if sharding.unreduced(module):
        raise ObjectiveError(
            f"{where!r} holds gradients of micro-batches that are not summed over the ranks yet, "
            "which a measurement would use up; poll after the last micro-batch's backward pass."
        )


def check_determinism(surface: ShardedLoss) -> None:
    """Measure twice; both passes must agree to the last bit.

    Raises:
        ObjectiveError: They differ, or loss or gradient is not finite; on all ranks alike.
    """
    surface.measure()
    first = (surface.loss, surface.gradient_norm)
    surface.measure()
    second = (surface.loss, surface.gradient_norm)
    if first != second:
        raise ObjectiveError(
            f"two passes over the same batches gave loss {first[0]:.9g} and {second[0]:.9g}, "
            f"gradient norm {first[1]:.9g} and {second[1]:.9g}; turn off dropout and other "
            "randomness (module.eval()), and return the same batch each time it is asked for."
        )


def check_gradient(surface: ShardedLoss) -> None:
    """Compare the gradient with the slope of the loss along it, which must be |g|.

    This catches, at the price of some forward passes, what would make every product wrong but
    plausible: gradients that are not summed over the ranks or are scaled, parameters whose
    change does not reach the loss, tied parameters that came apart.

    Raises:
        ObjectiveError: They disagree at every distance that was tried; on all ranks alike.
    """
    norm = surface.gradient_norm
    gradient = surface.space.zeros()
    surface.gradient(gradient)
    if norm == 0:
        return
    gradient.div_(norm)
    # Far enough that the loss changes by more than its rounding, first of all.
    usual = 0.1 * math.cbrt(surface.machine_epsilon) * abs(surface.loss) / norm
    most = 0.01 * (surface.parameter_norm or 1.0)
    slopes = []
    for distance in dict.fromkeys(min(factor * usual, most) for factor in _FACTORS):
        if 2 * distance * norm <= 100 * surface.machine_epsilon * abs(surface.loss):
            continue
        with displaced(surface) as move:
            move(gradient, distance)
            ahead = surface.value()
            move(gradient, -distance)
            behind = surface.value()
        slopes.append((ahead - behind) / (2 * distance))
        if abs(slopes[-1] - norm) <= _AGREEMENT * norm:
            return
    if slopes:
        raise ObjectiveError(
            f"the gradient's norm is {norm:.4g}, but the loss changes by "
            f"{', '.join(dict.fromkeys(f'{slope:.4g}' for slope in slopes))} per unit along it; "
            "the gradient "
            "must be that of the mean loss over all ranks: use fully_shard or "
            "DistributedDataParallel with their own averaging, keep gradient synchronisation "
            "on, and return (summed loss, number of terms) from the loss function."
        )


def _sums_gradients(module: nn.Module) -> bool:
    if isinstance(module, FSDPModule):
        groups = module._get_fsdp_state()._fsdp_param_groups
        return all(group.reduce_grads and group.all_reduce_grads for group in groups)
    if isinstance(module, nn.parallel.DistributedDataParallel):
        return bool(module.require_backward_grad_sync)
    return True
