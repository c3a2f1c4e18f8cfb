"""Objectives of other build: a mixture of experts, and adapters on a frozen network."""

import torch
import torch.nn.functional as F
from torch import nn

from helpers import toys
from hessview.job.objective import Objective

# Steps along a unit vector: far below the nearest change of routes, and far beyond.
EPSILONS = (1e-6, 3.0)


class Experts(nn.Module):
    """One expert a token, the one that the gate likes best."""

    def __init__(self, width, count):
        super().__init__()
        self.gate = nn.Linear(width, count, bias=False)
        self.experts = nn.ModuleList(nn.Linear(width, width) for _ in range(count))

    def forward(self, x):
        likes = self.gate(x).softmax(-1)
        best = likes.argmax(-1)
        mixed = torch.stack([expert(x) for expert in self.experts], dim=-2)
        index = best[..., None, None].expand(*best.shape, 1, x.shape[-1])
        return x + likes.gather(-1, best[..., None]) * mixed.gather(-2, index).squeeze(-2)


def _regression(module):
    inputs, targets = toys.numbers(24, 6), toys.numbers(24, 6, seed=1)

    def outputs(module, batch):
        return module(batch[0])

    def terms(z, batch):
        return (z - batch[1]).square().sum(-1)

    def loss(module, batch):
        return terms(outputs(module, batch), batch).sum(), len(batch[0])

    batches = list(zip(inputs.tensor_split(3), targets.tensor_split(3), strict=True))
    return Objective(module.double().eval(), loss, batches, outputs=outputs, terms=terms)


def mixture():
    """24 tokens through 4 experts."""
    torch.manual_seed(0)
    return _regression(nn.Sequential(nn.Linear(6, 6), Experts(6, 4), nn.Linear(6, 6)))


class Adapted(nn.Module):
    """A frozen linear map and a trainable one of low rank beside it (LoRA)."""

    def __init__(self, width, rank):
        super().__init__()
        self.base = nn.Linear(width, width).requires_grad_(False)
        self.down, self.up = nn.Linear(width, rank, bias=False), nn.Linear(rank, width, bias=False)

    def forward(self, x):
        return F.gelu(self.base(x) + self.up(self.down(x)))


def with_adapters():
    """Two layers whose 2 x 2 adapters are all there is to differentiate."""
    torch.manual_seed(0)
    head = nn.Linear(6, 6).requires_grad_(False)
    return _regression(nn.Sequential(Adapted(6, 2), Adapted(6, 2), head))
