"""Trains for some steps, and writes what is left: torchrun identity.py --kind KIND --out DIR.

With a run directory, the job measures at every fifth step, between backward pass and optimizer
step, where gradients are in use.
"""

import argparse
import contextlib
import hashlib
import json
import pathlib
import random

import numpy as np
import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel

import hessview
from hessview.job.leaving import leave

STEPS = 26
MEASURED = {
    "density": {"steps": 4, "probes": 1},
    "coupling": {"probes": 1},
    "accuracy": {"epsilons": [1e-3, 1e-2], "probes": 1},
    "fraction_sweep": {"fractions": [0.5, 1.0], "steps": 3, "probes": 1},
}


class Noisy(nn.Module):
    """Counts its passes and draws from all three generators; uses that only while it trains."""

    def __init__(self):
        super().__init__()
        self.register_buffer("passes", torch.zeros((), dtype=torch.int64))

    def forward(self, x):
        self.passes += 1
        jitter = 1e-3 * (random.random() + np.random.rand() + torch.rand(()).item())
        return x + jitter if self.training else x


def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(8, 16), nn.BatchNorm1d(16), Noisy(), nn.Tanh(), nn.Dropout(0.3), nn.Linear(16, 4)
    )


def spread(module, kind):
    if kind == "single":
        return module
    if kind == "ddp":
        return DistributedDataParallel(module, gradient_as_bucket_view=True)
    names = ("replicate", "shard") if kind == "hsdp" else ("shard",)
    mesh = init_device_mesh("cpu", (2, 1)[: len(names)], mesh_dim_names=names)
    for child in (module[0], module[5]):
        fully_shard(child, mesh=mesh)
    return fully_shard(module, mesh=mesh)


def loss(module, batch):
    inputs, targets = batch
    return 0.5 * (module(inputs) - targets).square().sum(), len(inputs)


def left(value):
    """Digest of tensors and numbers, to the last bit."""
    state = hashlib.blake2b(digest_size=8)

    def walk(entry):
        if isinstance(entry, dict):
            for key, inner in entry.items():
                state.update(str(key).encode())
                walk(inner)
        elif isinstance(entry, list | tuple):
            for inner in entry:
                walk(inner)
        elif isinstance(entry, torch.Tensor):
            entry = entry.detach()
            plain = entry.to_local() if hasattr(entry, "to_local") else entry
            state.update(plain.contiguous().flatten().view(torch.uint8).numpy().tobytes())
        elif isinstance(entry, np.ndarray):
            state.update(entry.tobytes())
        else:
            state.update(repr(entry).encode())

    walk(value)
    return state.hexdigest()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--kind", required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--run-dir")
    options = parser.parse_args()
    rank = 0
    if options.kind != "single":
        dist.init_process_group("gloo")
        rank = dist.get_rank()
    module = spread(network(), options.kind)
    optimizer = torch.optim.AdamW(module.parameters(), lr=1e-2)
    data = torch.Generator().manual_seed(1)
    batches = [(torch.randn(16, 8, generator=data), torch.randn(16, 4, generator=data))] * 4
    for seed in (random.seed, np.random.seed, torch.manual_seed):
        seed(rank)

    losses = []
    with contextlib.ExitStack() as stack:
        job = None
        if options.run_dir:
            objective = hessview.Objective(module, loss, batches, name="identity")
            job = stack.enter_context(hessview.serve(objective, options.run_dir, evaluation=True))
            job.record(every=5, **MEASURED)
        for step in range(STEPS):
            optimizer.zero_grad()
            total, weight = loss(module, batches[(step + rank) % 4])
            (total / weight).backward()
            if job is not None:
                job.poll(step=step)
            optimizer.step()
            losses.append(total.item())
    named = dict(module.named_parameters())
    found = {
        "losses": losses,
        "parameters": left(named),
        "gradients": left({name: value.grad for name, value in named.items()}),
        "optimizer": left(optimizer.state_dict()["state"]),
        "buffers": left(dict(module.named_buffers())),
        "modes": [child.training for child in module.modules()],
        "random": left([random.getstate(), np.random.get_state(), torch.get_rng_state()]),
    }
    (options.out / f"rank-{rank}.json").write_text(json.dumps(found))
    if dist.is_initialized():
        dist.barrier()
        dist.destroy_process_group()


if __name__ == "__main__":
    main()
    leave()
