"""Whether the gradient is that of the loss: its norm against the loss's slope along it."""

import dataclasses
import hashlib
import itertools
import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from hessview.errors import ObjectiveError
from hessview.job import sharding
from hessview.job.loss import ShardedLoss
from hessview.operators.finite_difference import Move, displaced

_LADDER, _NARROW_LADDER = 8.0, 4.0  # between distances, of which narrow types resolve few
_MOST = 8  # distances
_APART = 0.01  # of each parameter, by which it is moved to where the check is made a second time
_FARTHEST = 0.01  # of the norm of the parameters

_STEADY = 0.25  # of their distance from 1: by how much ratios that count may differ

_Verdict = Literal["agrees", "contradicts", "open"]


def check_gradient(surface: ShardedLoss, gradient: Tensor) -> dict[str, str]:
    """Compare the gradient with the slope of the loss along it, part by part.

    Parts are parameters that are sharded in one way over one mesh: what is forgotten in
    summing gradients is forgotten for such a part, however small its share of the whole. A
    slope is (L(theta + h u) - L(theta - h u)) over what the gradient says of it, <g, realised
    displacement>, which also holds where displacements are rounded. It counts where two
    distances agree with each other; where none do (in narrow types, where the gradient is but
    rounding) the check is made at parameters nearby, and if that fails too a note says so.

    This catches, at the price of some forward passes, what would make every product wrong but
    plausible: gradients that are not summed over the ranks or are scaled, parameters whose
    change does not reach the loss, surrogates with a gradient of their own, tied parameters
    that came apart.

    Args:
        surface: The loss, measured at the present parameters.
        gradient: Its gradient there, shape (local_size,).

    Returns:
        A note, if it could not be checked; {} otherwise.

    Raises:
        ObjectiveError: They disagree at distances that agree with each other; on all ranks
            alike.
    """
    parts = _parts(surface)
    # Rounding of the whole makes up parts that are smaller, such as biases of attention's keys.
    floor = min(100 * surface.machine_epsilon, 0.03) * surface.gradient_norm
    home = _Point(surface, gradient, surface.loss, floor)
    verdicts = {name: home.judge(indices) for name, indices in parts.items()}
    doubted = {
        name: judgement for name, judgement in verdicts.items() if judgement.verdict != "agrees"
    }
    if not doubted:
        return {}
    base = small_displacement(surface)
    with displaced(surface) as move:
        move(base, 1.0)
        nearby_gradient = surface.space.zeros()
        share = surface.gradient(nearby_gradient)
    numbers = torch.tensor([share], dtype=torch.float64, device=surface.space.device)
    near = _Point(surface, nearby_gradient, float(surface.space.reduce(numbers)), floor, base)
    unchecked, rounded = [], []
    for name, judgement in doubted.items():
        again = near.judge(parts[name])
        if again.verdict == "agrees":
            if judgement.verdict == "contradicts":
                rounded.append((name, judgement))
            continue
        if "contradicts" in (judgement.verdict, again.verdict):
            worst = judgement if judgement.verdict == "contradicts" else again
            raise ObjectiveError(_refusal(name, worst))
        unchecked.append((name, judgement))
    surface.gradient_is_rounded = bool(rounded)
    notes = [_unchecked(*judged) for judged in unchecked] + [
        _rounded(*judged) for judged in rounded
    ]
    return {"gradient_check": "; ".join(notes)} if notes else {}


def small_displacement(surface: ShardedLoss) -> Tensor:
    """A displacement that moves each parameter by a hundredth, up or down.

    Twice eight units of the last place, in types where that is more.

    Returns:
        Shape (local_size,).
    """
    relative = max(_APART, 8 * surface.machine_epsilon)
    vector = surface.space.probe(0, 0)
    if not surface.parameter_norm:
        return vector.mul_(relative)
    vector.sign_()
    for part, shard in zip(surface.space.split(vector), surface.shards(), strict=True):
        part.mul_(shard.abs()).mul_(relative)
    return vector


