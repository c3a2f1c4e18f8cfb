"""A loop with Accelerate, three times: plain, served, and measured; writes what is left of each.

torchrun accelerated.py --kind ddp|fsdp --out DIR
"""

import argparse
import contextlib
import json
import pathlib

import small
import torch
import torch.distributed as dist
from accelerate import Accelerator, FullyShardedDataParallelPlugin
from accelerate_on_cpu import shard_on_cpu
from identity import left
from torch import nn

import hessview
from hessview.job.leaving import leave

STEPS = 6
EVERY = 3
DENSITY = {"steps": 3, "probes": 1}


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Dropout(0.3), nn.Linear(16, 4))


def train(kind, run_dir, *, measured):
    plugin = None
    if kind == "fsdp":
        plugin = FullyShardedDataParallelPlugin(
            fsdp_version=2,
            auto_wrap_policy="transformer_based_wrap",
            transformer_cls_names_to_wrap=["Linear"],
        )
    accelerator = Accelerator(cpu=True, gradient_accumulation_steps=2, fsdp_plugin=plugin)
    model = network()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    model, optimizer = accelerator.prepare(model, optimizer)
    data = small.batches()
    torch.manual_seed(accelerator.process_index)
    losses = []
    with contextlib.ExitStack() as stack:
        job = None
        if run_dir:
            objective = hessview.Objective(model, small.loss, data, name="accelerated")
            job = stack.enter_context(hessview.serve(objective, run_dir, evaluation=True))
            if measured:
                job.record(every=EVERY, density=DENSITY)
        step = 0
        for micro in range(2 * STEPS):
            with accelerator.accumulate(model):
                total, weight = small.loss(model, data[(micro + accelerator.process_index) % 4])
                accelerator.backward(total / weight)
                optimizer.step()
                optimizer.zero_grad()
            losses.append(total.item())
            if accelerator.sync_gradients:
                step += 1
                if job is not None:
                    job.poll(step=step)
    return model, {
        "losses": losses,
        "parameters": left(dict(model.named_parameters())),
        "optimizer": left(optimizer.state_dict()["state"]),
        "modes": [child.training for child in model.modules()],
        "random": left(torch.get_rng_state()),
    }


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--kind", required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    options = parser.parse_args()
    shard_on_cpu()
    found = {}
    for mode in ("plain", "served", "measured"):
        run_dir = None if mode == "plain" else options.out / mode
        model, found[mode] = train(options.kind, run_dir, measured=mode == "measured")
        found["wrapped"] = type(model).__name__
    (options.out / f"rank-{dist.get_rank()}.json").write_text(json.dumps(found))
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
    leave()
