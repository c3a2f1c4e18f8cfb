"""What an operator is, and what it needs to know of a loss."""

import dataclasses
from typing import Protocol

from torch import Tensor

from hessview.spectral.vectors import Space


class LossSurface(Protocol):
    """A loss over parameters that many ranks hold together.

    Attributes:
        space: The space of its parameters.
        machine_epsilon: Machine epsilon of the data type in which gradients are computed.
        gradient_norm: Norm of the gradient at the undisplaced parameters.
        parameter_norm: Norm of the undisplaced parameters.
    """

    space: Space
    machine_epsilon: float
    gradient_norm: float
    parameter_norm: float

    def shards(self) -> list[Tensor]:
        """Local parts of the parameters, in the pieces' order; views of the live storage."""
        ...

    def refresh(self) -> None:
        """Drop whatever was made from the shards before they changed (gathered copies)."""
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


@dataclasses.dataclass(frozen=True, kw_only=True)
class Product:
    """An operator's product with a vector, and what made it trustworthy.

    Attributes:
        vector: The product, shape (local_size,).
        norm: Norm of the product over all ranks, for a unit-norm vector.
        epsilon: Finite-difference step along the unit-norm vector.
        rho: Relative gradient change |g+ - g-| / (2 |g|) that this step gave.
        error: Measured relative error D = |Hv(h) - Hv(2h)| / |Hv(h)|; NaN if not asked for.
        gradients: How many gradients were computed for it.
    """

    vector: Tensor
    norm: float
    epsilon: float
    rho: float
    error: float
    gradients: int


class Operator(Protocol):
    """A symmetric linear operator on the parameters' space."""

    def matvec(self, vector: Tensor, *, measure_error: bool = False) -> Product:
        """Product with a unit-norm vector.

        Args:
            vector: Shape (local_size,), of unit norm over all ranks.
            measure_error: Whether to compare with the product at twice the step.

        Returns:
            The product; its vector is the caller's to change.

        Raises:
            ObjectiveError: The loss or its gradient is not finite, on all ranks alike.
        """
        ...
