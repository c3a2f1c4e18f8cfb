"""One rank's passes over its share of the data, in step with the other ranks."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from hessview.errors import ObjectiveError
from hessview.job import sharding
from hessview.job.lending import averaging, wide_reduction, without_gradient_hooks
from hessview.job.objective import Objective
from hessview.job.routing import Routing
from hessview.job.untrained import as_differentiated


class Passes:
    """What every loss over ranks goes through; `ShardedLoss` makes numbers of it.

    Args:
        objective: What is differentiated.

    Raises:
        ObjectiveError: No parameter to differentiate, one that is complex, or one that some
            ranks only share.
    """

    def __init__(self, objective: Objective) -> None:
        self.objective = objective
        self._module = objective.module
        sharding.settle(self._module)
        self._trainable = sharding.trainable(self._module)
        if not self._trainable:
            raise ObjectiveError(
                "no parameter has requires_grad; turn it on for those to be differentiated."
            )
        for name, parameter in self._trainable.items():
            if parameter.is_complex():
                raise ObjectiveError(
                    f"parameter {name!r} is {parameter.dtype}, and the loss is seen as a function "
                    "of real numbers; hold a real parameter, such as torch.view_as_real(weight), "
                    "and make the complex tensor of it in forward, or freeze it."
                )
        sharding.check_ranks(self._module)
        self._position, self._ranks = sharding.data_parallel(self._module)
        # Replicas of a data-parallel rank (tensor parallelism) see the same loss.
        world = torch.distributed.get_world_size() if torch.distributed.is_initialized() else 1
        self._copies = world // self._ranks
        self._routing = Routing(self._module)

    def _backward(
        self, scale: float, before_last: Callable[[], None] | None = None
    ) -> tuple[float, float]:
        """Backpropagate every batch's loss, times a scale; returns this rank's shares."""
        loss = weights = 0.0
        passes = math.ceil(len(self.objective.batches) / self._ranks)
        for number, (batch, counted) in enumerate(self._batches(), start=1):
            if before_last is not None and number == passes:
                before_last()
            self._routing.counted = counted
            total, weight = self._terms(batch)
            # Gradients are averaged over the ranks; the scale turns that into a sum.
            torch.autograd.backward(total * (scale if counted else 0.0))
            if counted:
                loss += float(total.detach())
                weights += weight
        return loss / self._copies, weights / self._copies

    def _batches(self) -> Iterator[tuple[Any, bool]]:
        """This rank's batches; ranks with fewer go through one more that does not count.

        Every rank must take part in the same number of passes, or collectives would not meet.
        """
        batches = self.objective.batches
        for first in range(0, len(batches), self._ranks):
            index = first + self._position
            counted = index < len(batches)
            # Inside of the caller's autocast, a cast copy would outlive the shards that it is of.
            torch.clear_autocast_cache()
            yield batches[index if counted else 0], counted

    def _terms(self, batch: Any) -> tuple[Tensor, float]:
        result = self.objective.loss(self._module, batch)
        pair = isinstance(result, tuple) and len(result) == 2
        total, weight = result if pair else (result, 1.0)
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
        parameters = list(self._trainable.values())
        lent = [parameter.grad for parameter in parameters]
        # Such gradients lie in the very buckets that our own backward passes write to.
        views = any(
            isinstance(child, DistributedDataParallel) and child.gradient_as_bucket_view
            for child in self._module.modules()
        )
        kept = [None if grad is None else grad.clone() for grad in lent] if views else []
        for parameter in parameters:
            parameter.grad = None
        try:
            with (
                averaging(self._module),
                wide_reduction(self._module),
                without_gradient_hooks(parameters),
                as_differentiated(self._module),
            ):
                yield
        except BaseException:
            sharding.recover(self._module)
            raise
        finally:
            for parameter, gradient in zip(parameters, lent, strict=True):
                parameter.grad = gradient
            for gradient, value in zip(lent, kept, strict=False):
                if gradient is not None and value is not None:
                    gradient.copy_(value)
