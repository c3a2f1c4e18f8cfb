"""What job/estimators/test_accuracy.py compares, on each rank."""

import sys

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh

from helpers import toys
from hessview.job import sharding
from hessview.job.leaving import leave
from hessview.job.worker import Worker
from hessview.record.commands import Accuracy, EpsilonSweep, FractionSweep
from hessview.record.events import Reading

COMMANDS = {
    "exact": Accuracy(probes=1, epsilons=(1e-5, 1e-3, 1e-1), reference="exact"),
    "richardson": Accuracy(probes=1, top=False, epsilons=(1e-3, 1e-2), reference="richardson"),
    "epsilons": EpsilonSweep(epsilons=(1e-4, 1e-2), steps=4),
    "fractions": FractionSweep(fractions=(0.3, 1.0), steps=4),
}


def measured(worker, command):
    """Readings by index, without times; and the run's state and error."""
    payloads = list(worker.execute(command))
    rows = {
        tuple(p.index.items()): {k: v for k, v in p.values.items() if "seconds" not in k}
        for p in payloads
        if isinstance(p, Reading)
    }
    return rows, (payloads[-1].state, payloads[-1].error)


def main(path):
    dist.init_process_group("gloo")
    mesh = init_device_mesh("cpu", (dist.get_world_size(),), mesh_dim_names=("shard",))
    objective = toys.gpt()
    sharding.shard(objective.module, mesh)
    worker = Worker(objective)
    before = [shard.clone() for shard in worker.surface.shards()]
    results = {name: measured(worker, command) for name, command in COMMANDS.items()}
    results["restored"] = all(map(torch.equal, before, worker.surface.shards()))
    everywhere = [None] * dist.get_world_size()
    dist.all_gather_object(everywhere, results)
    assert all(repr(other) == repr(results) for other in everywhere), "ranks read other numbers"
    if dist.get_rank() == 0:
        torch.save(results, path)
    dist.destroy_process_group()


if __name__ == "__main__":
    main(sys.argv[1])
    leave()
