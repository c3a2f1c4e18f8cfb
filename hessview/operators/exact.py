"""The Hessian by double backward on gathered parameters: the oracle for small models."""

import math
from typing import ClassVar, Literal

import torch
from torch import Tensor

from hessview.errors import InputError, ObjectiveError
from hessview.operators.base import LossSurface, Product

LARGEST = 20_000_000
"""Most parameters that are gathered: above, the graph of a double backward is the rank's end."""

_COPIES = 6  # parameters, direction, gradient, its graph, product, and the sum over ranks


class ExactHessian:
    """Hv = grad <grad L, v>, exact up to rounding, in float32 or wider whatever the compute dtype.

    Every rank holds all parameters of the module, and the graph of a gradient; attention runs
    in its mathematical form, as fused kernels have no second derivative.

    Args:
        surface: The loss to be differentiated.
        epsilon: Not used: there is no step.

    Raises:
        InputError: The module is too large.
    """

    about: ClassVar[str] = "Hessian by double backward on gathered parameters, exact up to rounding"
    gradients: ClassVar[float] = 3.0
    """What one product costs: two of them for backpropagation through a gradient."""

    def __init__(self, surface: LossSurface, epsilon: float | Literal["auto"] = "auto") -> None:
        self._surface = surface
        if surface.module_size > LARGEST:
            raise InputError(
                f"operator 'exact' gathers all {surface.module_size:,} parameters on each rank; "
                f'it allows up to {LARGEST:,}: use operator="hessian", and measure its error.'
            )
        surface.require_memory(
            _COPIES * surface.module_size * surface.space.dtype.itemsize,
            "operator 'exact' gathers all parameters on each rank",
            'use operator="hessian", and measure its error',
        )

    def matvec(self, vector: Tensor, *, measure_error: bool = False) -> Product:
        """Product with a vector; there is no step, hence no D to measure."""
        product = torch.zeros_like(vector)
        self._surface.double_backward(product, vector)
        square = float(self._surface.space.reduce(self._surface.space.squares(product)))
        if not math.isfinite(square):
            raise ObjectiveError(
                "the second derivative of the loss is not finite at the given parameters; check "
                "the weights and the data."
            )
        return Product(
            vector=product,
            norm=math.sqrt(square),
            epsilon=math.nan,
            rho=math.nan,
            error=math.nan,
            gradients=self.gradients,
        )
