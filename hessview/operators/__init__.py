"""Curvature operators: matrix-vector products that never form the matrix."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Literal

from hessview.extensions import named
from hessview.operators.base import LossSurface, Operator
from hessview.operators.exact import ExactHessian as ExactHessian
from hessview.operators.finite_difference import ForwardHessian as ForwardHessian
from hessview.operators.finite_difference import FourthOrderHessian as FourthOrderHessian
from hessview.operators.finite_difference import Hessian as Hessian
from hessview.operators.finite_difference import OneReductionHessian as OneReductionHessian
from hessview.operators.gauss_newton import Fisher as Fisher
from hessview.operators.gauss_newton import GaussNewton as GaussNewton
from hessview.record.operator_facts import OPERATORS as FACTS
from hessview.record.operator_facts import OperatorFacts, facts_of

Make = Callable[[LossSurface, float | Literal["auto"]], Operator]


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
    own = getattr(operator, "facts", None)
    if name not in FACTS and isinstance(own, OperatorFacts):
        return dataclasses.replace(own, name=name)
    return facts_of(name)
