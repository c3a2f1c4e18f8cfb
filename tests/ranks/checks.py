"""What job/test_checks_ranks.py reads; losses and checks, on each rank."""

import sys

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, Partial
from torch.nn.parallel import DistributedDataParallel

from helpers import checkpointed, toys
from hessview.errors import HessviewError
from hessview.job.leaving import leave
from hessview.job.objective import Objective
from hessview.job.worker import Worker
from hessview.record.commands import Density
from ranks.numerics import whole

CASES = {}


def case(function):
    CASES[function.__name__] = function
    return function


def net():
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(2, 6), nn.Tanh(), nn.Linear(6, 1)).double()


def points():
    return [toys.numbers(rows, 2, seed=rows) for rows in (5, 4, 3)]


def residual(module, batch):
    """u_x - u_y + u^3 of a network u(x, y)."""
    inputs = batch.clone().requires_grad_()
    height = module(inputs)
    (slope,) = torch.autograd.grad(height.sum(), inputs, create_graph=True)
    return slope[:, 0] - slope[:, 1] + height.squeeze(-1) ** 3


def physics(module, batch):
    return residual(module, batch).square().sum(), len(batch)


def penalised(module, batch):
    """Plus half of the squared parameters, sharded as they are."""
    squares = sum(parameter.square().sum() for parameter in module.parameters())
    return module(batch).square().sum() + 0.5 * squares, len(batch)


def weighted(module, batch):
    """Plus a penalty whose weights are a plain tensor."""
    weights = torch.arange(12, dtype=torch.float64).view(6, 2)
    penalty = (weights * next(module.parameters())).square().sum()
    return module(batch).square().sum() + penalty, len(batch)


def gathered(**options):
    """The same penalty, of a parameter that is gathered first."""

    def loss(module, batch):
        first = next(module.parameters())
        first = first.full_tensor(**options) if isinstance(first, DTensor) else first
        weights = torch.arange(12, dtype=torch.float64).view(6, 2)
        return module(batch).square().sum() + (weights * first).square().sum(), len(batch)

    return loss


def distance(objective):
    """How far a product over ranks is from calculus in one process, over its norm."""
    surface = Worker(objective).surface
    vector = surface.space.probe(0, 0)
    found = surface.space.zeros()
    with torch.no_grad():
        shards = surface.shards()
        home = [shard.clone() for shard in shards]
        for sign in (1, -1):
            for shard, at, part in zip(shards, home, surface.space.split(vector), strict=True):
                shard.copy_(at + sign * 1e-4 * part)
            surface.refresh()
            surface.gradient(found, factor=sign / 2e-4)
        for shard, at in zip(shards, home, strict=True):
            shard.copy_(at)
        surface.refresh()
    return whole(surface, found), whole(surface, vector)


def against(make, loss, spread):
    """A product on ranks, and that of calculus in one process along the same direction."""
    found, vector = distance(Objective(spread(make()), loss, points()))
    plain = Objective(make(), loss, points())
    truth = toys.exact_product(plain, vector)
    return float((found - truth).norm() / truth.norm())


def sharded(module):
    for layer in (module[0], module[2]):
        fully_shard(layer)
    fully_shard(module)
    return module


def kept(module):
    sharded(module).set_reshard_after_backward(False)
    return module


@case
def derivatives_by_inputs_replicated():
    return against(net, physics, DistributedDataParallel)


@case
def derivatives_by_inputs_kept():
    return against(net, physics, kept)


@case
def derivatives_by_inputs_freed():
    return Worker(Objective(sharded(net()), physics, points()))


@case
def derivatives_as_outputs():
    objective = Objective(
        kept(net()), physics, points(), outputs=residual, terms=lambda z, b: z.square()
    )
    return [one.kind for one in Worker(objective).execute(gauss_newton())]


def gauss_newton():
    return Density(steps=3, probes=1, operator="gauss_newton")


@case
def penalty():
    return against(net, penalised, sharded)


@case
def penalty_mixed():
    return Worker(Objective(sharded(net()), weighted, points()))


@case
def penalty_gathered():
    return against(net, gathered(grad_placements=[Partial("avg")]), sharded)


@case
def penalty_whose_gradient_nobody_averages():
    """Ranks with unequal numbers of batches find unequal gradients of it."""
    return Worker(Objective(sharded(net()), gathered(), points()))


@case
def weight_on_one_rank():
    """Only rank 1's batches come with a weight that is none."""

    def loss(module, batch):
        total = module(batch).square().sum()
        return total, (total if dist.get_rank() else 5)

    return Worker(Objective(sharded(net()), loss, points()))


@case
def noise():
    """Passes that differ by rounding, and by more, on all ranks alike."""
    found = []
    for size in (1e-9, 1e-2):

        def loss(module, batch, size=size):
            rows = module(batch)
            return (rows * (1 + size * torch.randn_like(rows))).square().sum(), len(batch)

        try:
            found.append(Worker(Objective(sharded(net()), loss, points())).notes["noise"])
        except HessviewError as error:
            found.append(str(error))
    return found


@case
def recomputed():
    """transformers' layers below FSDP: how often they run, and the gradient's norm."""
    found = []
    for reentrant in (None, False):
        objective = checkpointed.objective(checkpointed.gpt2, reentrant)
        counted = checkpointed.Counted(checkpointed.part_of_a_layer(objective.module))
        for layer in checkpointed.layers(objective.module):
            fully_shard(layer)
        fully_shard(objective.module)
        worker = Worker(objective)
        before = counted.count
        payloads = list(worker.execute(Density(steps=2, probes=1, epsilon=1e-3, error_every=0)))
        values = [one.values["alpha"] for one in payloads if one.kind == "reading"]
        found.append((counted.count - before, values))
    return found


def main(path):
    dist.init_process_group("gloo")
    results = {}
    for name, function in CASES.items():
        try:
            found = function()
            results[name] = "nothing was refused" if isinstance(found, Worker) else found
        except HessviewError as error:
            results[name] = str(error)
    both = [None, None]
    dist.all_gather_object(both, results)
    if dist.get_rank() == 0:
        torch.save(both, path)
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    main(sys.argv[1])
    leave()
