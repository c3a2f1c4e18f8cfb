"""One rank's forward and backward passes over its share of the data, together with the others.

What the routers of a mixture of experts choose in them is noted: where that changes, nothing has a
derivative.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from torch.nn.parallel import DistributedDataParallel
from torch.utils.hooks import RemovableHandle

from hessview import interrupts
from hessview.errors import ObjectiveError
from hessview.interrupts import borrowed, reachable
from hessview.job import control, meeting, sharding
from hessview.job.fsdp import one_divisor, wide_reduction, without_gradient_hooks
from hessview.job.objective import Objective
from hessview.job.sharing import Sharing, sharing_of
from hessview.job.untrained import as_differentiated

_NAMES = ("router", "gate")


class Routing:
    """Watches a module's routers: the children called router or gate of what holds experts.

    Args:
        module: Any module.
    """

    def __init__(self, module: nn.Module) -> None:
        self._routers = _routers(module)
        self._choices: list[Tensor] = []
        self.counted = True
        """Whether choices are noted: not on batches that only keep collectives together."""

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Note the choices of the forward passes inside of the block; forget earlier ones."""
        self._choices = []
        handles: list[RemovableHandle] = []

        def give_back() -> None:
            for handle in handles:
                handle.remove()

        with borrowed(give_back):
            handles += [router.register_forward_hook(self._note) for router in self._routers]
            yield

    def choices(self) -> list[Tensor]:
        """Experts chosen in the latest block, a tensor for each router and batch."""
        return self._choices

    def _note(self, router: nn.Module, inputs: Any, outputs: Any) -> None:
        """Routers give logits, or a tuple in which the chosen experts are the integers."""
        if not self.counted:
            return
        several = outputs if isinstance(outputs, tuple) else (outputs,)
        tensors = [tensor for tensor in several if isinstance(tensor, Tensor)]
        chosen = next((t for t in tensors if not t.is_floating_point()), None)
        if chosen is not None:
            self._choices.append(chosen.detach().sort(-1).values)
        elif tensors:
            self._choices.append(tensors[0].detach().argmax(-1))


def _routers(module: nn.Module) -> list[nn.Module]:
    routers = []
    for parent in module.modules():
        children = dict(parent.named_children())
        if any("expert" in name for name in children):
            routers += [child for name, child in children.items() if name in _NAMES]
    return routers


