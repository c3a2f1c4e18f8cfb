"""Readings of products' accuracy over epsilon: the V, and its theory."""

import math
import time
from collections.abc import Callable, Generator, Iterator

import torch
from scipy.linalg import eigh_tridiagonal
from torch import Tensor

from hessview.errors import InputError, ObjectiveError
from hessview.job.loss import ShardedLoss
from hessview.operators import facts_of_made, maker_of
from hessview.operators.base import Operator, Product
from hessview.operators.exact import contradiction
from hessview.operators.reference import Reference, check_exact, exact, richardson
from hessview.operators.step_size import StepSize, calibrate
from hessview.record.commands import Accuracy
from hessview.record.events import Reading
from hessview.record.operator_facts import facts_of
from hessview.spectral.lanczos import lanczos

STEPS = 16
"""Lanczos steps towards the top eigenvector: near enough to share its best epsilon."""


def accuracy(
    command: Accuracy, surface: ShardedLoss, operator: Operator | None = None
) -> Generator[Reading, None, str]:
    """Hold products at many epsilons, and at the automatic one, against a reference.

    Args:
        command: Which epsilons, directions and reference.
        surface: The loss whose curvature is asked for.
        operator: The one that the command names, at its automatic epsilon; None makes it.

    Yields:
        For each direction one reading of the automatic epsilon, the reference's own error, and
        what theorem 3.1 needs to predict the error at any epsilon, which is measured by a ladder
        of products and not fitted to the errors; then a reading for each epsilon, NaN where the
        loss is not finite.

    Returns:
        Why the reference is not the exact one that could be had, "" if it is, or was not sought.

    Raises:
        InputError: An operator without an epsilon, or a reference that it cannot have.
        ObjectiveError: The exact reference was asked for, and autograd does not see all of it.
    """
    measure = _Measurements(command, surface, operator)
    for index, direction in enumerate(measure.directions()):
        started = time.perf_counter()
        product = measure.automatic.matvec(direction, measure_error=True)
        reference = measure.reference(direction, product.epsilon)
        values = measure.compare(product, reference, direction, started)
        yield Reading(
            index={"direction": index},
            values={
                **{f"auto_{name}": value for name, value in values.items()},
                **measure.theory(direction, product),
                "auto_epsilon": product.epsilon,
                "norm": reference.norm,
                "curvature": measure.inner(direction, reference.vector),
                "reference_error": reference.error,
                "exact": float(reference.exact),
            },
        )
        for epsilon_index, epsilon in enumerate(command.epsilons):
            started = time.perf_counter()
            product_at_epsilon = measure.product(direction, epsilon, measure_error=True)
            yield Reading(
                index={"direction": index, "epsilon": epsilon_index},
                values={}
                if product_at_epsilon is None
                else measure.compare(product_at_epsilon, reference, direction, started),
            )
    return measure.note


