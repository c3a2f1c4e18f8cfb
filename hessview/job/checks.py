"""What must hold of a module before a number of it is believed.

One loss, twice the same, and a gradient with the slope of the loss; ranks that hold copies of a
parameter hold the same and do the same; tied parameters have not come apart, which no derivative
would show.
"""

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter
from torch.utils._pytree import tree_leaves

from hessview.errors import ObjectiveError
from hessview.job import sharding
from hessview.job.loss import ShardedLoss
from hessview.job.slopes import check_gradient, small_displacement
from hessview.operators.finite_difference import displaced


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
    pairs = _equal_parameters(surface)
    if not pairs:
        return {}
    return {
        "equal_parameters": ", ".join(f"{a} = {b}" for a, b in pairs)
        + "; if they were tied, sharding them apart has untied them"
    }


def _equal_parameters(surface: ShardedLoss) -> list[tuple[str, str]]:
    """Pairs of parameters that hold the same numbers, not all equal, on all ranks."""
    pieces, shards, reduce = surface.space.pieces, surface.shards(), surface.space.reduce
    # Sums first, so that few are compared number by number.
    own_sums = [s.sum(dtype=torch.float64) * p.owned for s, p in zip(shards, pieces, strict=True)]
    sums = reduce(torch.stack(own_sums)).tolist()
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
    verdicts = zip(candidates, total[: len(candidates)], total[len(candidates) :], strict=True)
    return [
        (pieces[i].name, pieces[j].name)
        for (i, j), unequal, vary in verdicts
        if not unequal and vary
    ]


def _varies(shard: torch.Tensor) -> bool:
    return shard.numel() > 0 and bool((shard != shard.flatten()[0]).any())


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
    unlike = _unlike_copies(surface, surface.shards(), _VALUES)
    if unlike is not None:
        name, first, second = unlike
        raise ObjectiveError(
            f"ranks {first} and {second} hold copies of parameter {name!r} that differ; give all "
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
    unlike = _unlike_copies(surface, surface.space.split(gradient), _GRADIENTS, noise)
    if unlike is not None:
        name, first, second = unlike
        raise ObjectiveError(
            f"ranks {first} and {second} hold copies of parameter {name!r}, but find different "
            "gradients for it, which nobody sums. Distribute it over the mesh of tensor "
            'parallelism, distribute_tensor(parameter, mesh["tp"], [Replicate()]), and keep '
            "DTensors in between (with SequenceParallel, say), so that torch knows of the sum."
        )


def _copied(surface: ShardedLoss) -> bool:
    """Whether any rank holds a copy of a parameter that another one owns."""
    if not dist.is_initialized() or dist.get_world_size() == 1:
        return False
    copies = float(sum(not piece.owned and piece.numel > 0 for piece in surface.space.pieces))
    total = surface.space.reduce(
        torch.tensor([copies], dtype=torch.float64, device=surface.space.device)
    )
    return bool(total > 0)


def _unlike_copies(
    surface: ShardedLoss, parts: Sequence[Tensor], tolerance: float, noise: float = 0.0
) -> tuple[str, int, int] | None:
    """A parameter whose copies differ, and two ranks that hold such; the same on all ranks.

    Told by inner products with a probe, which depends on the place in the whole parameter alone.
    """
    pieces = surface.space.pieces
    signs = surface.space.split(surface.space.probe(0, 0))
    own_marks = []
    for piece, part, sign in zip(pieces, parts, signs, strict=True):
        wide = part.to(torch.float64)
        norm = float(wide.norm())
        own_marks.append((*piece.offset, *piece.shape, float((wide * sign).sum()), norm))
    every: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(every, own_marks)
    for number, piece in enumerate(pieces):
        first_of_box: dict[tuple[float, ...], tuple[int, float, float]] = {}
        for rank, marks in enumerate(every):
            *box, product, norm = marks[number]
            first, expected, size = first_of_box.setdefault(tuple(box), (rank, product, norm))
            if abs(product - expected) > tolerance * max(norm, size) + noise:
                return piece.name, first, rank
    return None


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
    """Refuse FSDP between micro-batches, when it holds gradients that our passes would use up."""
    if not isinstance(module, FSDPModule):
        return
    module_name = name or "the module"
    if not module._get_fsdp_state()._state_ctx.is_last_backward:
        raise ObjectiveError(
            f"{module_name!r} waits for another backward pass, so that stale copies of parameters "
            "would be used; call set_is_last_backward(True) first."
        )
    if sharding.unreduced(module):
        raise ObjectiveError(
            f"{module_name!r} holds gradients of micro-batches that are not summed over the ranks "
            "yet, which a measurement would use up; poll after the last micro-batch's backward "
            "pass."
        )


def check_numbers(surface: ShardedLoss) -> dict[str, str]:
    """Measure the loss for the first time, and refuse what cannot be believed.

    Args:
        surface: The loss, over all of its parameters.

    Returns:
        Notes on what was found and is no reason to refuse, by name; see
        `record.events.RunStarted.notes`.

    Raises:
        ObjectiveError: Two passes differ by more than rounding, the gradient is not the
            loss's, or one of them is not finite; on all ranks alike.
    """
    gradient, notes = _check_determinism(surface)
    return notes | check_gradient(surface, gradient) | _unequal_means(surface)


def _check_determinism(surface: ShardedLoss) -> tuple[Tensor, dict[str, str]]:
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
    loss_spread = max(losses) - min(losses)
    if loss_spread <= 1e-12 * abs(surface.loss) and noise == 0:
        return first, {}
    limit = 2 * _SPOILT * math.cbrt(surface.machine_epsilon)
    size, height = surface.gradient_norm, abs(surface.loss)
    if noise > limit * size or loss_spread > limit * height:
        near, near_loss = _nearby(surface, second.zero_())
        size, height = max(size, near), max(height, abs(near_loss))
    if noise > limit * size or loss_spread > limit * height:
        raise ObjectiveError(
            f"two passes over the same batches gave loss {losses[0]:.9g} and {losses[-1]:.9g}, "
            f"gradient norm {first_norm:.9g} and {second_norm:.9g}, and gradients that differ "
            f"by {noise:.2g}; turn off dropout and other "
            "randomness (module.eval()), and return the same batch each time it is asked for."
        )
    return first, {
        "noise": f"two passes over the same batches differ by {noise / size:.1e} of the "
        f"gradient and by {loss_spread / height:.1e} of the loss, as where kernels add in no fixed "
        f"order; of a product that is about {noise / size / limit * _SPOILT:.1e}"
    }


def _norms(surface: ShardedLoss, *vectors: Tensor) -> list[float]:
    norms: list[float] = surface.space.reduce(surface.space.squares(*vectors)).sqrt().tolist()
    return norms


def _nearby(surface: ShardedLoss, gradient: Tensor) -> tuple[float, float]:
    """Norm of the gradient and loss at parameters that each differ a little from the present."""
    with displaced(surface) as move:
        move(small_displacement(surface), 1.0)
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
