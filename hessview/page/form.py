"""The form by which a dashboard's reader asks for a spectral density."""

from typing import Any

from hessview.commands import Density

OPERATORS = {
    "hessian": "Hessian, central differences",
    "hessian_one_reduction": "Hessian, one reduction",
    "hessian_fourth_order": "Hessian, fourth order",
    "hessian_forward": "Hessian, forward differences",
    "gauss_newton": "Gauss-Newton",
    "fisher": "Empirical Fisher",
    "exact": "Hessian, exact (small models)",
}
"""Operators that the form offers, and how it calls them; `operators.OPERATORS` has them all, and
loads torch."""


def form() -> dict[str, Any]:
    """What the form offers.

    Returns:
        steps, probes, epsilon and operator as they are unless changed; and operators, pairs of a
        name and its wording. What the reader makes of it is judged by the command.
    """
    return {
        "steps": Density.steps,
        "probes": Density.probes,
        "epsilon": Density.epsilon,
        "operator": Density.operator,
        "operators": [list(pair) for pair in OPERATORS.items()],
    }
