"""What job/test_sharding.py compares, on each rank."""

import sys
import time
import traceback

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import Shard
from torch.profiler import ProfilerActivity, profile

from helpers import toys
from hessview.errors import HessviewError
from hessview.job import sharding
from hessview.job.control import Reduction
from hessview.job.leaving import leave
from hessview.job.loss import ShardedLoss
from hessview.job.objective import Objective
from hessview.job.worker import Worker
from hessview.operators import OPERATORS, Hessian
from hessview.record.commands import Density
from hessview.record.events import Reading, RunEnded
from hessview.spectral.lanczos import lanczos

EPSILON = 2e-2  # of float32 products, so that all worlds take the same step
CASES, ONLY_TWO, REFUSALS = {}, {}, {}


def case(function):
    """A case for one, two and three ranks."""
    CASES[function.__name__] = function
    return function


def only_two(function):
    """A case for two ranks: another number would be the same again."""
    ONLY_TWO[function.__name__] = function
    return function


def refusal(function):
    """A case for two ranks whose result is the error that each met."""
    REFUSALS[function.__name__] = function
    return function


def whole(surface, vector):
    """The full vector, from all ranks' parts."""
    full = []
    for piece, part in zip(surface.space.pieces, surface.space.split(vector), strict=True):
        place = torch.zeros(piece.full_shape, dtype=vector.dtype)
        if piece.owned and piece.numel:
            box = tuple(slice(o, o + n) for o, n in zip(piece.offset, piece.shape, strict=True))
            place[box] = part
        dist.all_reduce(place)
        full.append(place.flatten())
    return torch.cat(full)


def measured(objective, *, epsilon="auto", steps=4):
    """Gradient, products and coefficients, and whether the parameters came back bit by bit."""
    surface = ShardedLoss(objective, Reduction())
    surface.measure()
    before = [shard.clone() for shard in surface.shards()]
    gradient = surface.space.zeros()
    surface.gradient(gradient)
    operator = Hessian(surface, epsilon)
    probe = surface.space.probe(0, 0)
    product = operator.matvec(probe, measure_error=True)
    process = lanczos(
        lambda v: operator.matvec(v).vector, probe.clone(), steps, space=surface.space
    )
    coefficients = [(step.alpha, step.beta) for step in process]
    restored = all(map(torch.equal, before, surface.shards()))
    return {
        "size": surface.space.size,
        "local": surface.space.local_size,
        "loss": surface.loss,
        "value": surface.value(),
        "gradient_norm": surface.gradient_norm,
        "probe": whole(surface, probe),
        "gradient": whole(surface, gradient),
        "product": whole(surface, product.vector),
        "norm": product.norm,
        "rho": product.rho,
        "error": product.error,
        "coefficients": torch.tensor(coefficients, dtype=torch.float64),
        "restored": restored,
    }


def sharded(mesh, compute_dtype=None, **options):
    objective = toys.gpt(**options)
    sharding.shard(objective.module, mesh, compute_dtype=compute_dtype)
    return objective


@case
def float64(mesh):
    return measured(sharded(mesh))


@case
def float32(mesh):
    return measured(sharded(mesh, dtype=torch.float32), epsilon=EPSILON)


@case
def bfloat16_compute(mesh):
    objective = sharded(mesh, torch.bfloat16, dtype=torch.float32)
    return measured(objective)


@case
def more_ranks_than_batches(mesh):
    return measured(sharded(mesh, count=1))


@case
def empty_shards(mesh):
    # A weight of shape (1, 6): from the second rank on there is nothing to hold.
    objective = toys.linear_regression(toys.numbers(23, 6), toys.numbers(23, seed=1))
    fully_shard(objective.module, mesh=mesh)
    return measured(objective)


@case
def frozen_and_unused(mesh):
    objective = toys.gpt()
    objective.module.layers[0].qkv.weight.requires_grad_(False)
    objective.module.unused = nn.Parameter(torch.ones(5, dtype=torch.float64))
    sharding.shard(objective.module, mesh)
    return measured(objective)


@case
def sharded_by_the_user_along_other_dimensions(mesh):
    objective = toys.gpt()

    def placement(parameter):
        even = parameter.ndim == 2 and parameter.shape[1] % mesh.size() == 0
        return Shard(1) if even else Shard(0)

    for layer in objective.module.layers:
        fully_shard(layer.qkv, mesh=mesh, shard_placement_fn=placement)
        fully_shard(layer, mesh=mesh, shard_placement_fn=placement, reshard_after_forward=False)
    fully_shard(objective.module, mesh=mesh, shard_placement_fn=placement)
    return measured(objective)


@case
def activation_checkpointing(mesh):
    objective = toys.gpt()
    layers = objective.module.layers
    for index, layer in enumerate(layers):
        layers[index] = checkpoint_wrapper(layer)
    sharding.shard(objective.module, mesh)
    return measured(objective)


