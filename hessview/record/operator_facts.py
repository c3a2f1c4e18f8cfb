"""What is known of each operator without torch: one entry an operator, which all others read.

The registry makes operators by it, the page's form and figures name them by it, plans count by
it, and analysis learns from it whether products have a finite-difference step. An operator of
another package is one such entry more: an entry point of group "hessview.operators", or
`OPERATORS.register`.
"""

import dataclasses
import html
from collections.abc import Iterator, Mapping
from typing import Any

from hessview.extensions import Registry
from hessview.record.validation import one_line
from hessview.wording import aligned

HESSIAN = "Hessian"


@dataclasses.dataclass(frozen=True, kw_only=True)
class OperatorFacts:
    """An operator in words and numbers.

    Attributes:
        name: By which commands ask for it.
        implementation: Its class, as "package.module:Class"; called with a loss surface and an
            epsilon.
        matrix: The matrix that it applies, in words; ways to apply one matrix share it.
        wording: How a form calls it, told apart from other ways to apply the matrix.
        about: What it is and how accurate, for the record.
        order: Order of the truncation error in epsilon; 0 where products have no epsilon.
        forwards: Forward passes alone that a product goes through.
        gradients: Whole gradients, forward and backward, that it goes through besides.
        one_reduction: Whether all its gradients are summed over ranks at once.
        gathered: Whether it works on gathered parameters, so that its collectives are not those
            of ordinary passes.
        exact: Whether its products err by rounding alone.
        needs_outputs: Whether the objective must say what outputs and terms are.
        kept: Vectors that it keeps from one product to the next, or within one, beyond the usual.
        holds: What else it holds that a plan does not count, in words; "" for nothing.
    """

    name: str
    implementation: str = ""
    matrix: str = "operator"
    wording: str = ""
    about: str = ""
    order: int = 0
    forwards: int = 0
    gradients: int = 0
    one_reduction: bool = False
    gathered: bool = False
    exact: bool = False
    needs_outputs: bool = False
    kept: int = 0
    holds: str = ""

    @property
    def has_epsilon(self) -> bool:
        """Whether products are finite differences, at an epsilon."""
        return self.order > 0

    @property
    def is_difference_of_gradients(self) -> bool:
        """Whether products are the Hessian's, by differences of the gradient."""
        return self.has_epsilon and self.matrix == HESSIAN

    @property
    def cost(self) -> float:
        """What a product costs, in gradients; a forward pass alone counts as a third of one."""
        return (3 * self.gradients + self.forwards) / 3

    @property
    def least_cost(self) -> float:
        """Gradients that a product takes at the very least; NaN where nothing is known.

        Gradients that are reduced at once may cost little more than one, as the network has it,
        and what works on gathered parameters needs none of a gradient's collectives.
        """
        if not self.gradients:
            return float("nan")
        return 1.0 if self.one_reduction or self.gathered else float(self.gradients)

    @property
    def passes_are_known(self) -> bool:
        """Whether its collectives are those of so many ordinary passes."""
        return bool(self.gradients) and not self.gathered


