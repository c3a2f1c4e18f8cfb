"""Hessian-vector products by double backward on gathered parameters: the oracle for small models.

Backpropagation through a gradient fails aloud here where torch would leave parts out, and the first
product is held against a difference of gradients, since autograd does not see through every
kernel.
"""

import math
from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from torch import Tensor

from hessview.errors import InputError, ObjectiveError
from hessview.operators.base import LossSurface, Product
from hessview.operators.finite_difference import Hessian
from hessview.record.operator_facts import OPERATORS, OperatorFacts

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
        epsilon: Not used: there is no finite-difference step.
        wide: Whether to compute in float64 whatever the parameters' type, where the gradient is
            rounding in their own; a difference of it contradicts nothing then.

    Raises:
        InputError: The module is too large.
    """

    facts: ClassVar[OperatorFacts] = OPERATORS["exact"]

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

        There is no epsilon, and no D: the error, if asked for, is what rounding does, from the
        same product in another precision.

        Raises:
            ObjectiveError: It is not finite, or the first one contradicts a difference.
        """
        product = torch.zeros_like(vector)
        if self._wide:
            wide_product = torch.zeros_like(vector, dtype=torch.float64)
            self._surface.double_backward(wide_product, vector.double())
            product.copy_(wide_product)
        else:
            self._surface.double_backward(product, vector)
        norm, cost = self._surface.space.norm(product), self.facts.cost
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
            (error, change), cost = self._rounding(vector, product, norm), cost + self.facts.cost
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
        dtype, eps = product.dtype, torch.finfo(product.dtype).eps
        if self._wide and dtype != torch.float64:
            return eps, eps * norm  # rounded once, when it was done
        wide = dtype == torch.float64
        other_product = torch.zeros_like(product, dtype=torch.float32 if wide else torch.float64)
        try:
            self._surface.double_backward(other_product, vector.to(other_product.dtype))
        except ObjectiveError:  # a module that runs in its own type only
            return _ROUNDINGS * eps, _ROUNDINGS * eps * norm
        ratio = eps / torch.finfo(torch.float32).eps if wide else 1.0
        difference = other_product.double() - product.double()
        along, square = self._surface.space.products(vector.double()[None], difference).tolist()
        missed = math.sqrt(max(square, 0.0))
        # Two products that agree by chance, as of one parameter, still have rounding errors.
        error = max(ratio * missed / norm, eps) if norm else 0.0
        return error, max(ratio * abs(along), eps * norm)


def second_derivative(
    total: Tensor, leaves: Sequence[Tensor], directions: Sequence[Tensor]
) -> list[Tensor]:
    """The Hessian of a scalar with respect to leaves, times a direction.

    Args:
        total: Scalar with a graph.
        leaves: Tensors that it depends on, without .grad, which is used and cleared.
        directions: Shaped like the leaves.

    Returns:
        The product, shaped like the leaves.

    Raises:
        ObjectiveError: Something in the graph has no second derivative.
    """
    # A function that is once_differentiable says so only where the gradient that comes in has
    # a graph of its own, and only to a pass that visits all nodes: not to autograd.grad, which
    # goes straight to the leaves and leaves the function's part of the Hessian out.
    seed = torch.ones_like(total, requires_grad=True)
    try:
        slopes = torch.autograd.grad(total, leaves, seed, create_graph=True, allow_unused=True)
        pairs = zip(slopes, directions, strict=True)
        terms = [(s * d).sum() for s, d in pairs if s is not None and s.requires_grad]
        if terms:
            torch.autograd.backward(torch.stack(terms).sum())
    except RuntimeError as error:
        first = str(error).strip().split("\n")[0]
        raise ObjectiveError(
            f"the loss cannot be differentiated twice ({first}); use kernels that can, such as "
            'attn_implementation="eager", or operator="hessian", which needs first derivatives '
            "only."
        ) from error
    products = [torch.zeros_like(x) if x.grad is None else x.grad for x in leaves]
    for leaf in leaves:
        leaf.grad = None
    return products


_SURE = 0.1
"""D above which a difference says too little to contradict anything."""
_BEYOND = 10.0
"""Times D: on networks with kinks, whose differences hold jumps that no second derivative sees,
products were off by 3 D at the most."""
_ROUNDING = 1e-3
_NEARER = 1 / 4  # of epsilon, for the second look


def contradiction(surface: LossSurface, vector: Tensor, exact: Tensor) -> tuple[str, float]:
    """Hold a product by double backward against a difference that knows its own error.

    Autograd differentiates what a backward pass recorded. Where a kernel's backward detaches, or
    leaves torch (numpy, a compiled extension), a part of the Hessian is missing without a word,
    while differences of the gradient have it.

    Args:
        surface: The loss.
        vector: Of unit norm, shape (local_size,).
        exact: Its product by double backward, shape (local_size,).

    Returns:
        What contradicts it, "" if nothing does; and what finding out cost, in gradients.
    """
    epsilon: float | Literal["auto"] = "auto"
    cost = disagreement = 0.0
    # Twice, since jumps, unlike what autograd does not see, differ at another epsilon.
    for _ in range(2):
        try:
            difference = Hessian(surface, epsilon, search=False).matvec(vector, measure_error=True)
        except ObjectiveError:  # the loss is not finite nearby
            return "", cost
        cost += difference.gradients
        missed = surface.space.norm(difference.vector.to(exact) - exact)
        size = max(difference.norm, surface.space.norm(exact))
        if (
            not difference.error < _SURE
            or missed <= max(_BEYOND * difference.error, _ROUNDING) * size
        ):
            return "", cost
        epsilon, disagreement = difference.epsilon * _NEARER, missed / size
    return (
        f"double backward differs by {disagreement:.0%} from a difference of gradients that is "
        f"right to {difference.error:.1g}: a kernel's backward hides from autograd (it detaches, "
        "or leaves torch)",
        cost,
    )
