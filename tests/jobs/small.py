"""Objectives for jobs that start within seconds: a sharded network, and ways to go wrong."""

import os
import time

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.fsdp import fully_shard

from hessview import Objective

PARAMETERS = 8 * 16 + 16 + 16 * 4 + 4


def network() -> nn.Module:
    """The same weights on every rank."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 4)).eval()


def batches() -> list[tuple[torch.Tensor, torch.Tensor]]:
    random = torch.Generator().manual_seed(1)
    return [
        (torch.randn(16, 8, generator=random), torch.randn(16, 4, generator=random))
        for _ in range(4)
    ]


def loss(module: nn.Module, batch: tuple[torch.Tensor, torch.Tensor]) -> tuple[torch.Tensor, int]:
    inputs, targets = batch
    return 0.5 * (module(inputs) - targets).square().sum(), len(inputs)


def build(loss=loss, module: nn.Module | None = None) -> Objective:
    module = network() if module is None else module
    if dist.is_initialized():
        fully_shard(module[0])
        fully_shard(module)
    return Objective(module, loss, batches(), name="small", weight_unit="examples")


def slow() -> Objective:
    """Some hundredths of a second a product."""

    def late(module, batch):
        time.sleep(0.01)
        return loss(module, batch)

    return build(late)


def fails_on_rank_1() -> Objective:
    """The loss raises on rank 1 alone, once some products are done."""
    calls = iter(range(1_000_000))

    def bad(module, batch):
        if next(calls) > 120 and dist.get_rank() == 1:
            raise ZeroDivisionError("the third coffee of rank 1")
        return loss(module, batch)

    return build(bad)


def random() -> Objective:
    """Dropout is on: the job must refuse it."""
    module = nn.Sequential(nn.Linear(8, 16), nn.Dropout(0.5), nn.Linear(16, 4))
    return build(module=module)


def raises() -> Objective:
    raise ZeroDivisionError("nothing to build")


def nothing() -> None:
    """Not an objective."""


def spoilt_on_rank_1() -> Objective:
    """The loss is NaN on rank 1 alone, as long as there is a certain file."""
    path = os.environ["HESSVIEW_TEST_SPOIL"]

    def late(module, batch):
        time.sleep(0.005)
        total, weight = loss(module, batch)
        return total + (
            float("nan") if dist.get_rank() == 1 and os.path.exists(path) else 0
        ), weight

    return build(late)