class _Measurements:
    """The operator that is measured, at any epsilon, and the reference."""

    def __init__(self, command: Accuracy, surface: ShardedLoss, operator: Operator | None) -> None:
        self._command, self._surface = command, surface
        self._make = maker_of(command.operator)
        self.automatic = self._make(surface, command.epsilon) if operator is None else operator
        self._order = facts_of_made(command.operator, self.automatic).order
        if not self._order:
            raise InputError(
                f"operator {command.operator!r} has no epsilon, so there is no error over it; "
                'use operator="hessian".'
            )
        self._least, self._most = StepSize(surface).bounds()
        self._exact = self._can_be_exact()
        self._checked = False
        self.note = ""

    def directions(self) -> Iterator[Tensor]:
        """Random probes, then the top eigenvector's direction; of unit norm."""
        for probe in range(self._command.probes):
            yield self._surface.space.probe(self._command.seed, probe)
        if self._command.top:
            yield self._top_direction()

    def product(
        self, direction: Tensor, epsilon: float, *, measure_error: bool = False
    ) -> Product | None:
        """The product at an epsilon, None where the loss or its gradient is not finite there."""
        operator: Operator = self._make(self._surface, epsilon)
        try:
            return operator.matvec(direction, measure_error=measure_error)
        except ObjectiveError:
            return None

    def reference(self, direction: Tensor, start: float) -> Reference:
        """The reference product."""
        if self._exact:
            try:
                return self._exact_reference(direction)
            except ObjectiveError as error:
                if self._command.reference == "exact":
                    raise
                self._exact = False
                self.note = f"the reference is extrapolated: {error}"
        return richardson(
            self._surface,
            self._vector_at(direction),
            start,
            order=self._order,
            least=self._least,
            most=self._most,
        )

    def _exact_reference(self, direction: Tensor) -> Reference:
        """The product by double backward, unless a difference contradicts it."""
        reference = exact(self._surface, direction)
        if not self._checked:
            text, _ = contradiction(self._surface, direction, reference.vector)
            if text:
                raise ObjectiveError(f"{text}; use reference='richardson'.")
            self._checked = True
        return reference

    def theory(self, direction: Tensor, product: Product) -> dict[str, float]:
        """Noise and bend along a direction, from which the error at any epsilon follows."""
        errors = calibrate(
            self._vector_at(direction),
            lambda vector: math.sqrt(self.inner(vector, vector)),
            product.epsilon,
            least=self._least,
            most=self._most,
            order=self._order,
        )
        return {"noise": errors.noise, "bend": errors.bend, "order": float(errors.order)}

    def compare(
        self, product: Product, reference: Reference, direction: Tensor, started: float
    ) -> dict[str, float | list[float]]:
        """Error and cosine of a product, beside its own error estimates."""
        computed, expected = product.vector.double(), reference.vector
        inner, square = self.inner(computed, expected), self.inner(computed, computed)
        miss = math.sqrt(self.inner(computed - expected, computed - expected))
        size = math.sqrt(square) * reference.norm
        return {
            "relative_error": miss / reference.norm if reference.norm else math.nan,
            "cosine": inner / size if size else math.nan,
            "rho": product.rho,
            "error": product.error,
            "perturbation_error": product.perturbation_error,
            "perturbation_effect": product.perturbation_effect,
            "gradients": float(product.gradients),
            "seconds": time.perf_counter() - started,
        }

    def inner(self, a: Tensor, b: Tensor) -> float:
        """Inner product over all ranks, in float64."""
        return self._surface.space.dot(a.double(), b.double())

    def _vector_at(self, direction: Tensor) -> Callable[[float], Tensor | None]:
        def at(epsilon: float) -> Tensor | None:
            product = self.product(direction, epsilon)
            return None if product is None else product.vector

        return at

    def _can_be_exact(self) -> bool:
        reference = self._command.reference
        if reference == "richardson":
            return False
        if not facts_of(self._command.operator).is_difference_of_gradients:
            if reference == "exact":
                raise InputError(
                    f"reference='exact' is the Hessian's, not that of {self._command.operator!r}; "
                    "use reference='richardson'."
                )
            return False
        try:
            check_exact(self._surface)
        except InputError:
            if reference == "exact":
                raise
            return False
        return True

    def _top_direction(self) -> Tensor:
        """The largest Ritz vector of a short Lanczos process."""
        space, basis = self._surface.space, list[Tensor]()

        def matvec(vector: Tensor) -> Tensor:
            basis.append(vector)  # a view of the process's own basis, which it keeps in full
            return self.automatic.matvec(vector).vector

        start = space.probe(self._command.seed, self._command.probes)
        steps = list(lanczos(matvec, start, min(STEPS, space.size), space=space))
        alpha, beta = [step.alpha for step in steps], [step.beta for step in steps]
        _, vectors = eigh_tridiagonal(alpha, beta[:-1])
        top = torch.zeros_like(start)
        for weight, vector in zip(vectors[:, -1].tolist(), basis, strict=True):
            top.add_(vector, alpha=weight)
        return top.div_(math.sqrt(self.inner(top, top)))
