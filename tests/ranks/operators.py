"""What operators/test_base_ranks.py compares, on each rank."""

import contextlib
import sys
import traceback

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard
from torch.profiler import ProfilerActivity, profile

from helpers import experts, toys
from hessview.errors import HessviewError, ObjectiveError
from hessview.job import memory, passes, sharding
from hessview.job.control import Reduction
from hessview.job.leaving import leave
from hessview.job.loss import ShardedLoss
from hessview.job.objective import Objective
from hessview.job.worker import Worker
from hessview.operators import OPERATORS
from hessview.record.commands import Density
from ranks.numerics import count_collectives, failing_at, whole

EPSILON = 1e-4  # of float64 products, so that all worlds take the same step


def sharded(objective, mesh, **options):
    sharding.shard(objective.module, mesh, **options)
    return objective


def surface_of(objective, **options):
    surface = ShardedLoss(objective, Reduction(), **options)
    surface.measure()
    return surface


def product(objective, name="hessian", epsilon=EPSILON, **options):
    surface = surface_of(objective, **options)
    before = [shard.clone() for shard in surface.shards()]
    probe = surface.space.probe(0, 0)
    found = OPERATORS[name](surface, epsilon).matvec(probe, measure_error=epsilon == "auto")
    return {
        "product": whole(surface, found.vector),
        "norm": found.norm,
        "rho": found.rho,
        "error": found.error,
        "flips": found.flips,
        "size": surface.space.size,
        "restored": all(map(torch.equal, before, surface.shards())),
    }


def every_operator(mesh):
    objective = sharded(toys.gpt(), mesh)
    return {name: product(objective, name) for name in OPERATORS}


def every_operator_in_replicas(mesh):
    objective = toys.gpt()
    module = nn.parallel.DistributedDataParallel(objective.module)
    found = Objective(
        module,
        objective.loss,
        objective.batches,
        outputs=objective.outputs,
        terms=objective.terms,
    )
    return {name: product(found, name) for name in ("hessian_one_reduction", "fisher", "exact")}


def with_fewer_batches_than_ranks(mesh):
    objective = sharded(toys.gpt(count=1), mesh)
    return {name: product(objective, name) for name in ("hessian_one_reduction", "fisher", "exact")}


def subset(mesh):
    objective = sharded(toys.gpt(), mesh)
    patterns = ("layers.0.*", "norm.bia?")
    names = ("hessian", "hessian_one_reduction", "gauss_newton", "exact")
    return {name: product(objective, name, subset=patterns) for name in names}


def adapters(mesh):
    objective = sharded(experts.with_adapters(), mesh)
    return {name: product(objective, name) for name in ("hessian", "gauss_newton", "exact")}


def mixture(mesh):
    objective = sharded(experts.mixture(), mesh)
    names = ("hessian", "hessian_one_reduction")
    return {
        (name, epsilon): product(objective, name, epsilon)
        for name in names
        for epsilon in experts.EPSILONS
    }


def bfloat16_compute(mesh):
    objective = sharded(toys.gpt(dtype=torch.float32), mesh, compute_dtype=torch.bfloat16)
    return {name: product(objective, name, "auto") for name in OPERATORS}


def reduced_in_bfloat16(mesh):
    results = {}
    for name, policy in {
        "none": MixedPrecisionPolicy(),
        "reduce": MixedPrecisionPolicy(reduce_dtype=torch.bfloat16),
    }.items():
        objective = toys.gpt(dtype=torch.float32)
        for layer in objective.module.layers:
            fully_shard(layer, mesh=mesh, mp_policy=policy)
        fully_shard(objective.module, mesh=mesh, mp_policy=policy)
        results[name] = [
            product(objective, op, 2e-2) for op in ("hessian", "hessian_one_reduction")
        ]
    results["given back"] = {
        str(group._reduce_dtype) for group in sharding.groups(objective.module)
    }
    passes.wide_reduction = lambda module: contextlib.nullcontext()
    results["untreated"] = [product(objective, "hessian", 2e-2)]
    return results


