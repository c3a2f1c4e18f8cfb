"""What all operators by finite differences share: trying a step, judging it, measuring D."""

import abc
import math
from typing import ClassVar, Literal, NamedTuple

import torch
from torch import Tensor

from hessview.errors import ObjectiveError
from hessview.operators.base import LossSurface, Product
from hessview.operators.displaced import Move, displaced
from hessview.operators.perturbation import perturbation_error
from hessview.operators.step_size import ATTEMPTS, StepSize


class Tally(NamedTuple):
    """A rank's share of what was seen on the way to a product; shares add up over ranks.

    Attributes:
        loss: Mean losses, which are not finite if anything went wrong.
        moved: Squared change of the outputs per unit step.
        size: Squared size of the outputs.
        flipped: Choices of routers that differ between both sides.
        routed: Choices of routers, on one side.
    """

    loss: float
    moved: float = 0.0
    size: float = 0.0
    flipped: float = 0.0
    routed: float = 0.0


def flips(ahead: list[Tensor], behind: list[Tensor]) -> dict[str, float]:
    """How many of the routers' choices differ between two passes over the same data.

    Args:
        ahead: `LossSurface.choices` after one pass.
        behind: The same after the other.

    Returns:
        The fields of a tally that say so.
    """
    pairs = list(zip(ahead, behind, strict=True))
    return {
        "flipped": float(sum(int((a != b).sum()) for a, b in pairs)),
        "routed": float(sum(a.numel() for a, _ in pairs)),
    }


class Differences(abc.ABC):
    """An operator whose products are differences between displaced parameters.

    Args:
        surface: The loss to be differentiated.
        epsilon: Step h along a unit-norm vector; "auto" chooses it for each product.
    """

    about: ClassVar[str]
    order: ClassVar[int] = 2
    """Order of the truncation error in the step."""
    gradients: ClassVar[float] = 2.0
    """What one product costs."""

    def __init__(self, surface: LossSurface, epsilon: float | Literal["auto"] = "auto") -> None:
        self._surface = surface
        self._step_size = StepSize(surface, epsilon, order=self.order)
        self._share = math.nan  # of the loss, of this rank, in the latest attempt

    @abc.abstractmethod
    def _difference(self, move: Move, vector: Tensor, step: float, out: Tensor) -> Tally:
        """Add the product at a step to a vector of zeros."""

    def _speed(self, norm: float, tally: Tally) -> float:
        """Norm of what the step-size rule watches, per unit step: here the gradient's change."""
        return norm

    def matvec(self, vector: Tensor, *, measure_error: bool = False) -> Product:
        """Product with a unit-norm vector; see `Operator.matvec`."""
        step = self._step_size.first()
        product = torch.empty_like(vector)
        with torch.no_grad(), displaced(self._surface) as move:
            for attempt in range(1, ATTEMPTS + 1):
                norm, tally = self._attempt(move, vector, step, product)
                speed = self._speed(norm, tally)
                changed = self._step_size.next(step, speed)
                if changed is None or attempt == ATTEMPTS:
                    break
                step = changed
            if not math.isfinite(norm):
                raise ObjectiveError(
                    f"{self._surface.what_is_not_finite(self._share)} at epsilon={step:.3g} from "
                    "the parameters; use a smaller epsilon, or a wider dtype."
                )
            extra = 0
            if not self._step_size.calibrated and norm > 0:
                step, extra = self._calibrate(move, product, vector, step, speed)
                norm, tally = self._attempt(move, vector, step, product)
                speed = self._speed(norm, tally)
            error = math.nan
            if measure_error:
                error = self._error(move, vector, step, product, norm)
        moved = perturbation_error(self._surface, vector, step) if measure_error else math.nan
        return Product(
            vector=product,
            norm=norm,
            epsilon=step,
            rho=self._step_size.rho(step, speed),
            error=error,
            gradients=self.gradients * (attempt + extra + measure_error),
            flips=tally.flipped / tally.routed if tally.routed else math.nan,
            perturbation_error=moved,
        )

    def _calibrate(
        self, move: Move, product: Tensor, vector: Tensor, step: float, speed: float
    ) -> tuple[float, int]:
        """Find the best step along a vector; returns it, and the products that this takes."""

        def product_at(where: float) -> Tensor | None:
            out = torch.empty_like(product)
            return None if math.isnan(self._attempt(move, vector, where, out)[0]) else out

        found = self._step_size.calibrate(product_at, self._norm, step, speed)
        return found.step, found.products + 1

    def _attempt(self, move: Move, vector: Tensor, step: float, out: Tensor) -> tuple[float, Tally]:
        """Write the product at a step; returns its norm, NaN where a loss is not finite."""
        space = self._surface.space
        own = self._difference(move, vector, step, out.zero_())
        self._share = own.loss
        # The tally rides along: a NaN on any rank reaches every rank.
        numbers = torch.tensor(own, dtype=torch.float64, device=out.device)
        square, *sums = space.reduce(torch.cat([space.squares(out), numbers])).tolist()
        tally = Tally(*sums)
        return math.sqrt(square) if math.isfinite(square + sum(sums)) else math.nan, tally

    def _error(
        self, move: Move, vector: Tensor, step: float, product: Tensor, norm: float
    ) -> float:
        """D, the relative difference to the product at twice the step."""
        second = torch.empty_like(product)
        if math.isnan(self._attempt(move, vector, 2 * step, second)[0]):
            return math.inf
        return self._norm(second.sub_(product)) / norm if norm > 0 else 0.0

    def _norm(self, vector: Tensor) -> float:
        return math.sqrt(float(self._surface.space.reduce(self._surface.space.squares(vector))))
