"""What test_ranks_checks.py reads: torchrun ... ranks_checks.py FILE, losses and checks on ranks."""

import copy
import sys

import torch
import torch.distributed as dist
import toys
from checkpointed import Counted, recomputing
from torch import nn
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel
from transformers import GPT2Config, GPT2LMHeadModel

from hessview.commands import Density
from hessview.errors import HessviewError
from hessview.job.leave import leave
from hessview.job.objective import Objective
from hessview.job.worker import Worker
from hessview.messages import Reading


def tanh_net(*widths):
    torch.manual_seed(1)
    layers = []
    for wide, narrow in zip(widths, widths[1:], strict=False):
        layers += [nn.Linear(wide, narrow), nn.Tanh()]
    return nn.Sequential(*layers[:-1]).double()


def residual(module, batch):
    """u_x - u_y + u^3 of a network u(x, y)."""
    inputs = batch.clone().requires_grad_()
    height = module(inputs)
    (slope,) = torch.autograd.grad(height.sum(), inputs, create_graph=True)
    return slope[:, 0] - slope[:, 1] + height.squeeze(-1) ** 3


def physics(module, batch):
    return residual(module, batch).square().sum(), len(batch)


def penalised(whole):
    """Cross entropy and half of the squared parameters, gathered or not."""

    def loss(module, batch):
        total = module(batch).square().sum()
        for parameter in module.parameters():
            full = (
                parameter.full_tensor()
                if whole and hasattr(parameter, "full_tensor")
                else parameter
            )
            total = total + 0.5 * full.square().sum()
        return total, len(batch)

    return loss


def points():
    return [toys.numbers(5, 2, seed=seed) for seed in range(3)]


def sharded(module, *parts):
    for part in parts:
        fully_shard(part)
    fully_shard(module)
    return module


def told(make):
    try:
        make()
    except HessviewError as error:
        return str(error)
    except RuntimeError as error:
        return f"RAW {error}"
    return "nothing was refused"


def coefficients(objective, **options):
    worker = Worker(objective)
    readings = worker.execute(Density(steps=4, probes=1, **options))
    values = [one.values for one in readings if isinstance(one, Reading)]
    return [[one["alpha"], one["beta"]] for one in values], worker.notes


def one_bad_weight(module, batch):
    """A weight that only rank 1's batches show."""
    total = module(batch).square().sum()
    return total, (total if dist.get_rank() == 1 else 5)


def main(path):
    dist.init_process_group("gloo")
    results = {}
    for kind in ("sharded", "replicated"):

        def spread(module, *parts, kind=kind):
            return sharded(module, *parts) if kind == "sharded" else DistributedDataParallel(module)

        net = tanh_net(2, 6, 1)
        results[f"physics, {kind}"] = told(lambda: None)
        try:
            results[f"physics, {kind}"] = coefficients(
                Objective(spread(net, net[0]), physics, points())
            )
        except HessviewError as error:
            results[f"physics, {kind}"] = str(error)
        except RuntimeError as error:
            results[f"physics, {kind}"] = f"RAW {error}"
        for whole in (True, False):
            net = tanh_net(2, 6, 1)
            try:
                results[f"penalty, {kind}, {whole}"] = coefficients(
                    Objective(spread(net), penalised(whole), points())
                )
            except HessviewError as error:
                results[f"penalty, {kind}, {whole}"] = str(error)
        net = tanh_net(2, 6, 1)
        results[f"weight, {kind}"] = told(
            lambda net=net, spread=spread: Worker(Objective(spread(net), one_bad_weight, points()))
        )
    if dist.get_rank() == 0:
        torch.save(results, path)
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    main(sys.argv[1])
    leave()