@dataclasses.dataclass(frozen=True)
class _Judgement:
    """What was found along one part of the gradient.

    Attributes:
        norm: Norm of that part.
        ratios: Slopes over what the gradient says, at a distance and at its double, by distance.
        verdict: What they say together.
    """

    norm: float
    ratios: dict[float, tuple[float, float]]
    verdict: _Verdict


class _Point:
    """Parameters around which slopes are measured, with the loss and its gradient there."""

    def __init__(
        self,
        surface: ShardedLoss,
        gradient: Tensor,
        loss: float,
        floor: float,
        base: Tensor | None = None,
    ) -> None:
        self._surface, self._gradient, self._loss = surface, gradient, loss
        self._floor, self._base = floor, base
        self._types = _computing_types(surface)

    def judge(self, indices: Sequence[int]) -> _Judgement:
        """Compare slopes along the gradient of some parameters with its norm."""
        surface = self._surface
        direction = surface.space.zeros()
        parts, gradient_parts = surface.space.split(direction), surface.space.split(self._gradient)
        for index in indices:
            parts[index].copy_(gradient_parts[index])
        norm = surface.space.norm(direction)
        if not norm < math.inf:
            return _Judgement(norm, {}, "open")
        if norm <= self._floor:
            # Nothing to compare; parameters that the loss does not use have none nearby either.
            return _Judgement(norm, {}, "open" if self._base is None else "agrees")
        direction.div_(norm)
        tolerance = max(0.1, 32 * surface.machine_epsilon)
        ratios: dict[float, tuple[float, float]] = {}
        with displaced(surface) as move:
            for distance in self._distances(norm):
                once, twice = (self._ratio(move, direction, k * distance) for k in (1, 2))
                ratios[distance] = pair = once, twice
                if all(abs(ratio - 1) <= tolerance for ratio in pair):
                    return _Judgement(norm, ratios, "agrees")
        return _Judgement(norm, ratios, _verdict(ratios, tolerance))

    def _distances(self, norm: float) -> list[float]:
        """Distances to try, the likeliest first."""
        surface = self._surface
        epsilon, size = surface.machine_epsilon, surface.parameter_norm or 1.0
        nearest = epsilon * size  # what parameters resolve, about
        farthest = max(_FARTHEST * size, 16 * nearest)
        # Far enough that the loss changes by more than its rounding.
        usual = 0.1 * math.cbrt(epsilon) * abs(self._loss) / norm
        first = min(max(usual, 4 * nearest), farthest)
        # Nearer ones still move some parameters, and by how much is known.
        nearest = max(nearest / 64, 2 * surface.loss_epsilon * abs(self._loss) / norm)
        powers = sorted(range(-_MOST, _MOST), key=lambda power: (abs(power), -power))
        ladder = _LADDER if epsilon < 1e-4 else _NARROW_LADDER
        within = [first * ladder**power for power in powers]
        return [distance for distance in within if nearest <= distance <= farthest * 1.001][:_MOST]

    def _ratio(self, move: Move, direction: Tensor, distance: float) -> float:
        """Change of the loss between both sides over the change that the gradient predicts."""
        ahead, ahead_at = self._loss_at(move, direction, distance)
        behind, behind_at = self._loss_at(move, direction, -distance)
        moved = ahead_at.sub_(behind_at)
        predicted = self._surface.space.dot(moved, self._gradient)
        return (ahead - behind) / predicted if predicted else math.nan

    def _loss_at(self, move: Move, direction: Tensor, distance: float) -> tuple[float, Tensor]:
        """Loss at a displacement, and the parameters in the types that the model computes with."""
        surface = self._surface
        if self._base is None:
            move(direction, distance)
        else:
            move(torch.add(self._base, direction, alpha=distance), 1.0)
        value = surface.value()
        parameters = surface.space.zeros()
        for part, shard, dtype in zip(
            surface.space.split(parameters), surface.shards(), self._types, strict=True
        ):
            part.copy_(shard.to(dtype))
        return value, parameters