_OWN = (
    OperatorFacts(
        name="hessian",
        implementation="hessview.operators.finite_difference:Hessian",
        matrix=HESSIAN,
        wording="Hessian, central differences",
        about="Hessian by central differences of the gradient, second order in the step",
        order=2,
        gradients=2,
    ),
    OperatorFacts(
        name="hessian_one_reduction",
        implementation="hessview.operators.finite_difference:OneReductionHessian",
        matrix=HESSIAN,
        wording="Hessian, one reduction",
        about="Hessian by central differences of the gradient, one reduction for both sides",
        order=2,
        gradients=2,
        one_reduction=True,
    ),
    OperatorFacts(
        name="hessian_fourth_order",
        implementation="hessview.operators.finite_difference:FourthOrderHessian",
        matrix=HESSIAN,
        wording="Hessian, fourth order",
        about="Hessian by differences of the gradient, fourth order in the step",
        order=4,
        gradients=4,
        kept=1,  # the product at half the step
    ),
    OperatorFacts(
        name="hessian_forward",
        implementation="hessview.operators.finite_difference:ForwardHessian",
        matrix=HESSIAN,
        wording="Hessian, forward differences",
        about="Hessian by forward differences of the gradient, first order in the step: 17-44 "
        "times less accurate than central ones in float32",
        order=1,
        gradients=1,
        kept=1,  # the gradient at the undisplaced parameters
    ),
    OperatorFacts(
        name="gauss_newton",
        implementation="hessview.operators.gauss_newton:GaussNewton",
        matrix="Gauss-Newton matrix",
        wording="Gauss-Newton",
        about="generalised Gauss-Newton matrix by central differences of the outputs",
        order=2,
        forwards=2,
        gradients=1,
        needs_outputs=True,
        holds="outputs on both sides of the step",
    ),
    OperatorFacts(
        name="fisher",
        implementation="hessview.operators.gauss_newton:Fisher",
        matrix="empirical Fisher",
        wording="Empirical Fisher",
        about="empirical Fisher matrix by central differences of the loss's terms",
        order=2,
        forwards=2,
        gradients=1,
        needs_outputs=True,
        holds="outputs on both sides of the step",
    ),
    OperatorFacts(
        name="exact",
        implementation="hessview.operators.exact:ExactHessian",
        matrix=HESSIAN,
        wording="Hessian, exact (small models)",
        about="Hessian by double backward on gathered parameters, exact up to rounding",
        gradients=3,  # two of them for backpropagation through a gradient
        gathered=True,
        exact=True,
        holds="the graph of a gradient, several times the activations",
    ),
)

OPERATORS: Registry[OperatorFacts] = Registry(
    "operator",
    "hessview.operators",
    {facts.name: facts for facts in _OWN},
    lambda entry: isinstance(entry, OperatorFacts) and bool(entry.implementation),
)
"""Facts of each operator by its name."""


def facts_of(name: str) -> OperatorFacts:
    """Facts of an operator; of one that the table does not hold, its name alone.

    Args:
        name: Key of `OPERATORS`, or "package.module:name".
    """
    registered = OPERATORS.get(name)
    return OperatorFacts(name=name, wording=name) if registered is None else registered


def facts_in(attrs: Mapping[Any, Any]) -> OperatorFacts:
    """Facts of the operator whose spectrum or products a dataset holds.

    Args:
        attrs: Attrs of the dataset; without word of an operator it is "hessian".
    """
    return facts_of(str(attrs.get("operator", "hessian")))


class OperatorTable(Mapping[str, OperatorFacts]):
    """Facts of some operators by name: a mapping that prints itself as a table.

    Args:
        facts: Those that are in it, by name.
    """

    _HEAD = ("operator", "matrix", "gradients a product", "epsilon", "what it is")

    def __init__(self, facts: Mapping[str, OperatorFacts]) -> None:
        self._facts = facts

    def __getitem__(self, name: str) -> OperatorFacts:
        return self._facts[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._facts)

    def __len__(self) -> int:
        return len(self._facts)

    def __repr__(self) -> str:
        return aligned([self._HEAD, *self._rows()])

    def _repr_html_(self) -> str:
        style = 'style="text-align:left;padding-right:1em"'
        head = "".join(f'<th scope="col" {style}>{name}</th>' for name in self._HEAD)
        rows = "".join(
            "<tr>" + "".join(f"<td {style}>{html.escape(cell)}</td>" for cell in row) + "</tr>"
            for row in self._rows()
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"

    def _rows(self) -> list[tuple[str, ...]]:
        return [
            (
                one_line(name),
                one_line(facts.matrix),
                f"{facts.cost:.3g}" if facts.gradients or facts.forwards else "not known",
                f"order {facts.order}" if facts.has_epsilon else "none" if facts.about else "",
                one_line(facts.about),
            )
            for name, facts in self.items()
        ]
