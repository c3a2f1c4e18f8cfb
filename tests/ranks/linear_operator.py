"""What job/test_linear_operator_ranks.py compares, on each rank."""

import sys

import numpy as np
import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh

import hessview
from helpers import toys
from hessview.errors import HessviewError
from hessview.job import sharding
from hessview.job.leaving import leave

EPSILON = 1e-4  # of float64 products, so that all worlds take the same step


def products(shard):
    """Products of every operator, on whole vectors."""
    found = {}
    for name in hessview.operators:
        objective = toys.gpt()
        if shard is not None:
            sharding.shard(objective.module, shard)
        op = hessview.operator(objective, name, epsilon=EPSILON)
        vector = np.random.default_rng(0).standard_normal(op.shape[0])
        found[name] = op @ vector
    return found


def refusals(shard):
    """What is refused on all ranks alike, and that a product follows nevertheless."""
    objective = toys.gpt()
    sharding.shard(objective.module, shard)
    op = hessview.operator(objective, epsilon=EPSILON)
    texts = []
    zeros, rank = np.zeros(op.shape[0]), dist.get_rank()
    for vector in (zeros + rank, np.full(op.shape[0], np.nan) if rank else zeros):
        try:
            op @ vector
        except HessviewError as error:
            texts.append(str(error))
    vector = np.random.default_rng(0).standard_normal(op.shape[0])
    after = op @ vector
    if rank:
        with torch.no_grad():
            next(objective.module.parameters()).to_local().add_(1.0)
    try:
        op @ vector
    except HessviewError as error:
        texts.append(str(error))
    told = [None] * dist.get_world_size()
    dist.all_gather_object(told, texts)
    return {"texts": told, "after": after}


def main(path):
    dist.init_process_group("gloo")
    mesh = init_device_mesh("cpu", (dist.get_world_size(),), mesh_dim_names=("shard",))
    results = {"products": products(mesh), "refusals": refusals(mesh)}
    if dist.get_rank() == 0:
        torch.save(results, path)
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    main(sys.argv[1])
    leave()
