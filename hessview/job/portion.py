"""One batch on its way through a model, seen as outputs and terms."""

import dataclasses
from typing import Any

import torch
from torch import Tensor

from hessview.errors import ObjectiveError
from hessview.job.objective import Objective


@dataclasses.dataclass(frozen=True)
class BatchPortion:
    """A batch of an objective; implements `operators.base.Portion`.

    Attributes:
        objective: What is differentiated.
        batch: One of its batches.
        counted: Whether it is this rank's own; others only keep the ranks in step.

    Raises:
        ObjectiveError: The objective does not say what outputs and terms are.
    """

    objective: Objective
    batch: Any
    counted: bool

    def __post_init__(self) -> None:
        if self.objective.outputs is None or self.objective.terms is None:
            raise ObjectiveError(
                "this operator works on a model's outputs and the loss's terms, which the "
                "objective does not give; pass Objective(..., outputs=..., terms=...) with "
                "outputs(module, batch) -> z and terms(z, batch) -> the loss of each sample."
            )

    def outputs(self) -> Tensor:
        """The model's outputs z at the present parameters; a graph only where one is made."""
        assert self.objective.outputs is not None, "checked when made"
        graph = torch.is_grad_enabled()
        with torch.enable_grad():  # outputs may be derivatives by the inputs
            outputs = self.objective.outputs(self.objective.module, self.batch)
        return outputs if graph else outputs.detach()

    def terms(self, outputs: Tensor) -> Tensor:
        """The loss of each term as a function of the outputs, shape (term,)."""
        assert self.objective.terms is not None, "checked when made"
        graph = torch.is_grad_enabled()
        with torch.enable_grad():
            terms = self.objective.terms(outputs, self.batch)
        return terms if graph else terms.detach()
