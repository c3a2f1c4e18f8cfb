"""The Hessian by double backward on gathered parameters: the oracle for small models."""

import math
from typing import ClassVar, Literal

import torch
from torch import Tensor

from hessview.errors import InputError, ObjectiveError
from hessview.operators.base import LossSurface, Product
from hessview.operators.contradiction import contradiction

LARGEST = 20_000_000
"""Most parameters that are gathered: above, the graph of a double backward is the rank's end."""

_ROUNDINGS = 100.0  # machine epsilons, where they cannot be measured: 10 times what is usual
_COPIES = 6  # parameters, direction, gradient, its graph, product, and the sum over ranks


class ExactHessian:
    """Hv = grad <grad L, v>, exact up to rounding, in float32 or wider whatever the compute dtype.

    Every rank holds all parameters of the module, and the graph of a gradient; attention runs
    in its mathematical form, as fused kernels have no second derivative. The first product is
    held against a difference of gradients, since autograd does not see through every kernel.

    Args:
        surface: The loss to be differentiated.
        epsilon: Not used: there is no step.
        wide: Whether to compute in float64 whatever the parameters' type, where the gradient is
            rounding in their own; a difference of it contradicts nothing then.

    Raises:
        InputError: The module is too large.
    """

    about: ClassVar[str] = "Hessian by double backward on gathered parameters, exact up to rounding"
    gradients: ClassVar[float] = 3.0
    """What one product costs: two of them for backpropagation through a gradient."""

    def __init__(
        self,
        surface: LossSurface,
        epsilon: float | Literal["auto"] = "auto",
        *,
        wide: bool = False,
    ) -> None:
        self._surface = surface
        self._wide = wide
        self._checked = wide or surface.gradient_is_rounded
        if surface.module_size > LARGEST:
            raise InputError(
                f"operator 'exact' gathers all {surface.module_size:,} parameters on each rank; "
                f'it allows up to {LARGEST:,}: use operator="hessian", and measure its error.'
            )
        surface.require_memory(
            _COPIES * surface.module_size * torch.float64.itemsize,  # in which its error is told
            "operator 'exact' gathers all parameters on each rank",
            'use operator="hessian", and measure its error',
        )

    def matvec(self, vector: Tensor, *, measure_error: bool = False) -> Product:
        """Product with a unit-norm vector; see `Operator.matvec`.

        There is no step, and no D: the error, if asked for, is what rounding does, from the
        same product in another precision.

        Raises:
            ObjectiveError: It is not finite, or the first one contradicts a difference.
        """
        product = torch.zeros_like(vector)
        if self._wide:
            whole = torch.zeros_like(vector, dtype=torch.float64)
            self._surface.double_backward(whole, vector.double())
            product.copy_(whole)
        else:
            self._surface.double_backward(product, vector)
        norm, cost = self._surface.space.norm(product), self.gradients
        if not math.isfinite(norm):
            raise ObjectiveError(
                "the second derivative of the loss is not finite at the given parameters; check "
                "the weights and the data."
            )
        if not self._checked:
            text, extra = contradiction(self._surface, vector, product)
            if text:
                raise ObjectiveError(f'{text}; use operator="hessian".')
            self._checked, cost = True, cost + extra
        error = change = math.nan
        if measure_error:
            (error, change), cost = self._rounding(vector, product, norm), cost + self.gradients
        return Product(
            vector=product,
            norm=norm,
            epsilon=math.nan,
            rho=math.nan,
            error=error,
            gradients=cost,
            change=change,
        )

    def _rounding(self, vector: Tensor, product: Tensor, norm: float) -> tuple[float, float]:
        """The product's relative error, from its distance to that of another precision.

        Its part along the vector comes second, in units of the product.

        A product in float32 is held against one in float64. For one in float64 it is the other
        way round, and the error that of float32 times the ratio of both machine epsilons.
        """
        own, eps = product.dtype, torch.finfo(product.dtype).eps
        if self._wide and own != torch.float64:
            return eps, eps * norm  # rounded once, when it was done
        wide = own == torch.float64
        other = torch.zeros_like(product, dtype=torch.float32 if wide else torch.float64)
        try:
            self._surface.double_backward(other, vector.to(other.dtype))
        except ObjectiveError:  # a module that runs in its own type only
            return _ROUNDINGS * eps, _ROUNDINGS * eps * norm
        ratio = eps / torch.finfo(torch.float32).eps if wide else 1.0
        difference = other.double() - product.double()
        along, square = self._surface.space.products(vector.double()[None], difference).tolist()
        missed = math.sqrt(max(square, 0.0))
        # Two that agree by chance, as in one parameter, are rounded nevertheless.
        error = max(ratio * missed / norm, eps) if norm else 0.0
        return error, max(ratio * abs(along), eps * norm)
