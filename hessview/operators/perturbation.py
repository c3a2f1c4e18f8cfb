"""What is left of a displacement once the parameters' data type has rounded it.

A unit vector over N parameters moves each by about epsilon / sqrt(N). Where that is below half the
spacing of the numbers that the model computes with, rounding to nearest moves nothing at all, so
that what is left is not only inexact but biased: shorter along the vector itself. Rounded at
random, up or down with the probability that makes the mean right, a displacement is unbiased
whatever the type, and its noise has nothing to do with the direction (Connolly, Higham & Mary,
SIAM J. Sci. Comput. 43, 2021, on stochastic rounding).
"""

import struct
from collections.abc import Sequence

import torch
from torch import Tensor

from hessview.operators.base import LossSurface
from hessview.spectral.vectors import CHUNK

_COARSE = 1e-2
"""Expected relative error of rounding to nearest, above which it is done at random."""
_SEED = 0x0D17


class Rounding:
    """How displaced parameters are rounded to the numbers that the model computes with.

    Args:
        surface: The loss, at its undisplaced parameters.
        to_nearest: Whether always to the nearest one.
    """

    def __init__(self, surface: LossSurface, *, to_nearest: bool = False) -> None:
        self.surface = surface
        self._to_nearest = to_nearest
        self._chances: Sequence[Tensor] = ()

    def coarse(self, distance: float) -> bool:
        """Whether rounding to nearest would take a part of a displacement that matters.

        It moves an element of size x by a quarter of eps x on average, all of them together by
        eps |theta| / 4, against a displacement of epsilon.

        Args:
            distance: Epsilon along a unit-norm vector, of either sign.
        """
        if self._to_nearest:
            return False
        machine_epsilon = max(torch.finfo(dtype).eps for dtype in self.surface.computed_in())
        return 0 < abs(distance) < machine_epsilon * self.surface.parameter_norm / (4 * _COARSE)

    def displaced(self, index: int, home: Tensor, part: Tensor, distance: float) -> Tensor:
        """One shard, moved along its part of a unit-norm vector.

        Args:
            index: Which of the surface's shards.
            home: The undisplaced shard.
            part: Part of the vector, shaped like it.
            distance: Epsilon, of either sign; the same chances serve both signs, so that even
                orders cancel.

        Returns:
            Shaped like the shard, in its type or a wider one.
        """
        kind = self.surface.computed_in()[index]
        if not self.coarse(distance):
            # Rounded once, when it is stored: narrow types are added in the direction's.
            return torch.add(home, part, alpha=distance)
        if not self._chances:
            space = self.surface.space
            self._chances = space.split(space.uniform(_SEED))
        moved = torch.empty(home.shape, dtype=kind, device=home.device)
        shift = _shift(distance)
        parts = (moved.view(-1), home.reshape(-1), part.reshape(-1), self._chances[index].view(-1))
        chunks = zip(*(torch.split(flat, CHUNK) for flat in parts), strict=True)
        for out, start, direction, chances in chunks:
            out.copy_(_at_random(start, direction, chances, distance, shift, kind))
        return moved


def _at_random(
    home: Tensor, part: Tensor, chances: Tensor, distance: float, shift: float, kind: torch.dtype
) -> Tensor:
    """Home + distance part, rounded up or down so that the mean is right."""
    wide = torch.promote_types(home.dtype, torch.float32)
    home, displacement = home.to(wide), part.to(wide) * distance
    nearest = (home + displacement).to(kind).to(wide)
    missing = (home - nearest).add_(displacement)  # the difference of near numbers is exact
    spacing = _power_of_two(nearest).mul_(torch.finfo(kind).eps)
    spacing.clamp_(min=torch.finfo(kind).smallest_normal * torch.finfo(kind).eps)
    chosen = torch.frac(chances.to(wide) + shift).mul_(spacing) < missing.abs()
    return nearest.add_(torch.copysign(spacing, missing).mul_(chosen))


def _power_of_two(numbers: Tensor) -> Tensor:
    """The largest power of two that is not above each number's size; 0 for 0."""
    if numbers.dtype == torch.float64:
        return (numbers.view(torch.int64) & 0x7FF0000000000000).view(torch.float64)
    return (numbers.view(torch.int32) & 0x7F800000).view(torch.float32)


def _shift(distance: float) -> float:
    """A number in [0, 1), another one for each distance, so that D sees the noise."""
    (bits,) = struct.unpack("<Q", struct.pack("<d", abs(distance)))
    return float((bits * 0x9E3779B97F4A7C15 % (1 << 64)) >> 40) / 2.0**24


def missing_part(rounding: Rounding, direction: Tensor, epsilon: float) -> Tensor:
    """What the displacement w that stands for v lacks of it, v - w.

    w is half the difference of the parameters on both sides, as the model computes with them,
    over epsilon.

    Args:
        rounding: That of the products.
        direction: v, of unit norm, shape (local_size,).
        epsilon: Finite-difference step h, > 0.

    Returns:
        This rank's share, shape (local_size,).
    """
    surface = rounding.surface
    missing = direction.clone()
    with torch.no_grad():
        pieces = zip(surface.space.split(missing), surface.shards(), strict=True)
        for index, (part, shard) in enumerate(pieces):
            kind = surface.computed_in()[index]
            ahead, behind = (
                rounding.displaced(index, shard, part, distance).to(kind).to(part.dtype)
                for distance in (epsilon, -epsilon)
            )
            part.sub_(ahead.sub_(behind).div_(2 * epsilon))
    return missing


def perturbation_error(rounding: Rounding, direction: Tensor, epsilon: float) -> float:
    """Relative error |w - v| of the displacement w that stands for v.

    1 and more means that the displacement is noise for the most part; the mean of w is v all the
    same.

    Args:
        rounding: That of the products.
        direction: v, of unit norm, shape (local_size,).
        epsilon: Finite-difference step h, > 0.

    Returns:
        The error, the same on all ranks.
    """
    return rounding.surface.space.norm(missing_part(rounding, direction, epsilon))
