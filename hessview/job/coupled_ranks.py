"""Ranks that share activations, found by what they do: names of meshes do not tell.

Where ranks compute one activation together (tensor, context, ring, sequence parallelism by
whatever name), the loss of one moves with the batch of another. Such ranks must be given the same
batch, since what they compute from two different ones is the loss of no batch at all.
"""

import contextlib
import copy
import dataclasses
import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn

from hessview.errors import ObjectiveError
from hessview.job import sharding
from hessview.job.fsdp import accumulating
from hessview.job.loss import ShardedLoss
from hessview.job.sharing import Sharing, grouped

_SINGLY = 16
"""Up to so many shares of the data, the batch is changed on one at a time, which tells who moves
whom. Beyond, it is changed on halves, two for each binary digit of a share's number: 2 log2(n)
passes, after which shares that are not told apart become one."""

_LOOKED_AT = 64  # batches among which two are sought that differ, and in their numbers only


_NOISE = 100.0
"""Differences of two passes over one batch, in roundings of the loss, beyond which it is random;
the check of determinism has something to say to that."""

_UNCHECKED = "could not be checked"
_RANDOM = "two passes over one batch gave different losses"


@dataclasses.dataclass(frozen=True)
class Coupling:
    """How ranks share activations.

    Attributes:
        sharing: This rank's share of the batches, by which coupled ranks see the same.
        notes: What is worth a word in the record, by name.
    """

    sharing: Sharing
    notes: dict[str, str]


def coupling(surface: ShardedLoss) -> Coupling:
    """Find ranks that share activations; called by all ranks together.

    All ranks run one and the same batch, twice; then some run another one of the same shape. A
    rank whose loss moves though its batch did not shares activations with one whose batch did.
    No gradients are computed, and all ranks make the same number of passes.

    Args:
        surface: The loss, shared out as meshes and their names tell.

    Returns:
        The sharing to go by. Ranks that turned out to compute a part of one loss each see one
        batch from now on.

    Raises:
        ObjectiveError: Ranks share activations and the user stated a mesh by which they see
            different batches, or each of them computes a whole loss from all batches, as with
            negative samples from all ranks; raised on all ranks alike.
    """
    sharing = surface.sharing
    if sharing.ranks == 1:
        return Coupling(sharing, {})
    pair, why_not = _two_batches(surface)
    if pair is None:
        return Coupling(sharing, {"shared_activations": f"{_UNCHECKED}: {why_not}"})
    schedule = _schedule(sharing.ranks)
    losses = [_loss(surface, pair[sharing.position in changed]) for changed in schedule]
    losses_by_rank = _gathered(surface, [loss for loss, _ in losses])
    positions = [int(position) for (position,) in _gathered(surface, [sharing.position])]
    if any(
        abs(of_rank[1] - of_rank[0]) > _NOISE * surface.machine_epsilon * abs(of_rank[0])
        for of_rank in losses_by_rank
    ):
        return Coupling(sharing, {"shared_activations": f"{_UNCHECKED}: {_RANDOM}"})
    limits = _limits(surface, losses_by_rank, losses[0][1])
    moved = _moved(schedule, losses_by_rank, positions, limits)
    if not moved:
        return Coupling(sharing, {})
    groups = _groups(sharing.ranks, schedule, moved, positions)
    names = _synchronised(surface.objective.module)
    number, rank = moved[0]
    evidence = (
        f"the loss of rank {rank} moves when only the batch of "
        f"{_ranks_at(positions, schedule[number])} is changed, so that they share activations"
        f"{f' (through synchronised batch normalisation, {names})' if names else ''}"
    )
    if surface.objective.data is not None:
        raise ObjectiveError(
            f"{evidence}, but Objective(data=...) gives them different batches; {_CURE}"
        )
    if not names and not _compute_parts(losses_by_rank, positions, groups, limits):
        raise ObjectiveError(
            f"{evidence}, and each of them computes a whole loss, so that it is not known what the "
            "loss of one batch is (tensor parallelism under another name, or batches that are "
            "coupled on purpose, as by negative samples or numbers of terms from all ranks); "
            f"{_CURE}"
        )
    groups_in_words = "; ".join(
        _ranks_at(
            positions,
            {position for position, group_of_share in enumerate(groups) if group_of_share == group},
        )
        for group in sorted(set(groups))
    )
    return Coupling(
        grouped(groups, sharing.position),
        {"shared_activations": f"{evidence}; these see one batch together: {groups_in_words}"},
    )