def _verdict(ratios: dict[float, tuple[float, float]], tolerance: float) -> _Verdict:
    """Whether ratios at neighbouring distances agree with each other, but not with 1."""
    ordered = [ratios[distance] for distance in sorted(ratios)]
    if any(ratio for pair in ordered for ratio in pair):
        # Else a loss that does not move at all, as where rounding leaves it a few values only,
        # tells nothing: it does move farther out.
        ordered = [pair for pair in ordered if all(pair)]
    for nearer, farther in itertools.pairwise(ordered):
        four = (*nearer, *farther)
        off_by = abs(sum(four) / 4 - 1)
        if off_by > tolerance and max(four) - min(four) <= _STEADY * off_by:
            return "contradicts"
    return "open"


def _refusal(part: str, judgement: _Judgement) -> str:
    slopes = dict.fromkeys(
        f"{ratio * judgement.norm:.4g}" for pair in judgement.ratios.values() for ratio in pair
    )
    return (
        f"the gradient of {part} has the norm {judgement.norm:.4g}, but the loss changes by "
        f"{', '.join(slopes)} per unit along it; the gradient must be that of the mean loss over "
        "all ranks: use fully_shard or DistributedDataParallel with their own averaging (a "
        "gradient_divide_factor alike for all), keep gradient synchronisation on, and return "
        "(summed loss, number of terms) from the loss function. A loss whose gradient is not its "
        "derivative (.detach() inside, a straight-through estimator) has no Hessian that products "
        "could be of."
    )


def _unchecked(part: str, judgement: _Judgement) -> str:
    ratios = [f"{ratio:.2g}" for pair in judgement.ratios.values() for ratio in pair]
    reason = (
        f"the slopes of the loss along it are {', '.join(ratios)} times it, at distances that do "
        "not agree with each other"
        if ratios
        else "it is too small for the loss to show it"
    )
    return f"the gradient of {part} (norm {judgement.norm:.2g}) could not be checked: {reason}"


def _rounded(part: str, judgement: _Judgement) -> str:
    ratios = [f"{ratio:.2g}" for pair in judgement.ratios.values() for ratio in pair]
    return (
        f"the gradient of {part} (norm {judgement.norm:.2g}) is that of the loss at parameters "
        f"nearby, but not right here, where slopes are {', '.join(ratios)} times it: it, "
        "or the loss, is rounding here, or has a kink, and products with a small epsilon share that"
    )


def _parts(surface: ShardedLoss) -> dict[str, list[int]]:
    """Parameters that are shared in one way between ranks, as indices of the space's pieces.

    Where there is but one way, they are split in two by their names, so that each counts more.
    """
    kinds = sharding.kinds(surface.objective.module)
    indices = {piece.name: index for index, piece in enumerate(surface.space.pieces)}
    if len(kinds) > 1:
        return {
            f"what lies on {kind}": [indices[name] for name in names if name in indices]
            for kind, names in kinds.items()
        }
    halves: list[list[int]] = [[], []]
    for name, index in indices.items():
        halves[hashlib.blake2b(name.encode(), digest_size=1).digest()[0] % 2].append(index)
    nonempty = [half for half in halves if half]
    if len(nonempty) == 1:
        return {"all parameters": nonempty[0]}
    some = [f"{surface.space.pieces[half[0]].name!r} and others" for half in nonempty]
    return dict(zip(some, nonempty, strict=True))


def _computing_types(surface: ShardedLoss) -> list[torch.dtype]:
    """Data type to which FSDP casts each parameter for forward and backward."""
    cast = {
        id(parameter.sharded_param): parameter.param_dtype
        for group in sharding.groups(surface.objective.module)
        for parameter in group.fsdp_params
    }
    return [cast.get(id(p)) or p.dtype for p in surface.parameters()]
