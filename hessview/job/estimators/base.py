"""What every estimator needs: its operator by name, and errors that say where it failed."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from hessview.errors import HessviewError, InputError, ObjectiveError
from hessview.job.control import agree
from hessview.operators import maker_of
from hessview.operators.base import LossSurface, Operator
from hessview.operators.exact import ExactHessian
from hessview.record.operator_facts import facts_of

WHY = (
    "the gradient is rounding here, so that no difference of it is right; products are by double "
    "backward in float64 in their place"
)
STAND_IN = "gradient_is_rounded"
"""Under which a run's notes say that exact products took the place of differences."""


def products_of(
    name: str, surface: LossSurface, epsilon: float | Literal["auto"]
) -> tuple[Operator, dict[str, str]]:
    """Make an operator for its spectrum; exact products where differences are only rounding.

    Near a loss of zero in float32, whole parts of a gradient may round to a constant: softmax
    less one does for samples that are fitted to 1e-7. Differences of it miss those parts at any
    epsilon. Where the start-up check has found the gradient to be rounding, and the module is small
    enough, products by double backward stand in for differences whose epsilon was not given.

    Returns:
        The operator, and a note if it is another one than was asked for.
    """
    exact = stand_in(name, surface, epsilon) if surface.gradient_is_rounded else None
    if exact is None:
        return operator_of(name, surface, epsilon), {}
    return exact, {STAND_IN: WHY, "about_operator": exact.facts.about}


def stand_in(
    name: str, surface: LossSurface, epsilon: float | Literal["auto"]
) -> ExactHessian | None:
    """Exact products in float64 for an operator whose differences are blind.

    Args:
        name: Of the operator that was asked for.
        surface: The loss.
        epsilon: As it was asked for; products at one that was given are not replaced.

    Returns:
        The operator; None where it would be another matrix, or the module is too large.
    """
    if not facts_of(name).is_difference_of_gradients or epsilon != "auto":
        return None
    try:
        with agree(on_all=True):
            return ExactHessian(surface, wide=True)
    except HessviewError:
        return None


def operator_of(name: str, surface: LossSurface, epsilon: float | Literal["auto"]) -> Operator:
    """Make an operator; all ranks call it together, and whatever a user's does ends one run only.

    Args:
        name: Name in `operators.OPERATORS`, or "package.module:name".
        surface: The loss to be differentiated.
        epsilon: Step along a unit-norm vector, or "auto".

    Raises:
        InputError: There is no such operator, it cannot be made, or it has no matvec; on all
            ranks alike.
    """
    with agree(on_all=True):
        make = maker_of(name)
        try:
            operator = make(surface, epsilon)
        except HessviewError:
            raise
        except Exception as error:
            raise InputError(
                f"operator {name!r} cannot be made ({type(error).__name__}: {error}); it is called "
                "with the loss surface and epsilon."
            ) from error
        if not callable(getattr(operator, "matvec", None)):
            raise InputError(
                f"operator {name!r} gives a {type(operator).__name__} without matvec; see Operator "
                "in hessview/operators/base.py for what it needs."
            )
        return operator


@contextmanager
def located(**coordinates: int | str) -> Iterator[None]:
    """Put the coordinates of a reading before the text of an error.

    Args:
        **coordinates: Those of the reading that is being made, such as probe=0, step=3.

    Raises:
        ObjectiveError: One was raised inside.
    """
    try:
        yield
    except ObjectiveError as error:
        coordinates_in_words = ", ".join(f"{name} {value}" for name, value in coordinates.items())
        raise ObjectiveError(f"{coordinates_in_words}: {error}") from error
