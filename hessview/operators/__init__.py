"""Curvature operators: matrix-vector products that never form the matrix."""

from collections.abc import Callable
from typing import Literal

from hessview.operators.base import LossSurface, Operator
from hessview.operators.exact import ExactHessian
from hessview.operators.finite_difference import (
    ForwardHessian,
    FourthOrderHessian,
    Hessian,
    OneReductionHessian,
)
from hessview.operators.gauss_newton import Fisher, GaussNewton

DIFFERENCES = ("hessian", "hessian_one_reduction", "hessian_fourth_order", "hessian_forward")
"""Operators whose products are the Hessian's, by differences of the gradient."""

OPERATORS: dict[str, Callable[[LossSurface, float | Literal["auto"]], Operator]] = {
    "hessian": Hessian,
    "hessian_one_reduction": OneReductionHessian,
    "hessian_fourth_order": FourthOrderHessian,
    "hessian_forward": ForwardHessian,
    "gauss_newton": GaussNewton,
    "fisher": Fisher,
    "exact": ExactHessian,
}
"""Operators by name: called with a loss surface and an epsilon."""