@case
def gathered_after_backward(mesh):
    objective = sharded(mesh)
    objective.module.set_reshard_after_backward(False)
    return measured(objective)


@case
def left_gathered_by_the_user(mesh):
    # A forward pass of the user's, then a change of the shards, then a measurement.
    objective = sharded(mesh)
    surface = ShardedLoss(objective, Reduction())
    with torch.no_grad():
        for shard in surface.shards():
            shard.mul_(2.0)
        objective.module(objective.batches[0])
        for shard in surface.shards():
            shard.mul_(0.5)
    surface.measure()
    return {"loss": surface.loss, "gradient_norm": surface.gradient_norm}


@case
def data_parallel(mesh):
    objective = toys.gpt()
    module = nn.parallel.DistributedDataParallel(objective.module)
    return measured(Objective(module, objective.loss, objective.batches))


@only_two
def raising(mesh):
    """The loss raises on all ranks, in different places; then all goes on as before."""
    objective = sharded(mesh)
    reference = one_product(ShardedLoss(objective, Reduction()))
    results = {}

    def failing(*_):
        raise ValueError("upset")

    module = objective.module
    places = {
        "a layer's forward": module.layers[1].down.register_forward_hook,
        "the root's forward": module.norm.register_forward_pre_hook,
        "backward": module.layers[0].up.register_full_backward_hook,
    }
    for place, register in places.items():
        for nth in (1, 3):  # which of the passes from now on
            surface = ShardedLoss(objective, Reduction())
            surface.measure()
            before = [shard.clone() for shard in surface.shards()]
            hook = failing_at(objective, nth, lambda register=register: register(failing))
            try:
                Hessian(surface).matvec(surface.space.probe(0, 0))
                raise AssertionError("it was to raise")
            except ValueError:
                hook().remove()
            after = one_product(ShardedLoss(objective, Reduction()))
            results[place, nth] = {
                "restored": all(map(torch.equal, before, surface.shards())),
                "equal": after[0] == reference[0] and torch.equal(after[1], reference[1]),
            }
    return results


def one_product(surface):
    surface.measure()
    product = Hessian(surface).matvec(surface.space.probe(0, 0))
    return (surface.loss, surface.gradient_norm), product.vector


def failing_at(objective, nth, register):
    """Call `register` at the start of the n-th batch from now on; returns how to get its result."""
    calls, made, loss = [], [], toys.token_loss

    def counting(module, batch):
        calls.append(batch)
        if len(calls) == nth:
            made.append(register())
        return loss(module, batch)

    object.__setattr__(objective, "loss", counting)

    def result():
        object.__setattr__(objective, "loss", loss)
        return made[0]

    return result


@case
def collectives(mesh):
    objective = sharded(mesh, count=mesh.size())
    surface = ShardedLoss(objective, Reduction())
    surface.measure()
    out, probe = surface.space.zeros(), surface.space.probe(0, 0)
    operator = Hessian(surface, 1e-5)
    surface.gradient(out)
    counts = {}
    for name, work in (
        ("gradient", lambda: surface.gradient(out)),
        ("product", lambda: operator.matvec(probe)),
    ):
        with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as trace:
            work()
        counts[name] = count_collectives(trace)
    return counts


def count_collectives(trace):
    """How often each c10d operation ran, and the largest all-reduce, in elements."""
    found = {"largest_all_reduce": 0}
    for event in trace.events():
        if event.name.startswith("c10d::"):
            name = event.name.removeprefix("c10d::").strip("_")
            found[name] = found.get(name, 0) + 1
            if "allreduce" in name:
                sizes = [n for shape in event.input_shapes for n in _sizes(shape)]
                found["largest_all_reduce"] = max([found["largest_all_reduce"], *sizes])
    return found


def _sizes(shape):
    if shape and isinstance(shape[0], list):
        return [n for inner in shape for n in _sizes(inner)]
    return [torch.Size(shape).numel()] if shape else []


@only_two
def cancelled(mesh):
    worker = Worker(sharded(mesh))
    before = [shard.clone() for shard in worker.surface.shards()]
    payloads = []
    for payload in worker.execute(Density(steps=5, probes=1)):
        payloads.append(payload)
        if len([p for p in payloads if isinstance(p, Reading)]) == 2 and dist.get_rank() == 0:
            worker.reduction.wants_stop = lambda: True
    worker.reduction.wants_stop = lambda: False
    again = list(worker.execute(Density(steps=2, probes=1)))
    return {
        "readings": sum(isinstance(p, Reading) for p in payloads),
        "state": payloads[-1].state,
        "restored": all(map(torch.equal, before, worker.surface.shards())),
        "again": again[-1].state,
        "blocks": worker.describe().blocks,
        "parameters": worker.describe().parameters,
        "mesh": worker.describe().mesh,
    }


