"""An operator by name, of hessview or of the user."""

from typing import Literal

from hessview.errors import HessviewError, InputError
from hessview.job.agree import agree
from hessview.named import named
from hessview.operators import OPERATORS
from hessview.operators.base import LossSurface, Operator


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
        make = named("operator", name, OPERATORS)
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
