"""Activations that are recomputed: in evaluation mode too, without dropout, to the same numbers."""

import pytest
import torch
from torch import nn
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import (
    CheckpointImpl,
    checkpoint_wrapper,
)
from torch.utils.checkpoint import checkpoint

from helpers import checkpointed, toys
from hessview.job.fsdp import as_found
from hessview.job.objective import Objective
from hessview.job.worker import Worker
from hessview.record.commands import Density
from hessview.record.events import Reading


def coefficients(worker, operator="hessian"):
    readings = worker.execute(Density(steps=3, probes=1, operator=operator))
    return [
        (one.values["alpha"], one.values["beta"])
        for one in readings
        if isinstance(one, Reading) and "alpha" in one.values
    ]


def gradient(worker):
    """The gradient, as during a run."""
    surface = worker.surface
    found = surface.space.zeros()
    with as_found(surface.objective.module, evaluation=True):
        surface.gradient(found)
    return found


@pytest.mark.parametrize("make", [checkpointed.gpt2, checkpointed.opt])
@pytest.mark.parametrize("reentrant", [False, True])
def test_transformers_layers_recompute_in_evaluation_mode(make, reentrant):
    plain, own = checkpointed.objective(make), checkpointed.objective(make, reentrant)
    layer = checkpointed.layers(own.module)[0]
    once, counted = (
        checkpointed.Counted(checkpointed.part_of_a_layer(one.module)) for one in (plain, own)
    )
    checkpoints = layer._gradient_checkpointing_func
    workers = [Worker(plain), Worker(own)]
    once.count = counted.count = 0
    gradients = [gradient(worker) for worker in workers]
    assert once.count == len(plain.batches)
    assert counted.count == 2 * len(plain.batches)
    # Dropout of 0.1 and 0.5 would be seen; so would anything else that is not the same.
    assert torch.equal(*gradients)
    assert coefficients(workers[0]) == coefficients(workers[1])
    assert layer._gradient_checkpointing_func is checkpoints
    assert not any(child.training for child in own.module.modules())
    assert layer.gradient_checkpointing


@pytest.mark.parametrize("reentrant", [False, True])
def test_exact_products_go_through_transformers_layers(reentrant):
    plain, own = (checkpointed.objective(checkpointed.gpt2, kind) for kind in (None, reentrant))
    found = [coefficients(Worker(one), "exact") for one in (plain, own)]
    assert found[0] == found[1]
    assert checkpointed.layers(own.module)[0].gradient_checkpointing


def test_a_module_in_training_mode_is_left_in_it():
    objective = checkpointed.objective(checkpointed.gpt2, False)
    objective.module.train()
    worker = Worker(objective, evaluation=True)
    reference = Worker(checkpointed.objective(checkpointed.gpt2))
    assert worker.surface.loss == reference.surface.loss
    assert all(child.training for child in objective.module.modules())


class Recomputed(nn.Module):
    """torch's own checkpoints around a layer."""

    def __init__(self, layer, reentrant):
        super().__init__()
        self.layer, self.reentrant = layer, reentrant

    def forward(self, x):
        return checkpoint(self.layer, x, use_reentrant=self.reentrant)


@pytest.mark.parametrize("reentrant", [False, True])
@pytest.mark.parametrize("wrapped", [False, True])
def test_torchs_checkpoints_recompute_to_the_same_numbers(reentrant, wrapped):
    plain, own = toys.gpt(), toys.gpt()
    kind = CheckpointImpl.REENTRANT if reentrant else CheckpointImpl.NO_REENTRANT
    layers = own.module.layers
    counted = checkpointed.Counted(layers[0].up)
    for index, layer in enumerate(layers):
        layers[index] = (
            checkpoint_wrapper(layer, checkpoint_impl=kind)
            if wrapped
            else Recomputed(layer, reentrant)
        )
    workers = [Worker(plain), Worker(Objective(own.module, own.loss, own.batches))]
    counted.count = 0
    gradients = [gradient(worker) for worker in workers]
    assert counted.count == 2 * len(own.batches)
    assert torch.equal(*gradients)
