"""The Hessian by central differences of the gradient."""

import math
from typing import Literal

import torch
from torch import Tensor

from hessview.errors import ObjectiveError
from hessview.operators.base import LossSurface, Product
from hessview.operators.displaced import Move, displaced
from hessview.operators.step_size import ATTEMPTS, StepSize


class Hessian:
    """Hv ~ [grad L(theta + h v) - grad L(theta - h v)] / (2 h).

    Each rank perturbs its own shard; a product is two ordinary gradients and one reduction of a
    few numbers. Works with any attention kernel, and never gathers the parameters.

    Args:
        surface: The loss to be differentiated.
        epsilon: Step h along a unit-norm vector; "auto" chooses it for each product.

    Reference: Granziol & Juarev, arXiv 2602.00816.
    """

    def __init__(self, surface: LossSurface, epsilon: float | Literal["auto"] = "auto") -> None:
        self._surface = surface
        self._step_size = StepSize(surface, epsilon)

    def matvec(self, vector: Tensor, *, measure_error: bool = False) -> Product:
        """Product with a unit-norm vector; see `Operator.matvec`."""
        step = self._step_size.first()
        product = torch.empty_like(vector)
        with torch.no_grad(), displaced(self._surface) as move:
            for attempt in range(1, ATTEMPTS + 1):
                norm = self._difference(move, vector, step, product)
                changed = self._step_size.next(step, norm)
                if changed is None or attempt == ATTEMPTS:
                    break
                step = changed
            if not math.isfinite(norm):
                raise ObjectiveError(
                    f"the loss or its gradient is not finite at epsilon={step:.3g} from the "
                    "parameters; use a smaller epsilon, or a wider dtype."
                )
            error = math.nan
            if measure_error:
                error = self._error(move, vector, step, product, norm)
        return Product(
            vector=product,
            norm=norm,
            epsilon=step,
            rho=self._step_size.rho(step, norm),
            error=error,
            gradients=2 * attempt + 2 * measure_error,
        )

    def _difference(self, move: Move, vector: Tensor, step: float, out: Tensor) -> float:
        """Write the central difference; returns its norm, NaN where a loss is not finite."""
        surface = self._surface
        move(vector, step)
        loss = surface.gradient(out.zero_())
        move(vector, -step)
        loss += surface.gradient(out, factor=-1.0)
        out.div_(2 * step)
        # The losses ride along: a NaN on any rank reaches every rank.
        losses = torch.tensor([loss], dtype=torch.float64, device=out.device)
        sums = surface.space.reduce(torch.cat([surface.space.squares(out), losses]))
        square, total = sums.tolist()
        return math.sqrt(square) if math.isfinite(square + total) else math.nan

    def _error(
        self, move: Move, vector: Tensor, step: float, product: Tensor, norm: float
    ) -> float:
        """D, the relative difference to the product at twice the step."""
        second = torch.empty_like(product)
        if math.isnan(self._difference(move, vector, 2 * step, second)):
            return math.inf
        square = float(self._surface.space.reduce(self._surface.space.squares(second - product)))
        return math.sqrt(square) / norm if norm > 0 else 0.0