def summed_by_fsdp(mesh):
    """The user has FSDP sum gradients, as torchtitan does, rather than average them."""
    results = {}
    for name, factor in {"averaged": None, "summed": 1.0}.items():
        objective = sharded(toys.gpt(), mesh)
        for child in objective.module.modules():
            if factor is not None and isinstance(child, FSDPModule):
                child.set_force_sum_reduction_for_comms(True)  # gloo has no other way
                child.set_gradient_divide_factor(factor)
        results[name] = [
            product(objective, op, EPSILON) for op in ("hessian", "hessian_one_reduction")
        ]
    results["given back"] = {g.gradient_divide_factor for g in sharding.groups(objective.module)}
    return results


def one_reduction_raising(mesh):
    """The loss raises between the two sides, when ranks hold gradients that were not reduced."""
    objective = sharded(toys.gpt(), mesh)
    expected = product(objective, "hessian_one_reduction")
    batches = -(-len(objective.batches) // dist.get_world_size())
    surface = surface_of(objective)

    def failing(*_):
        raise ValueError("upset")

    register = objective.module.layers[0].down.register_forward_hook
    hook = failing_at(objective, batches + 1, lambda: register(failing))
    try:
        OPERATORS["hessian_one_reduction"](surface, EPSILON).matvec(surface.space.probe(0, 0))
        raise AssertionError("it was to raise")
    except ValueError:
        hook().remove()
    switches = [(g.reduce_grads, g.all_reduce_grads) for g in sharding.groups(objective.module)]
    again = product(objective, "hessian_one_reduction")
    return {
        "equal": torch.equal(again["product"], expected["product"]),
        "switches": switches,
        "plain": product(objective)["product"],
    }


def collectives(mesh):
    objective = sharded(toys.gpt(count=3 * mesh.size()), mesh)
    surface = surface_of(objective)
    out, probe = surface.space.zeros(), surface.space.probe(0, 0)
    work = {"gradient": lambda: surface.gradient(out)}
    for name in ("hessian_one_reduction", "hessian_fourth_order", "gauss_newton", "exact"):
        operator = OPERATORS[name](surface, EPSILON)
        if name == "exact":
            operator.matvec(probe)  # the first one is held against a difference besides
        work[name] = lambda operator=operator: operator.matvec(probe)
    counts = {}
    for name, run in work.items():
        with profile(activities=[ProfilerActivity.CPU]) as trace:
            run()
        counts[name] = count_collectives(trace)
    return counts


def came_apart():
    """The embedding and the head were one, and are two with the same numbers."""
    objective = toys.gpt(tied=False)
    with torch.no_grad():
        objective.module.head.weight.copy_(objective.module.token.weight)
    return objective


def tied_apart(mesh):
    return {"notes": Worker(sharded(came_apart(), mesh)).notes}


def tied_together(mesh):
    return {"notes": Worker(sharded(toys.gpt(), mesh)).notes}


def run_on_a_subset(mesh):
    worker = Worker(sharded(toys.gpt(), mesh))
    started, *readings, ended = worker.execute(
        Density(steps=3, probes=1, subset=("layers.1.*",), operator="fisher", error_every=0)
    )
    too_many = list(worker.execute(Density(steps=9, probes=1, subset=("norm.bias",))))
    nothing = list(worker.execute(Density(steps=2, probes=1, subset=("layer.*",))))
    unknown = list(worker.execute(Density(steps=2, probes=1, operator="hesian")))
    return {
        "parameters": started.parameters,
        "notes": started.notes,
        "readings": len(readings),
        "state": ended.state,
        "errors": [payloads[-1].error for payloads in (too_many, nothing, unknown)],
    }


def refused(mesh):
    """The text of the error that each rank met, by case."""
    texts = {}

    def case(name, work):
        text = "nothing was refused"
        try:
            work()
        except HessviewError as error:
            text = f"{type(error).__name__}: {error}"
        texts[name] = [""] * dist.get_world_size()
        dist.all_gather_object(texts[name], text)

    objective = toys.gpt()
    fully_shard(objective.module.token, mesh=mesh)
    fully_shard(objective.module.head, mesh=mesh)
    fully_shard(objective.module, mesh=mesh)
    case("tied but sharded apart", lambda: Worker(objective))

    apart = sharded(came_apart(), mesh)
    apart.module.config = type("Config", (), {"tie_word_embeddings": True})()
    apart.module.get_input_embeddings = lambda: apart.module.token
    apart.module.get_output_embeddings = lambda: apart.module.head
    case("apart against the configuration", lambda: Worker(apart))

    used = sharded(toys.gpt(), mesh)
    with torch.inference_mode():
        used.module(used.batches[0])
    case("run under inference mode", lambda: Worker(used))

    accumulating = sharded(toys.gpt(), mesh)
    worker, module = Worker(accumulating), accumulating.module
    module.set_requires_gradient_sync(False)
    accumulating.loss(module, accumulating.batches[0])[0].backward()
    module.set_requires_gradient_sync(True)

    def ask():
        raise ObjectiveError(list(worker.execute(Density(steps=2, probes=1)))[-1].error)

    case("gradients that wait", ask)
    module.set_is_last_backward(False)
    case("a pass that is to come", ask)

    surface = surface_of(sharded(toys.gpt(), mesh))
    free = memory.free_memory
    memory.free_memory = lambda *_: 1000 if dist.get_rank() == mesh.size() - 1 else 1 << 40
    case("one reduction", lambda: OPERATORS["hessian_one_reduction"](surface, "auto"))
    case("exact", lambda: OPERATORS["exact"](surface, "auto"))
    memory.free_memory = free
    return texts


def hooks(mesh):
    """Double backward sets FSDP's hooks aside; the user's stay, and FSDP's come back in order."""
    objective = sharded(toys.gpt(), mesh)
    seen = []
    objective.module.layers[0].register_forward_hook(lambda *_: seen.append(1), prepend=True)
    tables = [(m._forward_hooks, m._forward_pre_hooks) for m in objective.module.modules()]
    before = [tuple(list(table.items()) for table in pair) for pair in tables]
    surface = surface_of(objective)
    exact = OPERATORS["exact"](surface, "auto")
    exact.matvec(surface.space.probe(0, 0))  # the first one is held against a difference besides
    seen.clear()
    exact.matvec(surface.space.probe(0, 0))
    after = [tuple(list(table.items()) for table in pair) for pair in tables]
    sharded_modules = sum(isinstance(m, FSDPModule) for m in objective.module.modules())
    return {"same": before == after, "seen": len(seen), "sharded": sharded_modules}


def users_gradient_hooks(mesh):
    """An optimizer that steps in backward; it must not, and is there again afterwards."""
    objective = sharded(toys.gpt(), mesh)
    stepped = []

    def step(parameter):
        stepped.append(parameter)
        torch.optim.SGD([parameter], 1.0).step()
        parameter.grad = None

    for parameter in objective.module.parameters():
        parameter.register_post_accumulate_grad_hook(step)
    names = ("hessian", "hessian_one_reduction", "gauss_newton")
    found = {name: product(objective, name) for name in names}
    found["stepped"] = len(stepped)
    objective.loss(objective.module, objective.batches[0])[0].backward()
    found["steps afterwards"] = len(stepped)
    return found


def sharded_together(mesh):
    objective = toys.gpt()
    fully_shard([objective.module.token, objective.module.head], mesh=mesh)
    sharded(objective, mesh)
    return {name: product(objective, name) for name in ("hessian", "exact")}


def inside_autocast(mesh):
    objective = sharded(toys.gpt(dtype=torch.float32), mesh)
    with torch.autocast("cpu", torch.bfloat16):
        objective.loss(objective.module, objective.batches[0])  # leaves cast copies behind
        names = ("hessian", "hessian_one_reduction", "gauss_newton")
        return {name: product(objective, name, "auto") for name in names}


CASES = (
    every_operator,
    every_operator_in_replicas,
    with_fewer_batches_than_ranks,
    subset,
    adapters,
    mixture,
    bfloat16_compute,
    one_reduction_raising,
    collectives,
    tied_apart,
    tied_together,
    run_on_a_subset,
    users_gradient_hooks,
    sharded_together,
    inside_autocast,
    refused,
    hooks,
    summed_by_fsdp,
    reduced_in_bfloat16,  # the last: it takes the treatment away
)


def main(path):
    dist.init_process_group("gloo")
    mesh = init_device_mesh("cpu", (dist.get_world_size(),), mesh_dim_names=("shard",))
    results = {}
    try:
        for function in CASES:
            results[function.__name__] = function(mesh)
    except BaseException:
        print(f"rank {dist.get_rank()} in {function.__name__}:", file=sys.stderr)
        traceback.print_exc()
        raise
    finally:
        if dist.get_rank() == 0:
            torch.save(results, path)
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    main(sys.argv[1])
    leave()
