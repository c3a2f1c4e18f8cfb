"""The Hessian by central differences whose two gradients are summed over ranks at once."""

from typing import Literal

from torch import Tensor

from hessview.operators.base import LossSurface
from hessview.operators.differences import Differences, Tally, flips
from hessview.operators.displaced import Move


class OneReductionHessian(Differences):
    """Central differences with one reduce-scatter a group of parameters instead of two.

    loss / (2h) is backpropagated at theta + h v without a reduction, then -loss / (2h) at
    theta - h v with one, however many batches there are. It saves what sums over ranks cost:
    1.6-1.9 gradients of time instead of 2.0-2.1 where that is much, next to nothing where it is
    little. In between every rank holds the gradient of the whole module, so it is for models
    where that fits.

    Args:
        surface: The loss to be differentiated.
        epsilon: Step h along a unit-norm vector; "auto" chooses it for each product.

    Raises:
        InputError: The whole gradient does not fit into a rank's memory.
    """

    about = "Hessian by central differences of the gradient, one reduction for both sides"

    def __init__(self, surface: LossSurface, epsilon: float | Literal["auto"] = "auto") -> None:
        super().__init__(surface, epsilon)
        surface.require_memory(
            surface.module_size * surface.space.dtype.itemsize,
            "operator 'hessian_one_reduction' holds the whole gradient on each rank",
            'use operator="hessian", which holds shards only',
        )

    def _difference(self, move: Move, vector: Tensor, step: float, out: Tensor) -> Tally:
        surface, chosen = self._surface, list[Tensor]()

        def ahead() -> None:
            move(vector, step)

        def behind() -> None:
            chosen.extend(surface.choices())
            move(vector, -step)

        factor = 1 / (2 * step)
        loss = surface.combination(out, [(ahead, factor), (behind, -factor)])
        return Tally(loss, **flips(chosen, surface.choices()))
