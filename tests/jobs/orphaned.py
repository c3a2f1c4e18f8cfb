"""A training of two ranks whose torchrun dies: python -m torch.distributed.run ... RUN OUT WHEN."""

import hashlib
import os
import signal
import sys
import time
from pathlib import Path

import torch
import torch.distributed as dist
from small import batches, loss, network
from torch.nn.parallel import DistributedDataParallel

import hessview

run_dir, out, dies = sys.argv[1:]
dist.init_process_group("gloo")
rank = dist.get_rank()
module = network()
wrapped = DistributedDataParallel(module)
optimizer = torch.optim.SGD(module.parameters(), lr=1e-3)
objective = hessview.Objective(wrapped, loss, batches(), name="orphaned")
with hessview.serve(objective, run_dir) as job:
    job.record(every=3, density={"steps": 3, "probes": 1})
    for step in range(6):
        total, _ = loss(wrapped, batches()[rank])
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        if dies == f"at step {step}" and rank == 0:
            os.kill(os.getppid(), signal.SIGKILL)
            time.sleep(0.2)
        time.sleep(1.6 * rank)  # rank 0 waits in the poll, and tells the others so by the store
        job.poll(step=step)
weights = torch.cat([p.detach().reshape(-1) for p in module.parameters()])
if rank == 0:
    draft = Path(f"{out}.draft")
    draft.write_text(hashlib.blake2b(weights.numpy().tobytes()).hexdigest())
    draft.rename(out)
dist.destroy_process_group()
