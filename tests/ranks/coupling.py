"""What job/estimators/test_coupling.py compares, on each rank."""

import sys

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh

from helpers import toys
from hessview.job import sharding
from hessview.job.control import Reduction
from hessview.job.estimators.coupling import coupling
from hessview.job.leaving import leave
from hessview.job.loss import ShardedLoss
from hessview.job.worker import Worker
from hessview.record.commands import Coupling
from hessview.record.events import Reading

CUSTOM = {"attention": "*.qkv.*", "mlp": "*.up.*"}
COMMANDS = {
    "layers": Coupling(probes=2, epsilon=2e-4),
    "custom": Coupling(probes=1, epsilon=2e-4, blocks=CUSTOM),
    "bad": Coupling(probes=1, blocks={"all": "*", "mlp": "*.up.*"}),
}


def measured(worker, command):
    """Readings by index, without times; and the run's state and error."""
    payloads = list(worker.execute(command))
    rows = {
        tuple(p.index.items()): {k: v for k, v in p.values.items() if k != "seconds"}
        for p in payloads
        if isinstance(p, Reading)
    }
    return rows, (payloads[-1].state, payloads[-1].error)


def gated(mesh, compute_dtype, epsilon):
    """Disagreement and D of a float32 model."""
    objective = toys.gpt(dtype=torch.float32)
    sharding.shard(objective.module, mesh, compute_dtype=compute_dtype)
    surface = ShardedLoss(objective, Reduction())
    surface.measure()
    *_, whole = coupling(Coupling(probes=1, epsilon=epsilon), surface)
    return whole.values["disagreement"], whole.values["product_error"]


def main(path):
    dist.init_process_group("gloo")
    mesh = init_device_mesh("cpu", (dist.get_world_size(),), mesh_dim_names=("shard",))
    objective = toys.gpt()
    sharding.shard(objective.module, mesh)
    worker = Worker(objective)
    before = [shard.clone() for shard in worker.surface.shards()]
    results = {name: measured(worker, command) for name, command in COMMANDS.items()}
    results["restored"] = all(map(torch.equal, before, worker.surface.shards()))
    results["bfloat16, bad step"] = gated(mesh, torch.bfloat16, 1e-4)
    results["float32, auto"] = gated(mesh, None, "auto")
    everywhere = [None] * dist.get_world_size()
    dist.all_gather_object(everywhere, results)
    assert all(repr(other) == repr(results) for other in everywhere), "ranks read other numbers"
    if dist.get_rank() == 0:
        torch.save(results, path)
    dist.destroy_process_group()


if __name__ == "__main__":
    main(sys.argv[1])
    leave()