_CURE = (
    'pass data=mesh over whose ranks batches are to be shared out, such as mesh["dp"]; for one '
    "batch on all ranks, a dimension of size 1: init_device_mesh(device, (1, ranks), "
    'mesh_dim_names=("data", "together"))["data"].'
)


def _schedule(ranks: int) -> list[set[int]]:
    """On which shares the batch is changed in each pass; on none in the first two."""
    if ranks <= _SINGLY:
        return [set(), set(), *({position} for position in range(ranks))]
    halves = []
    for digit in range((ranks - 1).bit_length()):
        ones = {position for position in range(ranks) if position >> digit & 1}
        halves += [ones, set(range(ranks)) - ones]
    return [set(), set(), *halves]


def _moved(
    schedule: list[set[int]],
    losses: list[list[float]],
    positions: list[int],
    limits: list[float],
) -> list[tuple[int, int]]:
    """Numbers of passes, with ranks whose loss moved though their batch was not changed."""
    return [
        (number, rank)
        for number, changed in enumerate(schedule)
        for rank, own_losses in enumerate(losses)
        if changed
        and positions[rank] not in changed
        and abs(own_losses[number] - own_losses[0]) > limits[rank]
    ]


def _groups(
    ranks: int, schedule: list[set[int]], moved: list[tuple[int, int]], positions: list[int]
) -> list[int]:
    """The first share of the group that each share belongs to."""
    groups = list(range(ranks))
    if ranks <= _SINGLY:
        for number, rank in moved:
            (changed,) = schedule[number]
            pair = {groups[changed], groups[positions[rank]]}
            groups = [min(pair) if group in pair else group for group in groups]
    else:
        # Shares of one group differ only in digits for which some loss moved.
        digits = {(number - 2) // 2 for number, _ in moved}
        mask = sum(1 << digit for digit in digits)
        groups = [position & ~mask for position in range(ranks)]
    sizes = {groups.count(group) for group in groups}
    # Sums over ranks count each share equally often.
    return groups if len(sizes) == 1 else [0] * ranks


def _compute_parts(
    losses: list[list[float]], positions: list[int], groups: list[int], limits: list[float]
) -> bool:
    """Whether ranks of a group, on one batch, find different losses: each that of a part of it.

    Those who compute all of it, from what the others sent, find the same one.
    """
    first: dict[int, int] = {}
    for rank, position in enumerate(positions):
        first_rank = first.setdefault(groups[position], rank)
        limit = max(limits[rank], limits[first_rank])
        if (
            positions[first_rank] != position
            and abs(losses[rank][0] - losses[first_rank][0]) > limit
        ):
            return True
    return False


def _limits(surface: ShardedLoss, losses: list[list[float]], weight: float) -> list[float]:
    """How far each rank's loss may move by rounding.

    Nothing moves, not by the last bit, where nothing is exchanged, but for what kernels do
    (two passes over one batch tell). Experts see tokens of several ranks in one product of
    matrices, which rounds each in another way, and errors of tokens average out in their sum.
    """
    noise = 4 * max(abs(own_losses[1] - own_losses[0]) for own_losses in losses)
    share = 0.0
    if sharding.split_within(surface.objective.module):
        share = 4 * surface.machine_epsilon / math.sqrt(max(weight, 1.0))
        share += 8 * torch.finfo(torch.float32).eps if surface.machine_epsilon > 1e-10 else 1e-14
    return [
        (noise if math.isfinite(noise) else 0.0) + share * abs(own_losses[0])
        for own_losses in losses
    ]


def _loss(surface: ShardedLoss, batch: Any) -> tuple[float, float]:
    """Summed loss and weight of one batch on this rank."""
    module = surface.objective.module
    try:
        # With a graph, as the loss may hold derivatives by its inputs.
        with torch.enable_grad(), accumulating(module):
            total, weight = surface._terms(batch)
            return float(total.detach()), weight
    finally:
        sharding.recover(module)
        surface.refresh()


def _gathered(surface: ShardedLoss, numbers: list[float]) -> list[list[float]]:
    """Each rank's numbers, on all ranks."""
    world, rank = dist.get_world_size(), dist.get_rank()
    table = torch.zeros(world, len(numbers), dtype=torch.float64, device=surface.space.device)
    table[rank] = torch.tensor(numbers, dtype=torch.float64)
    rows: list[list[float]] = surface.space.reduce(table.flatten()).view(world, -1).tolist()
    return rows


def _two_batches(surface: ShardedLoss) -> tuple[tuple[Any, Any] | None, str]:
    """Two batches that differ in their numbers only, or why there are none; alike on all ranks."""
    batches = surface.objective.batches
    first_of_form: dict[str, Any] = {}
    for index in range(min(len(batches), _LOOKED_AT)):
        batch = batches[index]
        parts = list(_parts_of_batch(batch))
        form = repr([_form(part) for part in parts])
        first = first_of_form.setdefault(form, batch)
        if not all(map(_equal, parts, _parts_of_batch(first))):
            return (first, batch), ""
    with contextlib.suppress(Exception):  # what cannot be copied cannot be changed
        changed = copy.deepcopy(batches[0])
        if _shuffle(changed) and _runs(surface, changed):
            return (batches[0], changed), ""
    return None, (
        "there are no two batches that differ in their numbers but not in their shapes, and no "
        "batch whose numbers may be shuffled"
    )


def _runs(surface: ShardedLoss, batch: Any) -> bool:
    """Whether the loss takes a batch; all ranks try the same one, and meet the same error."""
    failed = 0.0
    try:
        _loss(surface, batch)
    except Exception:  # of the user's loss, or of torch
        failed = 1.0
    return not any(number for (number,) in _gathered(surface, [failed]))


def _parts_of_batch(value: Any, above: tuple[int, ...] = ()) -> Iterator[Any]:
    """What a batch holds, in order: tensors, arrays, and keys and other things between them.

    Args:
        value: A batch, or a part of one.
        above: Identities of the things that hold it, which may hold each other in a circle.
    """
    if isinstance(value, Tensor | np.ndarray | str | int | float | None):
        yield value
        return
    yield type(value).__qualname__
    if id(value) in above:
        return
    if isinstance(value, Mapping):
        entries = list(value.items())
    elif isinstance(value, list | tuple):
        entries = list(enumerate(value))
    else:
        entries = list(getattr(value, "__dict__", {}).items())
    for key, entry in entries:
        yield str(key)
        yield from _parts_of_batch(entry, (*above, id(value)))


def _form(part: Any) -> Any:
    """Shape and type of a tensor or array; others may rule the shapes inside, so count whole."""
    if isinstance(part, np.ndarray):
        return part.shape, part.dtype
    if not isinstance(part, Tensor):
        return part
    plain = part.layout == torch.strided and not part.is_nested
    return (tuple(part.shape), part.dtype) if plain else id(part)


def _equal(first: Any, second: Any) -> bool:
    if isinstance(first, Tensor):
        return torch.equal(first, second)
    return np.array_equal(first, second) if isinstance(first, np.ndarray) else bool(first == second)


def _shuffle(batch: Any) -> bool:
    """Change a batch's numbers in place, with others of the same kind; whether there are such.

    Real numbers first, along any axis. Whole numbers in a table (tokens, labels, masks) are
    moved along its rows; in a list they may say where sequences begin, and stay.
    """
    tensors = [
        torch.from_numpy(part) if isinstance(part, np.ndarray) else part
        for part in _parts_of_batch(batch)
        if isinstance(part, Tensor) or (isinstance(part, np.ndarray) and part.dtype != object)
    ]
    real = [tensor for tensor in tensors if tensor.is_floating_point()]
    integer = [tensor for tensor in tensors if not tensor.is_floating_point() and tensor.ndim > 1]
    with torch.no_grad():
        for candidates, axes in ((real, lambda t: range(t.ndim)), (integer, lambda t: [-1])):
            changed = False
            for tensor in candidates:
                for axis in axes(tensor):
                    rolled = tensor.roll(1, axis)
                    if not torch.equal(rolled, tensor):
                        tensor.copy_(rolled)
                        changed = True
                        break
            if changed:
                return True
    return False


def _synchronised(module: nn.Module) -> str:
    """Names of batch normalisations that take their statistics from all ranks' batches."""
    return ", ".join(
        repr(name)
        for name, child in module.named_modules()
        if isinstance(child, nn.SyncBatchNorm) and (child.training or not child.track_running_stats)
    )


def _ranks_at(positions: list[int], chosen: set[int]) -> str:
    ranks = [rank for rank, position in enumerate(positions) if position in chosen]
    shown = ", ".join(map(str, ranks[:8])) + (", ..." if ranks[8:] else "")
    return f"rank {shown}" if len(ranks) == 1 else f"ranks {shown}"
