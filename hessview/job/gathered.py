"""Second derivatives on gathered parameters, for models small enough that ranks hold all."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.utils.parametrizations import _WeightNorm
from torch.nn.utils.weight_norm import WeightNorm
from torch.utils._pytree import tree_map

from hessview.errors import ObjectiveError
from hessview.job import sharding
from hessview.job.control import agree
from hessview.job.fsdp import switched_off, without_hooks
from hessview.job.objective import Objective
from hessview.job.untrained import as_differentiated
from hessview.operators.exact import second_derivative
from hessview.spectral.vectors import Piece


def double_backward(
    objective: Objective,
    batches: Sequence[Any],
    pieces: Sequence[Piece],
    direction: Sequence[Tensor],
) -> list[Tensor]:
    """Hessian of the summed loss of all ranks' batches, times a direction.

    Plain tensors stand in for the sharded parameters, and FSDP's hooks are set aside: under
    them, torch has no second derivatives (torch 2.13). All ranks call it together.

    Args:
        objective: What is differentiated.
        batches: This rank's own batches.
        pieces: What this rank holds of each parameter to be differentiated.
        direction: A local part for each piece, in the data type to compute in.

    Returns:
        The local part of the product for each piece.

    Raises:
        ObjectiveError: The module cannot be differentiated twice.
    """
    _check(objective.module)
    names = [piece.name for piece in pieces]
    directions = _whole(pieces, direction)
    with (
        without_hooks(objective.module),
        switched_off(objective.module),
        as_differentiated(objective.module),
    ):
        state = _state(objective.module, direction[0].dtype)
        plain = {sharding.plain_name(objective.module, key): key for key in state}
        leaves = [state[plain[name]].requires_grad_() for name in names]
        called = _Called(objective)
        stand_in = {f"module.{key}": value for key, value in state.items()}
        sums = [torch.zeros_like(leaf) for leaf in leaves]
        with torch.enable_grad(), sdpa_kernel(SDPBackend.MATH), agree(on_all=True):
            for batch in batches:
                cast = tree_map(lambda leaf: _cast(leaf, direction[0].dtype), batch)
                try:
                    total = functional_call(called, stand_in, (cast,))
                except RuntimeError as error:
                    raise ObjectiveError(
                        f"the module does not run in {direction[0].dtype} on gathered parameters "
                        f'({error}); use operator="hessian", or reference="richardson".'
                    ) from error
                parts = second_derivative(total, leaves, directions)
                for product, part in zip(sums, parts, strict=True):
                    product.add_(part)
    sums = _sum_over_ranks(sums)
    return [_box(product, piece) for product, piece in zip(sums, pieces, strict=True)]


def _check(module: nn.Module) -> None:
    """Refuse modules for which torch's second derivatives are silently wrong (torch 2.13)."""
    for name, child in module.named_modules():
        hooks = child._forward_pre_hooks.values()
        if isinstance(child, _WeightNorm) or any(isinstance(hook, WeightNorm) for hook in hooks):
            raise ObjectiveError(
                f"torch's second derivative of weight normalisation, in {name!r}, is wrong; use "
                'operator="hessian", which needs first derivatives only, or reference="richardson".'
            )


class _Called(nn.Module):
    """The loss as a module's forward, for functional_call."""

    def __init__(self, objective: Objective) -> None:
        super().__init__()
        self.module = objective.module
        self._loss = objective.loss

    def forward(self, batch: Any) -> Tensor:
        result = self._loss(self.module, batch)
        return result[0] if isinstance(result, tuple) else result


def _state(module: nn.Module, dtype: torch.dtype) -> dict[str, Tensor]:
    """Whole parameters and buffers, new tensors, in one floating data type."""
    state: dict[str, Tensor] = {}
    for key, tensor in (*module.named_parameters(), *module.named_buffers()):
        full = tensor.detach()
        full = full.full_tensor() if isinstance(full, DTensor) else full
        cast: Tensor = _cast(full, dtype)
        state[key] = cast.clone() if cast is full else cast
    return state


def _cast(leaf: Any, dtype: torch.dtype) -> Any:
    return leaf.to(dtype) if isinstance(leaf, Tensor) and leaf.is_floating_point() else leaf


def _whole(pieces: Sequence[Piece], parts: Sequence[Tensor]) -> list[Tensor]:
    """Whole tensors from the ranks' boxes."""
    result = []
    for piece, part in zip(pieces, parts, strict=True):
        result.append(torch.zeros(piece.full_shape, dtype=part.dtype, device=part.device))
        if piece.owned:
            _box(result[-1], piece).copy_(part)
    return _sum_over_ranks(result)


def _box(part: Tensor, piece: Piece) -> Tensor:
    """The part of a whole tensor that a rank holds, as a view."""
    for axis, (first, length) in enumerate(zip(piece.offset, piece.shape, strict=True)):
        # An empty shard may say that it begins behind the end.
        part = part.narrow(axis, min(first, part.shape[axis] - length), length)
    return part


def _sum_over_ranks(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Sums over all ranks, in one reduction."""
    flat = torch.cat([tensor.flatten() for tensor in tensors])
    if dist.is_initialized() and dist.get_world_size() > 1:
        dist.all_reduce(flat)
    parts = torch.split(flat, [tensor.numel() for tensor in tensors])
    return [part.view(tensor.shape) for part, tensor in zip(parts, tensors, strict=True)]