class Passes:
    """Forward and backward passes of a loss over ranks; `ShardedLoss` takes its numbers from them.

    Args:
        objective: What is differentiated.
        sharing: Which batches this rank sees; None for what the mesh tells.

    Raises:
        ObjectiveError: No parameter to differentiate, or one that is complex.
    """

    def __init__(self, objective: Objective, sharing: Sharing | None = None) -> None:
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
        self.share_out(sharing or sharing_of(self._module, objective.data))
        self._routing = Routing(self._module)
        self.loss_epsilon = torch.finfo(torch.float32).eps
        """Machine epsilon of the data type that the loss function returns."""
        self.means = False
        """Whether a loss came alone, as the mean of its batch."""
        self._refusal = ""

    def share_out(self, sharing: Sharing) -> None:
        """Give this rank its share of the batches.

        Args:
            sharing: Its share. Ranks that have the same one work on a batch together: each
                computes the whole loss (tensor parallelism) or a part of it, with a part of the
                terms (context parallelism). Both ways, loss over terms is that of the batch.
        """
        self.sharing = sharing
        self._position, self._ranks = sharing.position, sharing.ranks
        world = meeting.ranks()
        self._copies = world // self._ranks
        self._alone = world == 1
        self._spread = float(self._ranks)  # what is backpropagated, over the sum of gradients

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
            # Gradients may be averaged over the ranks; the scale turns that into a sum.
            try:
                torch.autograd.backward(total * (scale if counted else 0.0))
            except RuntimeError as error:
                _explain(error)
                raise
            if counted:
                loss += float(total.detach())
                weights += weight
        return loss / self._copies, weights / self._copies

    def _batches(self) -> Iterator[tuple[Any, bool]]:
        """This rank's batches; ranks with fewer go through one more that does not count.

        Every rank must take part in the same number of passes, or collectives would not meet.
        One that is alone can stop between them.

        Raises:
            RunCancelledError: An interrupt came.
        """
        batches = self.objective.batches
        for first in range(0, len(batches), self._ranks):
            if self._alone:
                interrupts.check()
            index = first + self._position
            counted = index < len(batches)
            # Inside of the caller's autocast, a cast copy would outlive the shards that it is of.
            torch.clear_autocast_cache()
            yield batches[index if counted else 0], counted

    def _terms(self, batch: Any) -> tuple[Tensor, float]:
        """A batch's summed loss, with its graph where gradients are on, and its weight."""
        try:
            result = self.objective.loss(self._module, batch)
        except Exception as error:
            _explain(error)
            self._hint(error)
            raise
        pair = isinstance(result, tuple) and len(result) == 2
        total, weight = result if pair else (result, 1.0)
        # A DTensor whose sum over ranks is pending would count that sum once on each rank.
        total = total.full_tensor() if isinstance(total, DTensor) else total
        weight = weight.full_tensor() if isinstance(weight, DTensor) else weight
        if not isinstance(total, Tensor) or total.numel() != 1:
            returned = tuple(total.shape) if isinstance(total, Tensor) else type(total).__name__
            raise ObjectiveError(
                f"the loss function returned {returned}; return one scalar tensor, or "
                "(summed loss, number of terms)."
            )
        if not total.is_floating_point():
            raise ObjectiveError(
                f"the loss function returned a {total.dtype} scalar; return a real floating-point "
                "one, such as total.real or total.abs()."
            )
        if torch.is_grad_enabled() and not total.requires_grad:
            raise ObjectiveError(
                "the loss does not depend on the parameters through autograd; compute it "
                "without torch.no_grad() or .detach()."
            )
        self.means = self.means or not pair
        wrong = _what_is_no_weight(weight)
        if wrong:
            # Raised when the pass is over, so that ranks whose weights are right do not wait.
            self._refusal = self._refusal or (
                f"the loss function returned {wrong} where the number of terms is expected; "
                "return (summed loss, number of terms), with a number >= 0 that is the batch's "
                "own and no function of the parameters, or the mean loss alone. Of a pair such "
                "as (loss, logits), return the loss."
            )
            weight = 1.0
        self.loss_epsilon = torch.finfo(total.dtype).eps
        return total, float(weight.item() if isinstance(weight, Tensor | np.ndarray) else weight)

    def _hint(self, error: Exception) -> None:
        """Add what may be the cause to an error of the user's own loss function."""
        batches = self.objective.batches
        if not isinstance(batches, tuple) or len(batches) != 2:
            return
        if all(isinstance(array, Tensor | np.ndarray) for array in batches):
            error.add_note(
                "hessview: batches is a tuple of two tensors, hence two batches; if they are the "
                "inputs and targets of one batch, pass batches=[(inputs, targets)]."
            )

    @contextmanager
    def own_gradients(self) -> Iterator[None]:
        """Lend the .grad fields out for passes, and give them back as they were."""
        with (
            self.lent_gradients(hold=True),
            self._recovered(),
            one_divisor(self._module) as share,
            wide_reduction(self._module),
            without_gradient_hooks(self._trainable.values()),
            as_differentiated(self._module),
        ):
            self._spread = self._ranks * share
            yield

    @contextmanager
    def lent_gradients(self, *, hold: bool) -> Iterator[None]:
        """Lend the .grad fields out: None inside of the block, and then as they were.

        Args:
            hold: Whether to hold interrupts back, see `interrupts.borrowed`.
        """
        parameters = list(self._trainable.values())
        lent = [parameter.grad for parameter in parameters]
        # Such gradients lie in the very buckets that our own backward passes write to.
        views = any(
            isinstance(child, DistributedDataParallel) and child.gradient_as_bucket_view
            for child in self._module.modules()
        )
        copies = [None if grad is None else grad.clone() for grad in lent] if views else []

        def give_back() -> None:
            for parameter, gradient in zip(parameters, lent, strict=True):
                parameter.grad = gradient
            with torch.no_grad():
                for gradient, value in zip(lent, copies, strict=False):
                    if gradient is not None and value is not None:
                        gradient.copy_(value)

        with borrowed(give_back, hold=hold):
            for parameter in parameters:
                parameter.grad = None
            yield

    def settle(self) -> None:
        """Come to rest after passes that failed on all ranks alike; all call it together."""
        control.wait_for_collectives(self._module)
        sharding.recover(self._module)

    @contextmanager
    def _recovered(self) -> Iterator[None]:
        """Bring FSDP and DDP back to rest where a pass is cut off; it is the user's code that runs.

        Their state is the training's, too.
        """
        finished = False

        def give_back() -> None:
            if not finished:
                sharding.recover(self._module)

        with borrowed(give_back), reachable():
            yield
            finished = True


def _explain(error: Exception) -> None:
    """Explain torch's errors about sharded parameters.

    Raises:
        ObjectiveError: The error is one that all ranks meet alike, with a known cure.
    """
    text = str(error)
    if "got mixed torch.Tensor and DTensor" in text:
        raise ObjectiveError(
            f"the loss function mixes plain tensors with parameters that are sharded ({text}); "
            "gather a parameter that it uses outside of the module's forward, such as in an L2 "
            'penalty, by parameter.full_tensor(grad_placements=[Partial("avg")]), which averages '
            "its gradient over the ranks as FSDP does."
        ) from error
    if "setStorage" in text and text.endswith("storage of size 0"):
        raise ObjectiveError(
            f"parameters were freed before they were last used ({text}), as where the loss holds "
            "derivatives by the module's inputs, whose backward pass FSDP takes for the last; "
            "call set_reshard_after_backward(False) on the sharded module, which then keeps "
            "gathered parameters until the end of a pass."
        ) from error


def _what_is_no_weight(weight: Any) -> str:
    """What a weight is that is no number of terms; "" if it is one."""
    if isinstance(weight, Tensor):
        if weight.numel() != 1:
            return f"a tensor of shape {tuple(weight.shape)}"
        if weight.requires_grad:
            return "a tensor that depends on the parameters (it requires grad)"
        weight = weight.item()
    if isinstance(weight, np.ndarray | np.generic) and weight.size == 1:
        weight = weight.item()
    if isinstance(weight, bool) or not isinstance(weight, int | float):
        return f"{weight!r}" if isinstance(weight, bool | str | None) else type(weight).__name__
    return "" if math.isfinite(weight) and weight >= 0 else f"{weight:g}"
