"""Whether double backward sees the same Hessian as differences of the gradient do."""

from typing import Literal

from torch import Tensor

from hessview.errors import ObjectiveError
from hessview.operators.base import LossSurface
from hessview.operators.hessian import Hessian

_SURE = 0.1
"""D above which a difference says too little to contradict anything."""
_BEYOND = 10.0
"""Times D: on networks with kinks, whose differences hold jumps that no second derivative sees,
products were off by 3 D at the most."""
_ROUNDING = 1e-3
_NEARER = 1 / 4  # of the step, for the second look


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
    # Twice, since jumps, unlike what autograd does not see, are others at another step.
    for _ in range(2):
        try:
            found = Hessian(surface, epsilon, search=False).matvec(vector, measure_error=True)
        except ObjectiveError:  # the loss is not finite nearby
            return "", cost
        cost += found.gradients
        missed = surface.space.norm(found.vector.to(exact) - exact)
        size = max(found.norm, surface.space.norm(exact))
        if not found.error < _SURE or missed <= max(_BEYOND * found.error, _ROUNDING) * size:
            return "", cost
        epsilon, disagreement = found.epsilon * _NEARER, missed / size
    return (
        f"double backward differs by {disagreement:.0%} from a difference of gradients that is "
        f"right to {found.error:.1g}: a kernel's backward hides from autograd (it detaches, or "
        "leaves torch)",
        cost,
    )
