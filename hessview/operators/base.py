"""What an operator is, and what it needs to know of a loss."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor

from hessview.spectral.vectors import Space


class Portion(Protocol):
    """A part of the data that goes through the model at once (a micro-batch)."""

    @property
    def counted(self) -> bool:
        """Whether it is this rank's own; others only keep the ranks' collectives together."""
        ...

    def outputs(self) -> Tensor:
        """The model's outputs z at the present parameters, without a graph."""
        ...

    def terms(self, outputs: Tensor) -> Tensor:
        """The loss of each term (sample, token) as a function of the outputs, shape (term,)."""
        ...


class LossSurface(Protocol):
    """A loss over parameters that many ranks hold together.

    Attributes:
        space: The space of its parameters.
        machine_epsilon: Machine epsilon of the data type in which gradients are computed.
        loss: Mean loss at the undisplaced parameters.
        gradient_norm: Norm of the gradient at the undisplaced parameters.
        parameter_norm: Norm of the undisplaced parameters.
        least_norm: The norm that they would have if all elements were as small (in the root mean
            square) as those of the parameters of smallest elements are, zeros aside; not above
            parameter_norm, and far below it where one layer outweighs the others.
        module_size: Number of parameters of the whole module, differentiated or not.
        gradient_is_rounded: Whether the gradient was found to be the loss's at parameters nearby,
            but rounding at the present ones.
    """

    space: Space
    machine_epsilon: float
    loss: float
    gradient_norm: float
    parameter_norm: float
    least_norm: float
    module_size: int
    gradient_is_rounded: bool

    def shards(self) -> list[Tensor]:
        """Local parts of the parameters, in the pieces' order; views of the live storage."""
        ...

    def computed_in(self) -> list[torch.dtype]:
        """Data type whose numbers each shard is rounded to before the model computes with it."""
        ...

    def refresh(self) -> None:
        """Drop copies that were gathered from the shards before they changed."""
        ...

    def gradient(self, out: Tensor, *, factor: float = 1.0) -> float:
        """Add the gradient at the present parameters to a vector.

        Args:
            out: Shape (local_size,), changed in place.
            factor: Factor of the gradient.

        Returns:
            This rank's share of the mean loss; shares add up to the loss over ranks.
        """
        ...

    def combination(self, out: Tensor, points: Sequence[tuple[Callable[[], None], float]]) -> float:
        """Add a combination of gradients at several points, summed over ranks only once.

        Args:
            out: Shape (local_size,), changed in place.
            points: For each point, what moves the parameters there, and the gradient's factor.

        Returns:
            This rank's share of the sum of the mean losses at all points.
        """
        ...

    def pull_back(
        self, out: Tensor, cotangent: Callable[[Portion], Callable[[Tensor], Tensor]]
    ) -> float:
        """Add J^T u / weight to a vector, J the Jacobian of the outputs at the present point.

        Args:
            out: Shape (local_size,), changed in place.
            cotangent: Called with each portion before its outputs z are computed; it may
                displace the parameters and must bring them back. Gives u as a function of z.

        Returns:
            This rank's share of the mean loss, computed from the terms.

        Raises:
            ObjectiveError: The objective does not say what outputs and terms are.
        """
        ...

    def double_backward(self, out: Tensor, vector: Tensor) -> None:
        """Add the exact Hessian product, on gathered parameters, to a vector.

        Args:
            out: Shape (local_size,), changed in place.
            vector: Shape (local_size,).

        Raises:
            ObjectiveError: The module cannot be differentiated twice.
        """
        ...

    def choices(self) -> list[Tensor]:
        """Which experts the routers of a mixture chose in the latest pass; [] without routers."""
        ...

    def what_is_not_finite(self, share: float) -> str:
        """Say whose loss is not finite; all ranks call it together.

        Args:
            share: This rank's share of the loss.

        Returns:
            Which ranks' loss is not, or, where all are finite, that the gradient is not.
        """
        ...

    def require_memory(self, need: int, purpose: str, cure: str) -> None:
        """Refuse what does not fit; all ranks call it together.

        Args:
            need: Bytes on this rank.
            purpose: What they are for.
            cure: What else can be done.

        Raises:
            InputError: A rank has less; on all ranks alike.
        """
        ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class Product:
    """An operator's product with a vector, and what made it trustworthy.

    Attributes:
        vector: The product, shape (local_size,).
        norm: Norm of the product over all ranks, for a unit-norm vector.
        epsilon: Finite-difference step h along the unit-norm vector that the product was taken
            at; NaN where there is none.
        rho: Relative change that epsilon gave, of the gradient: |g+ - g-| / (2 |g|), or of the
            outputs, for operators that are made of them.
        error: Estimate of the product's own relative error, NaN if it was not asked for. By
            differences: D = |Hv(h) - Hv(2h)| / |Hv(h)|, and, where a third epsilon shows a jump of
            the gradient, |Hv(h/2) - Hv(h)| / |Hv(h)| if that is larger; infinite where the loss
            is not finite at twice epsilon. It sees truncation, rounding and the noise of the
            displacement, not what is the same at every epsilon. Of exact products: their rounding.
        gradients: What it cost, in gradients; a forward pass alone counts as a third of one.
        flips: Share of the routers' choices that differ between theta + h v and theta - h v; NaN
            where there are no routers.
        perturbation_error: Relative error |w - v| of the displacement w that was made for v, by
            the rounding of the parameters; NaN where the error was not asked for. Not an error of
            the product: see perturbation_effect.
        perturbation_effect: What that does to the product, relative to it. By estimate it is
            |w - v| times the norm of the first product, which stands for that along an ordinary
            direction, over this one's; where that is more than a few percent, it is measured, by
            a product along w - v. It is a part of `error`, not beside it.
        change: What `error` is of along the vector v itself, where errors of all other directions
            do not count: v'(Hv(2h) - Hv(h)), signed, in units of the product; for exact products
            v' times the difference that rounding makes. NaN if it was not asked for, or if the
            product at twice epsilon is not finite.
    """

    vector: Tensor
    norm: float
    epsilon: float
    rho: float
    error: float
    gradients: float
    flips: float = float("nan")
    perturbation_error: float = float("nan")
    perturbation_effect: float = float("nan")
    change: float = float("nan")


class Operator(Protocol):
    """A symmetric linear operator on the parameters' space.

    One of the user's own may have a class attribute facts (`record.operator_facts`), by which
    plans and runs know its order and cost; or about alone, what it is and how accurate, in a few
    words for the record.
    """

    def matvec(self, vector: Tensor, *, measure_error: bool = False) -> Product:
        """Product with a unit-norm vector.

        Args:
            vector: Shape (local_size,), of unit norm over all ranks.
            measure_error: Whether to compare with the product at twice epsilon.

        Returns:
            The product; its vector is the caller's to change.

        Raises:
            ObjectiveError: The loss or its gradient is not finite, on all ranks alike.
        """
        ...
