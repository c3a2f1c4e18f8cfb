"""Routes through a mixture of experts, and how many change within a step."""

import pytest
import torch
from torch import nn

from helpers import experts, toys
from hessview.job.control import Reduction
from hessview.job.loss import ShardedLoss
from hessview.job.passes import Routing
from hessview.operators import OPERATORS


def product(objective, name, epsilon):
    surface = ShardedLoss(objective, Reduction())
    surface.measure()
    return OPERATORS[name](surface, epsilon).matvec(surface.space.probe(0, 0))


@pytest.mark.parametrize(
    "name", ["hessian", "hessian_one_reduction", "hessian_fourth_order", "hessian_forward"]
)
def test_flips_are_counted_by_every_difference_of_gradients(name):
    near, far = (product(experts.mixture(), name, epsilon) for epsilon in experts.EPSILONS)
    assert near.flips == 0
    assert 0.1 < far.flips <= 1


def test_flips_are_those_of_the_gate():
    objective = experts.mixture()
    surface = ShardedLoss(objective, Reduction())
    surface.measure()
    vector, step = surface.space.probe(0, 0), experts.EPSILONS[1]
    found = OPERATORS["hessian"](surface, step).matvec(vector).flips
    best = []
    for side in (1, -1):
        with torch.no_grad():
            moved = experts.mixture().module
            parts = surface.space.split(vector)
            for parameter, part in zip(moved.parameters(), parts, strict=True):
                parameter.add_(part, alpha=side * step)
            inputs = moved[0](torch.cat([inputs for inputs, _ in objective.batches]))
            best.append(moved[1].gate(inputs).argmax(-1))
    assert found == float((best[0] != best[1]).double().mean()) > 0


def test_a_model_without_routers_has_no_flips():
    flips = product(toys.gpt(), "hessian", 1e-3).flips
    assert flips != flips


class TopTwo(nn.Module):
    """A router as in transformers: logits, weights and the chosen experts, in any order."""

    def forward(self, x):
        weights, chosen = x.topk(2, sorted=False)
        return x, weights, chosen.flip(-1)


class Block(nn.Module):
    def __init__(self, router, beside):
        super().__init__()
        self.router = router
        self.add_module(beside, nn.ModuleList([nn.Linear(3, 3)]))

    def forward(self, x):
        return self.router(x)


@pytest.mark.parametrize(("beside", "found"), [("experts", 1), ("layers", 0)])
def test_routers_stand_beside_experts(beside, found):
    module = Block(TopTwo(), beside)
    routing = Routing(module)
    with routing.watched():
        module(torch.tensor([[0.1, 0.9, 0.5], [0.3, 0.2, 0.1]]))
    chosen = [tensor.tolist() for tensor in routing.choices()]
    assert chosen == [[[1, 2], [0, 1]]] * found
    with routing.watched():
        pass
    assert routing.choices() == []
    assert len(module.router._forward_hooks) == 0
