"""What must hold before a number is believed: one loss, twice the same, with its gradient."""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter
from torch.utils._pytree import tree_leaves

from hessview.errors import ObjectiveError
from hessview.job import sharding
from hessview.job.slopes import check_gradient, off
from hessview.job.surface import ShardedLoss
from hessview.operators.displaced import displaced

_SPOILT = 0.01
"""Relative error of a product that passes which differ may cause: that of a difference in float32
along a bad direction; D shows it beside each number."""
_CURE = (
    "call module.eval() first, or, in a training loop, "
    "hessview.serve(..., evaluation=True), which gives the training mode back."
)


def check_mode(module: nn.Module) -> None:
    """Refuse modules that draw random numbers, move buffers, or keep gradients to their rank.

    Raises:
        ObjectiveError: Parameters without numbers, dropout or batch normalisation in training
            mode, gradients that are not summed over the ranks, as while they are accumulated
            over micro-batches, those that still wait for it, or inference mode.
    """
    _check_made(module)
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


def _check_made(module: nn.Module) -> None:
    """Refuse parameters and buffers that have no numbers yet."""
    for kind, tensors in (
        ("parameter", module.named_parameters()),
        ("buffer", module.named_buffers()),
    ):
        for name, tensor in tensors:
            if isinstance(tensor, UninitializedParameter | UninitializedBuffer):
                raise ObjectiveError(
                    f"{kind} {name!r} has no shape yet, as those of lazy modules; run the module "
                    "on a batch once, under torch.no_grad, before it is measured."
                )
            if tensor.device.type == "meta":
                raise ObjectiveError(
                    f'{kind} {name!r} is on "meta", where there are no numbers; materialise the '
                    'module (to_empty(device="cpu"), then load its weights) before it is measured.'
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


def check_numbers(surface: ShardedLoss) -> dict[str, str]:
    """Measure the loss for the first time, and refuse what cannot be believed.

    Args:
        surface: The loss, over all of its parameters.

    Returns:
        Notes on what was found and is no reason to refuse, by name; see
        `messages.RunStarted.notes`.

    Raises:
        ObjectiveError: Two passes differ by more than rounding, the gradient is not the
            loss's, or one of them is not finite; on all ranks alike.
    """
    gradient, notes = check_determinism(surface)
    return notes | check_gradient(surface, gradient) | _unequal_means(surface)


def check_determinism(surface: ShardedLoss) -> tuple[Tensor, dict[str, str]]:
    """Measure several times; passes may differ by what does not spoil products.

    Kernels that add in no fixed order, as on GPUs, differ in the last bits. A difference nu of
    two gradients is nu / (2 h |Hv|) of a product, and the step h is such that h |Hv| = tau |g|.
    Where |g| itself is small, at a minimum, the gradient nearby takes its place.

    Returns:
        The gradient, and a note on the difference, if there is one.

    Raises:
        ObjectiveError: They differ by more, or loss or gradient is not finite; on all ranks
            alike.
    """
    surface.measure()
    first, second = surface.space.zeros(), surface.space.zeros()
    shares = [surface.gradient(first), surface.gradient(second)]
    device = surface.space.device
    totals = surface.space.reduce(torch.tensor(shares, dtype=torch.float64, device=device))
    losses = [surface.loss, *totals.tolist()]
    first_norm, second_norm = _norms(surface, first, second)
    # The first pass's vector is gone; its norm has other factors in it, which round otherwise.
    earlier = abs(first_norm - surface.gradient_norm)
    (noise,) = _norms(surface, second.sub_(first))
    noise = max(noise, earlier if earlier > 1e-6 * first_norm else 0.0)
    apart = max(losses) - min(losses)
    if apart <= 1e-12 * abs(surface.loss) and noise == 0:
        return first, {}
    limit = 2 * _SPOILT * math.cbrt(surface.machine_epsilon)
    size, height = surface.gradient_norm, abs(surface.loss)
    if noise > limit * size or apart > limit * height:
        near, near_loss = _nearby(surface, second.zero_())
        size, height = max(size, near), max(height, abs(near_loss))
    if noise > limit * size or apart > limit * height:
        raise ObjectiveError(
            f"two passes over the same batches gave loss {losses[0]:.9g} and {losses[-1]:.9g}, "
            f"gradient norm {first_norm:.9g} and {second_norm:.9g}, and gradients that differ "
            f"by {noise:.2g}; turn off dropout and other "
            "randomness (module.eval()), and return the same batch each time it is asked for."
        )
    return first, {
        "noise": f"two passes over the same batches differ by {noise / size:.1e} of the "
        f"gradient and by {apart / height:.1e} of the loss, as where kernels add in no fixed "
        f"order; of a product that is about {noise / size / limit * _SPOILT:.1e}"
    }


def _norms(surface: ShardedLoss, *vectors: Tensor) -> list[float]:
    found: list[float] = surface.space.reduce(surface.space.squares(*vectors)).sqrt().tolist()
    return found


def _nearby(surface: ShardedLoss, gradient: Tensor) -> tuple[float, float]:
    """Norm of the gradient and loss at parameters that each differ a little from the present."""
    with displaced(surface) as move:
        move(off(surface), 1.0)
        share = surface.gradient(gradient)
    device = surface.space.device
    loss = surface.space.reduce(torch.tensor([share], dtype=torch.float64, device=device))
    return _norms(surface, gradient)[0], float(loss)


def _unequal_means(surface: ShardedLoss) -> dict[str, str]:
    """A note, if losses are means and batches hold unequal numbers of samples."""
    if not surface.means:
        return {}
    batches = surface.objective.batches
    sizes = {_samples(batches[index]) for index in range(len(batches))} - {0}
    if len(sizes) < 2:
        return {}
    return {
        "unequal_batches": f"each batch's mean counts alike, though batches hold {min(sizes)} to "
        f"{max(sizes)} samples; return (summed loss, number of terms) for the mean over samples"
    }


def _samples(batch: Any) -> int:
    """Length of the first tensor or array of a batch; 0 if there is none."""
    for leaf in tree_leaves(batch):
        if isinstance(leaf, Tensor | np.ndarray) and leaf.ndim:
            return len(leaf) if not (isinstance(leaf, Tensor) and leaf.is_nested) else leaf.size(0)
    return 0


def _sums_gradients(module: nn.Module) -> bool:
    if isinstance(module, FSDPModule):
        groups = module._get_fsdp_state()._fsdp_param_groups
        return all(group.reduce_grads and group.all_reduce_grads for group in groups)
    if isinstance(module, nn.parallel.DistributedDataParallel):
        return bool(module.require_backward_grad_sync)
    return True
