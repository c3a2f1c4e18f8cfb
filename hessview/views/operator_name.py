"""What an operator is called where people read."""

from collections.abc import Mapping
from typing import Any

NAMES = {
    "exact": "Hessian",
    "fisher": "empirical Fisher",
    "gauss_newton": "Gauss-Newton matrix",
    "hessian": "Hessian",
    "hessian_forward": "Hessian",
    "hessian_fourth_order": "Hessian",
    "hessian_one_reduction": "Hessian",
}
"""The matrix that each operator of hessview applies; ways to apply one matrix share its name."""


def operator_name(attrs: Mapping[Any, Any]) -> str:
    """The matrix whose spectrum a dataset holds.

    Args:
        attrs: Attrs of the dataset.

    Returns:
        Its name in words; "operator" for one of the user's own.
    """
    return NAMES.get(str(attrs.get("operator", "hessian")), "operator")
