"""Curvature operators: matrix-vector products that never form the matrix."""

from collections.abc import Callable
from typing import Literal

from hessview.operators.base import LossSurface, Operator
from hessview.operators.hessian import Hessian

OPERATORS: dict[str, Callable[[LossSurface, float | Literal["auto"]], Operator]] = {
    "hessian": Hessian,
}
"""Operators by name: called with a loss surface and an epsilon."""
