"""Curvature operators: matrix-vector products that never form the matrix.

`hessview.operators` itself reads as a table: `list(hessview.operators)` are the names, and
`hessview.operators["exact"]` what is known of one, without torch (`record.operator_facts`). The
rooms hold the operators: `base` says what one is, and what it needs to know of a loss. They know
torch and `spectral`, and nothing of datasets or drawing.
"""

import dataclasses
import importlib
import sys
import types
from collections.abc import Callable, ItemsView, Iterator, KeysView, Mapping, ValuesView
from typing import TYPE_CHECKING, Any, Literal

from hessview.extensions import named
from hessview.record.operator_facts import OPERATORS as FACTS
from hessview.record.operator_facts import OperatorFacts, OperatorTable, facts_of

if TYPE_CHECKING:  # loaded on first use, with torch
    from hessview.operators.base import LossSurface as LossSurface
    from hessview.operators.base import Operator as Operator
    from hessview.operators.base import Product as Product
    from hessview.operators.exact import ExactHessian as ExactHessian
    from hessview.operators.finite_difference import ForwardHessian as ForwardHessian
    from hessview.operators.finite_difference import FourthOrderHessian as FourthOrderHessian
    from hessview.operators.finite_difference import Hessian as Hessian
    from hessview.operators.finite_difference import OneReductionHessian as OneReductionHessian
    from hessview.operators.gauss_newton import Fisher as Fisher
    from hessview.operators.gauss_newton import GaussNewton as GaussNewton

_HOMES = {
    "LossSurface": "base",
    "Operator": "base",
    "Product": "base",
    "ExactHessian": "exact",
    "ForwardHessian": "finite_difference",
    "FourthOrderHessian": "finite_difference",
    "Hessian": "finite_difference",
    "OneReductionHessian": "finite_difference",
    "Fisher": "gauss_newton",
    "GaussNewton": "gauss_newton",
}

Make = Callable[["LossSurface", float | Literal["auto"]], "Operator"]


class _Makers(Mapping[str, Make]):
    """What makes each operator of `record.operator_facts`, imported when it is asked for."""

    def __getitem__(self, name: str) -> Make:
        return named("operator", FACTS[name].implementation, {})

    def __iter__(self) -> Iterator[str]:
        return iter(FACTS)

    def __len__(self) -> int:
        return len(FACTS)


OPERATORS: Mapping[str, Make] = _Makers()
"""Operators by name: called with a loss surface and an epsilon."""


def maker_of(name: str) -> Make:
    """What makes an operator.

    Args:
        name: Key of `OPERATORS`, or "package.module:name".

    Raises:
        InputError: There is no such operator.
    """
    return named("operator", name, OPERATORS)


def facts_of_made(name: str, operator: object) -> OperatorFacts:
    """Facts of an operator that was made: of the table, or as the operator itself has them.

    Args:
        name: By which it was asked for.
        operator: The operator, or its class.
    """
    facts = getattr(operator, "facts", None)
    if name not in FACTS and isinstance(facts, OperatorFacts):
        return dataclasses.replace(facts, name=name)
    return facts_of(name)


class _Operators(types.ModuleType):
    """This package, which reads as the table of what is known of each operator."""

    def __getattr__(self, name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)

    def __getitem__(self, name: str) -> OperatorFacts:
        return FACTS[name]

    def __contains__(self, name: object) -> bool:
        return name in FACTS

    def __iter__(self) -> Iterator[str]:
        return iter(FACTS)

    def __len__(self) -> int:
        return len(FACTS)

    def keys(self) -> KeysView[str]:
        """Names of the operators."""
        return FACTS.keys()

    def values(self) -> ValuesView[OperatorFacts]:
        """What is known of each."""
        return FACTS.values()

    def items(self) -> ItemsView[str, OperatorFacts]:
        """Names, and what is known of each."""
        return FACTS.items()

    def __repr__(self) -> str:
        return repr(OperatorTable(FACTS))

    def _repr_html_(self) -> str:
        return OperatorTable(FACTS)._repr_html_()


sys.modules[__name__].__class__ = _Operators
