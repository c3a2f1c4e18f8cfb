"""What job/test_untrained.py compares with one process, on each rank."""

import sys

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import Shard

from helpers.frozen import frozen, padded
from hessview.job import sharding
from hessview.job.control import Reduction
from hessview.job.leaving import leave
from hessview.job.loss import ShardedLoss
from hessview.job.objective import Objective
from hessview.job.untrained import without_gradient
from hessview.operators import OPERATORS
from ranks.numerics import whole

EPSILON = 1e-4  # as in test_untrained.py


def products(objective):
    """Products of one probe, and what is said of the elements that are held."""
    surface = ShardedLoss(objective, Reduction())
    surface.measure()
    surface = ShardedLoss(objective, Reduction(), held=without_gradient(surface))
    surface.measure()
    probe = surface.space.probe(0, 0)
    return {
        "size": surface.space.size,
        "notes": surface.untrained(),
        "probe": whole(surface, probe),
        **{
            name: whole(surface, OPERATORS[name](surface, EPSILON).matvec(probe).vector)
            for name in ("hessian", "hessian_one_reduction", "gauss_newton", "exact")
            if objective.outputs or name != "gauss_newton"
        },
    }


def by_rows(objective, mesh):
    sharding.shard(objective.module, mesh)
    return objective


def by_columns(objective, mesh):
    def place(parameter):  # of even width, which is all that FSDP takes
        return Shard(1) if parameter.ndim > 1 and parameter.shape[1] % 2 == 0 else Shard(0)

    fully_shard(objective.module, mesh=mesh, shard_placement_fn=place)
    return objective


def replicated(objective, mesh):
    module = nn.parallel.DistributedDataParallel(objective.module, find_unused_parameters=True)
    return Objective(
        module,
        objective.loss,
        objective.batches,
        outputs=objective.outputs,
        terms=objective.terms,
    )


def main(path):
    dist.init_process_group("gloo")
    mesh = init_device_mesh("cpu", (dist.get_world_size(),), mesh_dim_names=("shard",))
    results = {}
    for how in (by_rows, by_columns, replicated):
        results["padded", how.__name__] = products(how(padded(tied=True), mesh))
        results["frozen", how.__name__] = products(how(frozen("rows"), mesh))
    if dist.get_rank() == 0:
        torch.save(results, path)
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    main(sys.argv[1])
    leave()
