"""Operators made of differences of a model's outputs: Gauss-Newton and empirical Fisher."""

import abc
import math
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from hessview.errors import ObjectiveError
from hessview.operators.base import LossSurface, Portion
from hessview.operators.exact import second_derivative
from hessview.operators.finite_difference import Differences, Move, Tally
from hessview.operators.step_size import StepSize
from hessview.record.operator_facts import OPERATORS

_AGREEMENT = 1e-3  # of the terms' sum with the loss; both are sums of the same numbers


class _OutputDifferences(Differences):
    """J^T M J v: outputs z at theta +- epsilon v, then one backward pass.

    Three forward passes and one backward, 1.65-2.1 gradients. The step-size rule watches the
    outputs instead of the gradient: rho = |z+ - z-| / (2 |z|).
    """

    def __init__(self, surface: LossSurface, epsilon: float | Literal["auto"] = "auto") -> None:
        super().__init__(surface, epsilon)
        self._step_size = self._outputs = _OutputStep(surface, epsilon)

    @abc.abstractmethod
    def _cotangent(
        self, portion: Portion, ahead: Tensor, behind: Tensor, epsilon: float
    ) -> Callable[[Tensor], Tensor]:
        """M J v as a function of the outputs at theta, from those at theta +- epsilon v."""

    def _difference(self, move: Move, vector: Tensor, epsilon: float, out: Tensor) -> Tally:
        moved, size = [], []

        def cotangent(portion: Portion) -> Callable[[Tensor], Tensor]:
            move(vector, epsilon)
            ahead = _wide(portion.outputs())
            move(vector, -epsilon)
            behind = _wide(portion.outputs())
            move(vector, 0.0)
            if portion.counted:
                moved.append(_square(ahead - behind) / (2 * epsilon) ** 2)
                size.append(_square(ahead))
            return self._cotangent(portion, ahead, behind, epsilon)

        loss = self._surface.pull_back(out, cotangent)
        return Tally(loss, moved=sum(moved), size=sum(size))

    def _speed(self, norm: float, tally: Tally) -> float:
        loss = self._surface.loss
        if math.isfinite(tally.loss) and abs(tally.loss - loss) > _AGREEMENT * abs(loss):
            raise ObjectiveError(
                f"the terms sum to {tally.loss:.6g} per unit of weight, but the loss is "
                f"{loss:.6g}; terms(outputs(module, batch), batch) must sum to the total that "
                "loss(module, batch) returns."
            )
        self._outputs.size = math.sqrt(tally.size)
        return math.sqrt(tally.moved) if math.isfinite(norm) else math.nan


class GaussNewton(_OutputDifferences):
    """Gv = J^T H_z J v: the curvature of the loss's terms, seen through the linearised model.

    J v is a central difference of the outputs; H_z, the Hessian of the terms' sum with respect
    to the outputs, is applied exactly.

    Reference: Schraudolph (2002); Martens (2010).
    """

    facts = OPERATORS["gauss_newton"]

    def _cotangent(
        self, portion: Portion, ahead: Tensor, behind: Tensor, epsilon: float
    ) -> Callable[[Tensor], Tensor]:
        change = (ahead - behind) / (2 * epsilon)

        def curved(outputs: Tensor) -> Tensor:
            return second_derivative(portion.terms(outputs).sum(), [outputs], [change])[0]

        return curved


class Fisher(_OutputDifferences):
    """Fv = sum_i g_i <g_i, v> / weight, g_i the gradient of a term of the loss.

    This is the empirical Fisher matrix (of the data's own labels) where the weight counts the
    terms. <g_i, v> is a central difference of the terms.

    Reference: Kunstner, Balles & Hennig (2019) on what it is and is not.
    """

    facts = OPERATORS["fisher"]

    def _cotangent(
        self, portion: Portion, ahead: Tensor, behind: Tensor, epsilon: float
    ) -> Callable[[Tensor], Tensor]:
        slopes = (portion.terms(ahead) - portion.terms(behind)) / (2 * epsilon)

        def weighted(outputs: Tensor) -> Tensor:
            (product,) = torch.autograd.grad(portion.terms(outputs), outputs, slopes)
            return product

        return weighted


class _OutputStep(StepSize):
    """The rule with the size of the outputs in place of the gradient's."""

    size = math.nan

    def gradient_scale(self) -> float:
        return self.size

    def rho(self, epsilon: float, norm: float) -> float:
        return epsilon * norm / self.size if self.size > 0 else math.inf


def _wide(outputs: Tensor) -> Tensor:
    # A copy: outputs may be a view of the parameters, which move on.
    return outputs.to(torch.promote_types(outputs.dtype, torch.float32), copy=True)


def _square(outputs: Tensor) -> float:
    return float(torch.linalg.vector_norm(outputs)) ** 2
