"""A user's own training script: torchrun training.py --run-dir DIR."""

import argparse
import os
import time

import small
import torch
import torch.distributed as dist
from torch.distributed.fsdp import fully_shard

import hessview
from hessview.job.leaving import leave


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--run-dir", required=True)
    run_dir = parser.parse_args().run_dir
    dist.init_process_group("gloo")
    module = small.network()
    fully_shard(module[0])
    fully_shard(module)
    optimizer = torch.optim.SGD(module.parameters(), lr=1e-2)
    data = small.batches()
    objective = hessview.Objective(module, small.loss, data, name="training")

    step = 0
    with hessview.serve(objective, run_dir=run_dir) as job:
        while not os.path.exists(f"{run_dir}/enough"):
            total, weight = small.loss(module, data[step % len(data)])
            (total / weight).backward()
            optimizer.step()
            # Left over from the user's own pass: a measurement must give it back as it was.
            before = [parameter.grad.to_local().clone() for parameter in module.parameters()]
            weights = [parameter.to_local().clone() for parameter in module.parameters()]
            job.poll(step=step)
            for parameter, gradient, weight in zip(
                module.parameters(), before, weights, strict=True
            ):
                assert torch.equal(parameter.grad.to_local(), gradient)
                assert torch.equal(parameter.to_local(), weight)
            optimizer.zero_grad()
            step += 1
            time.sleep(0.02)
    if dist.get_rank() == 0:
        print(f"trained for {step} steps", flush=True)
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
    leave()
