"""What training leaves out of the loss's gradient: rows that stay, hooks and factors.

A row of an embedding at `padding_idx` gets no gradient, but a displacement would move it: the
product would be that of no symmetric matrix, off by as much as the loss depends on the row. Such
elements are held constant, as in training: zero in probes and products, and not counted among
the parameters. What merely changes gradients on their way, as hooks do, is set aside, so that
they are those of the loss.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

from hessview.errors import ObjectiveError
from hessview.interrupts import borrowed
from hessview.operators.finite_difference import displaced
from hessview.spectral.vectors import Piece

if TYPE_CHECKING:
    from hessview.job.loss import ShardedLoss

_MOVE = 0.01  # of an element's usual size: felt in bfloat16, and near enough to be the same model
_ROUNDS = 4  # until no further element turns out to get a gradient after all
_SEED = 0x5E1F  # of the directions in which parameters are moved, which no probe of a run shares


class Elements(NamedTuple):
    """Some elements of one parameter.

    Attributes:
        positions: Where they are in this rank's flattened box of it, int64.
        total: How many there are in the whole parameter.
    """

    positions: Tensor
    total: int


def padding_rows(
    module: nn.Module, parameters: Mapping[str, nn.Parameter]
) -> dict[str, tuple[int, ...]]:
    """Rows that `padding_idx` of an embedding keeps from training.

    A row that is also an output embedding's, by tied weights, gets a part of its gradient, which
    is that of no loss: it is held constant as well.

    Args:
        module: Sharded, replicated or plain.
        parameters: Those to be differentiated, by plain name, as the module holds them.

    Returns:
        Rows by the parameter's name, along its first dimension.

    Raises:
        ObjectiveError: An embedding that changes its weights when it is read.
    """
    names = {id(parameter): name for name, parameter in parameters.items()}
    rows: dict[str, set[int]] = {}
    for name, child in module.named_modules():
        if not isinstance(child, nn.Embedding | nn.EmbeddingBag):
            continue
        weight_name = names.get(id(child.weight))
        if weight_name is None:
            continue
        if child.max_norm is not None:
            raise ObjectiveError(
                f"embedding {name!r} shortens its rows to max_norm={child.max_norm:g} when they "
                "are read, which moves the parameters and which no gradient sees; set "
                "max_norm=None, after a last pass over the data."
            )
        if child.padding_idx is not None:
            rows.setdefault(weight_name, set()).add(int(child.padding_idx))
    return {name: tuple(sorted(rows_of_name)) for name, rows_of_name in rows.items()}


def positions(piece: Piece, rows: tuple[int, ...]) -> Tensor:
    """Positions of some rows of a parameter within this rank's flattened box of it."""
    if not rows or not piece.numel:
        return torch.empty(0, dtype=torch.int64)
    width = piece.numel // piece.shape[0]
    local = [row - piece.offset[0] for row in rows]
    row_positions = [
        torch.arange(width) + row * width for row in local if 0 <= row < piece.shape[0]
    ]
    return torch.cat(row_positions) if row_positions else torch.empty(0, dtype=torch.int64)


def without_gradient(surface: "ShardedLoss") -> dict[str, Elements]:
    """Look for elements that get no gradient anywhere near, though the loss depends on them.

    Rows that forward detaches by hand, for instance, or an embedding that is read by
    torch.nn.functional.embedding(..., padding_idx=...). Elements without a gradient are moved:
    of those that nothing depends on (rows of unseen tokens, units that are off) the gradient
    takes no notice, and that is all there is to do, at the price of two gradients. Else
    everything is moved, for elements whose gradient happens to vanish here (adapters that begin
    at zero) have one nearby.

    Args:
        surface: The loss, measured, at its undisplaced parameters. All ranks call it together.

    Returns:
        By the parameter's name, with the same names on all ranks; {} where nothing was found.
    """
    space = surface.space
    base = _gradient(surface)
    silent = space.hold(torch.ones_like(base)).bool() & (base == 0)
    rounding = 4 * torch.finfo(space.dtype).eps * surface.gradient_norm
    count = _count(surface, silent)
    for number in range(_ROUNDS):
        if not count:
            return {}
        moved = _moved(surface, silent, number)
        change = space.norm(moved - base)
        # Some kernels add up in another order each time, so that two gradients differ by rounding.
        if change <= rounding or change <= 10 * space.norm(_gradient(surface) - base):
            return {}
        silent &= moved == 0
        before, count = count, _count(surface, silent)
        if number and count == before:
            break
        for attempt in range(2):
            silent &= _moved(surface, torch.ones_like(silent), _ROUNDS + 2 * number + attempt) == 0
        count = _count(surface, silent)
    else:
        return {}
    parts = space.split(silent)
    own_counts = [
        part.sum(dtype=torch.float64) * p.owned for part, p in zip(parts, space.pieces, strict=True)
    ]
    totals = space.reduce(torch.stack(own_counts)).tolist()
    return {
        piece.name: Elements(part.flatten().nonzero().flatten(), round(total))
        for piece, part, total in zip(space.pieces, parts, totals, strict=True)
        if total
    }


def _gradient(surface: "ShardedLoss") -> Tensor:
    gradient = surface.space.zeros()
    surface.gradient(gradient)
    return gradient


def _count(surface: "ShardedLoss", chosen: Tensor) -> float:
    """How many elements are chosen, over all ranks; replicas as often as they are held."""
    return float(surface.space.reduce(chosen.sum(dtype=torch.float64)[None]))


def _moved(surface: "ShardedLoss", chosen: Tensor, index: int) -> Tensor:
    """The gradient after the chosen elements were moved, each by a part of its usual size."""
    space = surface.space
    direction = space.probe(_SEED, index).sign_()
    for part, size in zip(space.split(direction), surface.element_sizes, strict=True):
        part.mul_(_MOVE * size)
    with displaced(surface) as move:
        move(direction.mul_(chosen), 1.0)
        return _gradient(surface)


@contextmanager
def as_differentiated(module: nn.Module) -> Iterator[None]:
    """Have backward passes give the loss's own gradient: set aside what modules do to it.

    Hooks on modules' gradients scale, clip or mask them, and an embedding with
    scale_grad_by_freq divides those of frequent tokens.

    Args:
        module: Sharded, replicated or plain.
    """
    lent = [
        (hooks, dict(hooks))
        for child in module.modules()
        for hooks in (child._backward_hooks, child._backward_pre_hooks)
        if hooks
    ]
    scaled = [
        child
        for child in module.modules()
        if isinstance(child, nn.Embedding | nn.EmbeddingBag) and child.scale_grad_by_freq
    ]

    def give_back() -> None:
        for hooks, items in lent:
            hooks.update(items)
        for child in scaled:
            child.scale_grad_by_freq = True

    with borrowed(give_back):
        for hooks, _ in lent:
            hooks.clear()
        for child in scaled:
            child.scale_grad_by_freq = False
        yield


def changes_gradients(module: nn.Module, parameters: Mapping[str, nn.Parameter]) -> list[str]:
    """Names of parameters and modules whose gradients something of the user's may change."""
    names = [
        name
        for name, parameter in parameters.items()
        if parameter._backward_hooks or parameter._post_accumulate_grad_hooks
    ]
    names += [
        name or type(module).__name__
        for name, child in module.named_modules()
        if child._backward_hooks
        or child._backward_pre_hooks
        or getattr(child, "scale_grad_by_freq", False)
    ]
    return names
