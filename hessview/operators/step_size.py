"""How far to step: the rule that keeps the relative gradient change where it is best.

The best step differs by factors of 60 to 500 between directions of one model; what best steps
share is the relative gradient change rho = |g+ - g-| / (2 |g|), near tau = eps_m^(1/3). This
is the optimum of theorem 3.1 of Granziol & Juarev (arXiv 2602.00816), E(h) = (h^2/6) M3 +
C eps_m G / h, with the third derivative measured in units of curvature over gradient.
"""

import math
from typing import Literal

import torch

from hessview.operators.base import LossSurface

ATTEMPTS = 6
# Accept rho from tau/3 to 2 tau. Truncation grows with rho squared and rounding with 1/rho: for
# SmolLM2's second Krylov vector the error was 0.3 % at 1.3 tau and 0.9 % at 2.5 tau.
_LEAST, _MOST = 1 / 3, 2.0
_LARGEST_CHANGE = 64.0  # of the step, from one attempt to the next
_COLD = 1e-3  # first step, as a fraction of tau |theta|
_STATIONARY = 0.01  # see `gradient_scale`


class StepSize:
    """Chooses the step along unit vectors, warm from one product to the next.

    Args:
        surface: The loss to be differentiated.
        epsilon: "auto" for the rule, or the step to use for every product.
    """

    def __init__(self, surface: LossSurface, epsilon: float | Literal["auto"] = "auto") -> None:
        self._surface = surface
        self._fixed = None if epsilon == "auto" else float(epsilon)
        self._latest = math.nan
        self._typical = math.nan
        self.tau = math.cbrt(surface.machine_epsilon)

    def first(self) -> float:
        """Step for the first attempt at a product."""
        if self._fixed is not None:
            return self._fixed
        if self._latest > 0:
            return self._bounded(self.tau * self.gradient_scale() / self._latest)
        return _COLD * self.tau * self._reach()

    def rho(self, step: float, norm: float) -> float:
        """Relative gradient change of a product of this norm at this step."""
        gradient_norm = self._surface.gradient_norm
        return step * norm / gradient_norm if gradient_norm > 0 else math.inf

    def next(self, step: float, norm: float) -> float | None:
        """Step for another attempt, or None where this product is to be taken.

        Args:
            step: The step that was tried.
            norm: Norm of the product that it gave; NaN or infinite where it overflowed.
        """
        if self._fixed is not None:
            return None
        if not math.isfinite(norm):
            return step / _LARGEST_CHANGE
        self._latest = norm
        if math.isnan(self._typical):
            self._typical = norm
        scale = self.gradient_scale()
        ratio = step * norm / (scale * self.tau) if scale > 0 else 1.0
        if _LEAST <= ratio <= _MOST:
            return None
        change = min(max(1 / ratio, 1 / _LARGEST_CHANGE), _LARGEST_CHANGE) if ratio else 64.0
        changed = self._bounded(step * change)
        return None if changed == step else changed

    def gradient_scale(self) -> float:
        """The |g| of the rule, which does not vanish at a stationary point.

        Where the gradient does, rounding of the parameters is what is left of the noise: it
        moves the gradient by eps_m |theta| times the typical |Hv|, the one of the first,
        random direction. The factor keeps this out of the way wherever |g| is not small.
        """
        floor = _STATIONARY * self._surface.parameter_norm * self._typical
        return max(self._surface.gradient_norm, 0.0 if math.isnan(floor) else floor)

    def _reach(self) -> float:
        return self._surface.parameter_norm or 1.0

    def _bounded(self, step: float) -> float:
        """No further than the parameters are long, no nearer than they can resolve."""
        least = torch.finfo(self._surface.space.dtype).eps * self._reach()
        return min(max(step, least), self._reach())
