"""The loss of an objective over the ranks' shards, with its gradient."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from hessview.errors import ObjectiveError
from hessview.job import sharding
from hessview.job.objective import Objective
from hessview.spectral.vectors import Space


class ShardedLoss:
    """The mean loss over all ranks' batches; implements `operators.base.LossSurface`.

    Args:
        objective: What is differentiated.
        reduce: Sums numbers over all ranks, shape (number,) to (number,).

    Raises:
        ObjectiveError: No parameter to differentiate, or one that is neither sharded nor
            replicated over the job's ranks.
    """

    def __init__(self, objective: Objective, reduce: Callable[[Tensor], Tensor]) -> None:
        self.objective = objective
        self._module = objective.module
        self._parameters = list(sharding.trainable(self._module).values())
        if not self._parameters:
            raise ObjectiveError(
                "no parameter has requires_grad; turn it on for those to be differentiated."
            )
        dtypes = {parameter.dtype for parameter in self._parameters}
        wide = torch.float64 if torch.float64 in dtypes else torch.float32
        self.space = Space(
            sharding.pieces(self._module),
            reduce=reduce,
            dtype=wide,
            device=sharding.local(self._parameters[0]).device,
        )
        self.dtype = max(dtypes, key=lambda dtype: torch.finfo(dtype).eps)
        self.compute_dtype = sharding.compute_dtype(self._module)
        self.machine_epsilon = torch.finfo(self.compute_dtype).eps
        self._position, self._ranks = sharding.data_parallel(self._module)
        # Replicas of a data-parallel rank (tensor parallelism) see the same loss.
        world = torch.distributed.get_world_size() if torch.distributed.is_initialized() else 1
        self._copies = world // self._ranks
        self.weight = 1.0
        self.loss = math.nan
        self.gradient_norm = math.nan
        self.parameter_norm = math.nan

    def measure(self) -> None:
        """Evaluate at the present parameters: weight, loss, norms of gradient and parameters.

        Raises:
            ObjectiveError: Loss or gradient is not finite, or nothing depends on the
                parameters; on all ranks alike.
        """
        # A pass of the caller's may have left copies that are older than the shards.
        self.refresh()
        gradient = self.space.zeros()
        total, weight = self._pass(gradient, 1.0, self._ranks)
        where = self.space.zeros()
        for part, shard in zip(self.space.split(where), self.shards(), strict=True):
            part.copy_(shard)
        squares = self.space.squares(gradient, where)
        sums = self.space.reduce(torch.cat([squares.new_tensor([total, weight]), squares])).tolist()
        self.weight = sums[1]
        if not self.weight > 0:
            raise ObjectiveError(
                f"the loss terms' weights sum to {self.weight:g}; return (total, weight) with "
                "the number of terms of each batch."
            )
        self.loss = sums[0] / self.weight
        self.gradient_norm = math.sqrt(sums[2]) / self.weight if sums[2] >= 0 else math.nan
        self.parameter_norm = math.sqrt(sums[3])
        if not math.isfinite(self.loss) or not math.isfinite(self.gradient_norm):
            raise ObjectiveError(
                f"the loss is {self.loss:g} and its gradient's norm {self.gradient_norm:g} at "
                "the given parameters; both must be finite: check the weights and the data."
            )

    def shards(self) -> list[Tensor]:
        """Local parts of the parameters, in the pieces' order; views of the live storage."""
        return [sharding.local(parameter) for parameter in self._parameters]

    def refresh(self) -> None:
        """Free gathered copies, which hold the parameters as they were."""
        sharding.reshard(self._module)

    def gradient(self, out: Tensor, *, factor: float = 1.0) -> float:
        """Add the gradient at the present parameters to a vector.

        Args:
            out: Shape (local_size,), changed in place.
            factor: Factor of the gradient.

        Returns:
            This rank's share of the mean loss; shares add up to the loss over ranks.
        """
        total, _ = self._pass(out, factor, self._ranks / self.weight)
        return total / self.weight

    def value(self) -> float:
        """Mean loss over all ranks at the present parameters, without a gradient."""
        share = 0.0
        with torch.no_grad():
            for batch, counted in self._batches():
                total, _ = self._terms(batch)
                share += float(total) if counted else 0.0
        # Forward alone leaves the root gathered, as it is now.
        self.refresh()
        share /= self._copies * self.weight
        return float(self.space.reduce(torch.tensor([share], dtype=torch.float64)))

    def _pass(self, out: Tensor, factor: float, scale: float) -> tuple[float, float]:
        """Add factor * gradient of (scale / ranks * summed loss).

        Returns:
            This rank's shares of the summed loss and of the summed weight.
        """
        sums = [0.0, 0.0]
        with torch.enable_grad(), self._own_gradients():
            for batch, counted in self._batches():
                total, weight = self._terms(batch)
                # Gradients are averaged over the ranks; the scale turns that into a sum.
                torch.autograd.backward(total * (scale if counted else 0.0))
                if counted:
                    sums[0] += float(total.detach())
                    sums[1] += weight
            for part, parameter in zip(self.space.split(out), self._parameters, strict=True):
                if parameter.grad is not None:
                    part.add_(sharding.local(parameter.grad).to(part.dtype), alpha=factor)
        return sums[0] / self._copies, sums[1] / self._copies

    def _batches(self) -> Iterator[tuple[Any, bool]]:
        """This rank's batches; ranks with fewer go through one more that does not count.

        Every rank must take part in the same number of passes, or collectives would not meet.
        """
        batches = self.objective.batches
        for first in range(0, len(batches), self._ranks):
            index = first + self._position
            counted = index < len(batches)
            yield batches[index if counted else 0], counted

    def _terms(self, batch: Any) -> tuple[Tensor, float]:
        result = self.objective.loss(self._module, batch)
        total, weight = result if isinstance(result, tuple) else (result, 1.0)
        if not isinstance(total, Tensor) or total.numel() != 1:
            given = tuple(total.shape) if isinstance(total, Tensor) else type(total).__name__
            raise ObjectiveError(
                f"the loss function returned {given}; return one scalar tensor, or "
                "(summed loss, number of terms)."
            )
        if torch.is_grad_enabled() and not total.requires_grad:
            raise ObjectiveError(
                "the loss does not depend on the parameters through autograd; compute it "
                "without torch.no_grad() or .detach()."
            )
        return total, float(weight)

    @contextmanager
    def _own_gradients(self) -> Iterator[None]:
        """Lend the .grad fields out, and give them back as they were."""
        lent = [parameter.grad for parameter in self._parameters]
        for parameter in self._parameters:
            parameter.grad = None
        try:
            yield
        except BaseException:
            sharding.recover(self._module)
            raise
        finally:
            for parameter, gradient in zip(self._parameters, lent, strict=True):
                parameter.grad = gradient
