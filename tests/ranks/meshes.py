"""What job/test_coupled_ranks.py reads; every mesh, on each rank."""

import sys
import traceback
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed._composable.replicate import replicate as replicate_of_old
from torch.distributed._composable.replicate_with_fsdp import replicate
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FullyShardedDataParallel, fully_shard
from torch.distributed.tensor import DTensor, Replicate, Shard, distribute_tensor
from torch.nn.parallel import DistributedDataParallel

from helpers import meshes, toys
from hessview.errors import HessviewError
from hessview.job import sharding
from hessview.job.leaving import leave
from hessview.job.models import build
from hessview.job.objective import Objective
from hessview.job.plain import shard_plain
from hessview.job.worker import Worker
from hessview.operators import OPERATORS
from hessview.record.commands import Density
from hessview.record.job_options import JobOptions
from jobs import small
from ranks.numerics import whole

CASES, ONLY = {}, {2: {}, 4: {}}


def case(*, only=None):
    """A case, for two and for four ranks or for so many only."""

    def add(function):
        (CASES if only is None else ONLY[only])[function.__name__] = function
        return function

    return add


def line(name="shard"):
    """All ranks in one dimension."""
    return init_device_mesh("cpu", (dist.get_world_size(),), mesh_dim_names=(name,))


def square(*names):
    """Two ranks or one in the first dimension, two in the second."""
    return init_device_mesh("cpu", (dist.get_world_size() // 2, 2), mesh_dim_names=names)


def measured(objective, oracle, *operators):
    """How far numbers over ranks are from calculus in one process, over its norms."""
    worker = Worker(objective)
    surface = worker.surface
    probe = surface.space.probe(0, 0)
    gradient = surface.space.zeros()
    surface.gradient(gradient)
    found = {"gradient": whole(surface, gradient)}
    names = ("hessian", "hessian_one_reduction", *operators)
    found |= {
        name: whole(surface, OPERATORS[name](surface, 1e-4).matvec(probe).vector) for name in names
    }
    errors = {"loss": abs(surface.loss / oracle["loss"] - 1)}
    for name, vector in found.items():
        right = oracle[name if name in oracle else "hessian"]
        errors[name] = float((vector.double() - right).norm() / right.norm())
    started = worker.describe()
    return {
        "errors": errors,
        "mesh": started.mesh,
        "data_ranks": started.data_ranks,
        "notes": started.notes,
        "kinds": {kind: len(names) for kind, names in sharding.kinds(objective.module).items()},
    }


def against_dense(module, *operators, loss=meshes.loss, batches=None, experts=False, **options):
    batches = meshes.sequences() if batches is None else batches
    plain = meshes.transformer(experts=experts)
    oracle = meshes.dense(plain, meshes.loss, batches)
    if "gauss_newton" in operators:
        oracle["gauss_newton"] = meshes.dense_gauss_newton(plain, batches)
        options = {"outputs": meshes.outputs, "terms": meshes.terms, **options}
    return measured(Objective(module, loss, batches, **options), oracle, *operators)


@case()
def fsdp():
    return against_dense(meshes.sharded(meshes.transformer(), line()), "exact")


@case()
def tensor_parallel_beside_plain_parameters():
    return against_dense(meshes.split_layers(meshes.transformer(), line("tp")))


@case()
def sequence_parallel():
    module = meshes.split_sequences(meshes.transformer(), line("tp"))
    ragged = meshes.sequences()
    ragged[1] = ragged[1][:1]  # ranks that were given different batches could not meet
    return against_dense(module, "gauss_newton", batches=ragged)


@case(only=2)
def exact_products_of_tensor_parallel_parameters():
    module = meshes.split_sequences(meshes.transformer(), line("tp"))
    return against_dense(module, "exact")


@case(only=2)
def plain_parameters_with_other_gradients():
    """Each rank adds its own share of the sequence's bias, and nobody sums its gradient."""

    class Apart(nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.inner, self.bias = inner, nn.Parameter(torch.zeros(meshes.VOCABULARY).double())

        def forward(self, ids):
            return self.inner(ids) + self.bias * (1.0 + dist.get_rank())

    module = Apart(meshes.split_layers(meshes.transformer(), line("tp")))
    return against_dense(module)


@case()
def context_by_name():
    mesh = line("cp")
    module = meshes.with_context(meshes.transformer(), mesh)
    terms = meshes.terms_over(mesh)
    return against_dense(meshes.sharded(module, mesh), "gauss_newton", terms=terms)


@case()
def context_flattened():
    """As torchtitan: FSDP over both dimensions in one, whose parts the root mesh still names."""
    mesh = square("dp", "cp")
    module = meshes.with_context(meshes.transformer(), mesh["cp"])
    return against_dense(meshes.sharded(module, mesh["dp", "cp"]._flatten("dp_cp")))


@case()
def context_by_no_name():
    module = meshes.with_context(meshes.transformer(), square("a", "b")["b"])
    return against_dense(meshes.sharded(module, line()))


@case(only=4)
def context_over_distant_ranks():
    module = meshes.with_context(meshes.transformer(), square("a", "b")["a"])
    return against_dense(meshes.sharded(module, line()))


@case()
def context_of_one_batch():
    """No second batch to change it for: its own tokens, moved on."""
    module = meshes.with_context(meshes.transformer(), square("a", "b")["b"])
    return against_dense(meshes.sharded(module, line()), batches=meshes.sequences(1))


@case()
def context_as_stated():
    mesh = square("a", "b")
    module = meshes.with_context(meshes.transformer(), mesh["b"])
    return against_dense(meshes.sharded(module, line()), data=mesh["a"])


@case()
def context_against_what_is_stated():
    mesh = line()
    module = meshes.with_context(meshes.transformer(), square("a", "b")["b"])
    return against_dense(meshes.sharded(module, mesh), data=mesh)


@case()
def whole_losses_from_all_batches():
    """Each rank adds the mean of all ranks' losses to its own, as with shared negatives."""

    def shared(module, ids):
        total, weight = meshes.loss(module, ids)
        every = torch.distributed.nn.functional.all_reduce(total.clone())
        return total + 0.1 * every, weight

    return against_dense(meshes.sharded(meshes.transformer(), line()), loss=shared)


class Synchronised(nn.SyncBatchNorm):
    """Statistics of all ranks' batches; torch's own are for GPUs."""

    def forward(self, x):
        mean = x.mean(0)
        if dist.get_world_size() > 1 and self.joined:
            mean = torch.distributed.nn.functional.all_reduce(mean) / dist.get_world_size()
        return (x - mean) * self.weight + self.bias


@case()
def synchronised_batch_normalisation():
    def build(joined):
        torch.manual_seed(0)
        norm = Synchronised(5, track_running_stats=False)
        norm.joined = joined
        return nn.Sequential(nn.Linear(3, 5), norm, nn.Tanh(), nn.Linear(5, 2)).double().eval()

    def loss(module, batch):
        return (module(batch[0]) - batch[1]).square().sum(), len(batch[0])

    batches = [(toys.numbers(4, 3, seed=i), toys.numbers(4, 2, seed=9 + i)) for i in range(4)]
    module = build(True)
    fully_shard(module, mesh=line())
    return measured(Objective(module, loss, batches), meshes.dense(build(False), loss, batches))


@case(only=2)
def nothing_to_change():
    """The loss knows no batch: whether ranks share activations cannot be found out."""

    def loss(module, _):
        return module(torch.eye(3).double()).square().sum(), 3

    torch.manual_seed(0)
    plain = nn.Linear(3, 2).double()
    torch.manual_seed(0)
    module = nn.Linear(3, 2).double()
    fully_shard(module, mesh=line())
    return measured(Objective(module, loss, [None]), meshes.dense(plain, loss, [None]))


def experts(*factors, dtype=torch.float64):
    module = meshes.with_experts(line(), square("efsdp", "ep"), factors, dtype=dtype)
    more = ("gauss_newton",) if dtype == torch.float64 else ()
    return against_dense(module, *more, experts=True)


@case()
def experts_summed_as_all_others():
    return experts(1.0, 1.0)


@case()
def experts_of_which_nobody_thought():
    """FSDP divides their gradients by their own mesh, which is smaller."""
    return experts(None, None)


@case()
def experts_divided_as_all_others():
    return experts(None, float(dist.get_world_size()))


@case(only=2)
def exact_products_of_experts():
    module = meshes.with_experts(line(), square("efsdp", "ep"), (1.0, 1.0))
    return against_dense(module, "exact", experts=True)


@case(only=2)
def experts_in_float32():
    return experts(None, float(dist.get_world_size()), dtype=torch.float32)


@case(only=4)
def fsdp_and_tensor_parallel():
    mesh = square("dp", "tp")
    module = meshes.split_sequences(meshes.transformer(), mesh["tp"])
    return against_dense(meshes.sharded(module, mesh["dp"]))


@case(only=4)
def fsdp_and_tensor_parallel_beside_plain_parameters():
    mesh = square("dp", "tp")
    module = meshes.split_layers(meshes.transformer(), mesh["tp"])
    return against_dense(meshes.sharded(module, mesh["dp"]))


@case(only=4)
def hybrid():
    return against_dense(meshes.sharded(meshes.transformer(), square("replicate", "shard")))


@case(only=4)
def replicas_that_differ():
    mesh = square("replicate", "shard")
    module = meshes.sharded(meshes.transformer(), mesh)
    sharding.local(module.head.weight).add_(0.1 * mesh.get_local_rank("replicate"))
    return against_dense(module)


@case(only=4)
def data_over_a_part_of_the_ranks():
    half = torch.distributed.device_mesh.DeviceMesh("cpu", [0, 1])
    return against_dense(meshes.sharded(meshes.transformer(), line()), data=half)


@case(only=4)
def data_over_unequal_parts():
    part = [0, 1, 2] if dist.get_rank() < 3 else [3]
    groups = [dist.new_group([0, 1, 2]), dist.new_group([3])]
    uneven = torch.distributed.device_mesh.DeviceMesh.from_group(
        groups[len(part) == 1], "cpu", mesh_dim_names=("dp",)
    )
    return against_dense(meshes.sharded(meshes.transformer(), line()), data=uneven)


@case(only=2)
def distributed_data_parallel():
    return against_dense(DistributedDataParallel(meshes.transformer()))


@case(only=2)
def composable_replicate_on_fsdp():
    mesh, module = line("replicate"), meshes.transformer()
    for layer in module.layers:
        replicate(layer, mesh=mesh)
    replicate(module, mesh=mesh)
    return against_dense(module)


@case(only=2)
def older_fsdp():
    module = FullyShardedDataParallel(
        meshes.transformer(), use_orig_params=True, device_id=torch.device("cpu")
    )
    return against_dense(module)


@case(only=2)
def older_fsdp_with_flat_parameters():
    return against_dense(
        FullyShardedDataParallel(meshes.transformer(), device_id=torch.device("cpu"))
    )


@case(only=2)
def older_replicate():
    return against_dense(replicate_of_old(meshes.transformer()))


@case(only=2)
def pipeline_stages():
    module = meshes.transformer()
    stages = ((module.embedding, *module.layers), (module.norm, module.head))
    return against_dense(nn.Sequential(*stages[dist.get_rank()]))


@case(only=2)
def quantised_frozen_parameters():
    module = meshes.transformer()
    table = nn.Parameter(torch.ones(4, 4, dtype=torch.int8), requires_grad=False)
    module.register_parameter("table", table)
    return against_dense(meshes.sharded(module, line()))


@case(only=2)
def distributed_by_hand():
    """`distribute_tensor` of every parameter, and no parallel style."""
    mesh = line("tp")
    torch.manual_seed(0)
    plain = nn.Linear(4, 6).double()
    torch.manual_seed(0)
    module = nn.Linear(4, 6).double()
    for name, place in (("weight", Shard(0)), ("bias", Replicate())):
        part = distribute_tensor(getattr(module, name).detach(), mesh, [place])
        setattr(module, name, nn.Parameter(part))

    def loss(module, x):
        if isinstance(module.weight, type(module.bias)) and hasattr(module.weight, "full_tensor"):
            x = distribute_tensor(x, mesh, [Replicate()])
        total = module(x).sin().square().sum()
        return total, len(x)

    batches = [toys.numbers(3 + i, 4, seed=i) for i in range(3)]
    return measured(Objective(module, loss, batches), meshes.dense(plain, loss, batches))


# Plain modules, which the job shards.


def sharded_by_the_job(build, loss, batches):
    module = build()
    objective = Objective(module, loss, batches)
    shard_plain(objective)
    result = measured(objective, meshes.dense(build(), loss, batches))
    return result | {"whole": sum(map(sharding.summed_here, module.parameters()))}


@case(only=2)
def plain_transformer():
    return sharded_by_the_job(meshes.transformer, meshes.loss, meshes.sequences())


def squares(module, batch):
    return (module(batch[0]) - batch[1]).square().sum(), len(batch[0])


def pairs():
    return [(toys.numbers(4, 3, seed=i), toys.numbers(4, 2, seed=9 + i)) for i in range(4)]


@case()
def plain_with_tied_layers_scalar_and_batch_norm():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last = nn.Linear(3, 4), nn.Linear(4, 2)
            self.layers = nn.ModuleList(nn.Linear(4, 4) for _ in range(3))
            self.layers[2].weight = self.layers[0].weight
            self.scale, self.norm = nn.Parameter(torch.tensor(0.7)), nn.BatchNorm1d(4)

        def forward(self, x):
            x = self.norm(self.first(x))
            for layer in self.layers:
                x = torch.tanh(layer(x)) * self.scale
            return self.last(x)

    def build():
        torch.manual_seed(0)
        module = Net().double()
        module.norm.running_mean.uniform_()
        return module.eval()

    return sharded_by_the_job(build, squares, pairs())


@case(only=2)
def plain_whose_children_are_called():
    def build():
        torch.manual_seed(0)
        return nn.ModuleDict({"in": nn.Linear(3, 4), "out": nn.Linear(4, 2)}).double().eval()

    def loss(module, batch):
        z = module["out"](torch.tanh(module["in"](batch[0])))
        return (z - batch[1]).square().sum(), len(batch[0])

    return sharded_by_the_job(build, loss, pairs())


@case(only=2)
def plain_with_a_penalty():
    def build():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double().eval()

    def loss(module, batch):
        penalty = sum(parameter.square().sum() for parameter in module.parameters())
        total, weight = squares(module, batch)
        return total + 0.1 * weight * penalty, weight

    return sharded_by_the_job(build, loss, pairs())


@case(only=2)
def plain_with_quantised_parameters():
    def build():
        torch.manual_seed(0)
        module = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double().eval()
        table = nn.Parameter(torch.ones(3, dtype=torch.int8), requires_grad=False)
        module[0].register_parameter("table", table)
        return module

    return sharded_by_the_job(build, squares, pairs())


@case(only=2)
def plain_with_derivatives_by_inputs():
    """Its loss holds the slope of the outputs, as of energies and forces."""

    def build():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double().eval()

    def loss(module, batch):
        x = batch[0].clone().requires_grad_()
        z = module(x)
        (force,) = torch.autograd.grad(z.sum(), x, create_graph=True)
        return (z - batch[1]).square().sum() + force.square().sum(), len(x)

    return sharded_by_the_job(build, loss, pairs())


@case(only=2)
def plain_with_function_transforms():
    def build():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double().eval()

    def loss(module, batch):
        slope = torch.func.vmap(torch.func.jacrev(module))(batch[0])
        return slope.square().sum() + module(batch[0]).square().sum(), len(batch[0])

    return sharded_by_the_job(build, loss, pairs())


class Unsharded(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = small.network().double()

    def forward(self, x):
        return self.net(x)


@case(only=2)
def plain_by_the_name_of_a_function():
    objective = build(JobOptions(model="__main__:plain_objective"), line())
    assert isinstance(objective.module.net[0].weight, DTensor)
    expected = plain_objective()
    return measured(objective, meshes.dense(expected.module, small.loss, expected.batches))


def plain_objective():
    """What `hessview.launch` is given the name of."""
    batches = [(x.double(), y.double()) for x, y in small.batches()]
    return Objective(Unsharded(), small.loss, batches)


@case(only=2)
def plain_and_unlike():
    module = nn.Linear(3, 2).double()
    with torch.no_grad():
        module.bias.add_(dist.get_rank())
        module.weight.zero_()
    shard_plain(Objective(module, squares, pairs()))


@case(only=2)
def plain_without_numbers():
    with torch.device("meta"):
        module = nn.Linear(3, 2)
    shard_plain(Objective(module, squares, pairs()))


@case(only=2)
def plain_and_served():
    Worker(Objective(nn.Linear(3, 2).double(), squares, pairs()))


@case(only=2)
def recorded():
    """A run through the worker, on coupled ranks: its notes go into the record."""
    module = meshes.with_context(meshes.transformer(), square("a", "b")["b"])
    worker = Worker(Objective(meshes.sharded(module, line()), meshes.loss, meshes.sequences()))
    started, *_, ended = worker.execute(Density(steps=2, probes=1, error_every=0))
    return {"notes": started.notes, "state": ended.state}


def main(path, *wanted):
    dist.init_process_group("gloo", timeout=timedelta(seconds=240))
    world, rank = dist.get_world_size(), dist.get_rank()
    results = {}
    for name, function in {**CASES, **ONLY[world]}.items():
        if wanted and name not in wanted:
            continue
        try:
            result = function()
        except HessviewError as error:
            result = f"{type(error).__name__}: {error}"
        except BaseException:
            print(f"rank {rank} in {name}:", file=sys.stderr)
            traceback.print_exc()
            raise
        every = [None] * world
        dist.all_gather_object(every, result)
        results[name] = every
        if wanted and rank == 0:
            print(name, *every, sep="\n   ", flush=True)
    if rank == 0:
        torch.save(results, path)
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    main(*sys.argv[1:])
    leave()