@only_two
def not_finite_nearby(mesh):
    """A loss that only one rank's batch makes infinite, and only away from home."""
    objective = sharded(mesh)
    surface = ShardedLoss(objective, Reduction())
    surface.measure()
    home = [shard.clone() for shard in surface.shards()]
    loss = objective.loss

    def broken(module, batch):
        total, weight = loss(module, batch)
        moved = not all(map(torch.equal, home, surface.shards()))
        spoilt = moved and batch is objective.batches[0] and surface._position == 0
        return total + (float("nan") if spoilt else 0.0), weight

    surface.objective = Objective(objective.module, broken, objective.batches)
    try:
        Hessian(surface).matvec(surface.space.probe(0, 0))
    except HessviewError as error:
        text = str(error)
    texts = [""] * dist.get_world_size()
    dist.all_gather_object(texts, text)
    return {"texts": texts, "restored": all(map(torch.equal, home, surface.shards()))}


def hybrid(mesh):
    """Replicas of shards: two by two ranks."""
    mesh = init_device_mesh("cpu", (2, 2), mesh_dim_names=("replicate", "shard"))
    objective = toys.gpt()
    for layer in objective.module.layers:
        fully_shard(layer, mesh=mesh)
    fully_shard(objective.module, mesh=mesh)
    surface = ShardedLoss(objective, Reduction())
    surface.measure()
    probe = surface.space.probe(0, 0)
    products = {name: make(surface, 1e-4).matvec(probe) for name, make in OPERATORS.items()}
    operators = {name: whole(surface, product.vector) for name, product in products.items()}
    return measured(objective) | {"operators": operators}


@refusal
def unsharded(mesh):
    Worker(toys.gpt())


@refusal
def partly_sharded(mesh):
    objective = toys.gpt()
    for layer in objective.module.layers:
        fully_shard(layer, mesh=mesh)
    Worker(objective)


@refusal
def other_batches(mesh):
    objective = sharded(mesh)
    last = objective.batches[-1].clone()
    last[0, 0] += dist.get_rank() == dist.get_world_size() - 1
    objective.batches[-1] = last
    Worker(objective)


@refusal
def no_gradient_synchronisation(mesh):
    objective = sharded(mesh)
    objective.module.set_requires_gradient_sync(False)
    Worker(objective)


@refusal
def synchronisation_switched_off_later(mesh):
    objective = sharded(mesh)
    worker = Worker(objective)
    objective.module.layers[0].set_requires_gradient_sync(False)
    ended = list(worker.execute(Density(steps=2, probes=1)))[-1]
    assert isinstance(ended, RunEnded)
    raise HessviewError(ended.error)


@refusal
def scaled_gradients(mesh):
    objective = sharded(mesh)
    # Half of the mean over the ranks; a factor of 1, their sum, is known and treated.
    objective.module.set_gradient_divide_factor(4.0)
    for layer in objective.module.layers:
        layer.set_gradient_divide_factor(4.0)
    Worker(objective)


@refusal
def random_on_one_rank(mesh):
    objective = sharded(mesh)
    loss, draws = objective.loss, iter(range(1000))

    def shaken(module, batch):
        total, weight = loss(module, batch)
        return total * (1 + 1e-3 * (next(draws) if dist.get_rank() == 0 else 0)), weight

    Worker(Objective(objective.module, shaken, objective.batches))


@refusal
def nan_on_one_rank(mesh):
    objective = sharded(mesh)
    if dist.get_rank() == 0:
        sharding.local(objective.module.head.weight)[0, 0] = torch.nan
    Worker(objective)


@refusal
def dropout_on_one_rank(mesh):
    objective = sharded(mesh)
    objective.module.drop = nn.Dropout(0.1).train(dist.get_rank() == dist.get_world_size() - 1)
    Worker(objective)


def main(path):
    dist.init_process_group("gloo")
    world, rank = dist.get_world_size(), dist.get_rank()
    mesh = init_device_mesh("cpu", (world,), mesh_dim_names=("shard",))
    results = {}
    cases = {"hybrid": hybrid} if world == 4 else {**CASES, **(ONLY_TWO if world == 2 else {})}
    refusals = REFUSALS if world == 2 else {}
    try:
        for name, function in cases.items():
            began = time.perf_counter()
            results[name] = function(mesh)
            print(f"{time.perf_counter() - began:.2f} s for {name}", flush=True)
        for name, function in refusals.items():
            text = "nothing was refused"
            try:
                function(mesh)
            except HessviewError as error:
                text = str(error)
            texts = [""] * world
            dist.all_gather_object(texts, text)
            results[name] = texts
    except BaseException:
        print(f"rank {rank} in {name}:", file=sys.stderr)
        traceback.print_exc()
        raise
    finally:
        if rank == 0:
            torch.save(results, path)
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    main(sys.argv[1])
    leave()
