"""Backpropagation through a gradient, which fails aloud where torch would leave parts out."""

from collections.abc import Sequence

import torch
from torch import Tensor

from hessview.errors import ObjectiveError


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
