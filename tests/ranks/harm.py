"""Two ranks that do not fail alike."""

import logging
import pathlib
import sys
import time

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

import hessview
from hessview.job import job as job_module
from hessview.job.leaving import leave
from hessview.operators import Hessian
from hessview.record.commands import Density
from jobs import small

RANK: int
FAULT = {"rank": -1, "calls": 0}


def loss(module, batch):
    if FAULT["rank"] == RANK:
        FAULT["calls"] -= 1
        if FAULT["calls"] == 0:
            raise KeyError("of one rank")
    return small.loss(module, batch)


class Wordy(Hessian):
    about = object()


class Refusing(Hessian):
    def __init__(self, surface, epsilon):
        super().__init__(surface, epsilon)
        if RANK == 1:
            raise ValueError("not on rank 1")


def weights(job):
    return [shard.clone() for shard in job.worker.surface.shards()]


def run(job, command, step):
    """How a run ended by rank 0's record, and whether it left all as it was."""
    before = weights(job)
    if RANK == 0:
        job.mailbox.submit(f"run-{step}", command)
    job.poll(step=step)
    text = ""
    if RANK == 0:
        (end,) = (
            event.payload
            for event in job.mailbox.events(0, 0.0)
            if event.run == f"run-{step}" and event.payload.kind == "run_ended"
        )
        text = f"{end.state} {end.error}"
    return text, all(map(torch.equal, before, weights(job)))


def survived(folder):
    """Errors of one rank in what it does by itself; and a good run after each."""
    results = {}
    job = hessview.serve(small.build(loss), folder / "survived")
    good = Density(steps=3, probes=1)
    step = 0

    def both(name, command):
        nonlocal step
        results[name] = run(job, command, step)
        FAULT.update(rank=-1)
        results[f"after {name}"] = run(job, good, step + 1)
        step += 2

    both(
        "an operator that rank 1 refuses",
        Density(steps=3, probes=1, operator="ranks.harm:Refusing"),
    )
    results["no_sync"] = no_sync(folder)
    both("words that are none", Density(steps=3, probes=1, operator="ranks.harm:Wordy"))
    # The loss is called twice a gradient, and the reference calls it on gathered parameters.
    FAULT.update(rank=1, calls=3)
    both("double backward", Density(steps=3, probes=1, operator="exact"))
    job.close()
    return results


def no_sync(folder):
    """A loss fails after DDP's forward pass; then gradients are accumulated, each rank its own."""
    armed = []

    def loss(module, batch):
        total, weight = small.loss(module, batch)
        if armed:
            raise ValueError("after forward")
        return total, weight

    module = DistributedDataParallel(small.network())
    job = hessview.serve(hessview.Objective(module, loss, small.batches()), folder / "no_sync")
    armed.append(True)
    failed, _ = run(job, Density(steps=2, probes=1), 0)
    with module.no_sync():
        small.loss(module, small.batches()[RANK])[0].backward()
    own = [parameter.grad.clone() for parameter in module.parameters()]
    plain = small.network()
    small.loss(plain, small.batches()[RANK])[0].backward()
    expected = [parameter.grad for parameter in plain.parameters()]
    job.close()
    return failed, all(map(torch.equal, own, expected))


def apart(folder):
    """Both fail, but rank 1 in the middle of a backward pass, and rank 0 before it."""
    module = DistributedDataParallel(small.network(), broadcast_buffers=False, bucket_cap_mb=1e-5)
    armed = []

    def bad(*_):
        if armed and RANK == 1:
            raise ValueError("in backward")

    def hooked(_, inputs, output):
        output.register_hook(bad)

    # Hooks on modules' gradients are set aside, those on tensors are a part of the forward pass.
    module.module[1].register_forward_hook(hooked)

    def loss(module, batch):
        total, weight = small.loss(module, batch)
        if armed and RANK == 0:
            raise ValueError("in the loss")
        return total, weight

    objective = hessview.Objective(module, loss, small.batches()[:2])
    job = hessview.serve(objective, folder / "apart")
    before = weights(job)
    armed.append(True)
    text = "nothing was raised"
    if RANK == 0:
        job.mailbox.submit("run", Density(steps=2, probes=1))
    try:
        job.poll(step=0)
    except ValueError as error:
        text = f"{error}: {error.__notes__[0]}"
    return text, all(map(torch.equal, before, weights(job))), job.closed


def alone(folder):
    """Rank 1 fails, and rank 0 waits for it in a collective."""
    job = hessview.serve(small.build(loss), folder / "alone")
    FAULT.update(rank=1, calls=9)
    if RANK == 0:
        job.mailbox.submit("run", Density(steps=20, probes=1))
    job.poll(step=0)
    return "nothing was raised"


def main(path, case):
    global RANK
    dist.init_process_group("gloo")
    RANK = dist.get_rank()
    job_module._ALIKE = 1.0
    logging.getLogger("hessview").setLevel(logging.ERROR)
    # The operators of this script, by its name as a module.
    sys.modules["ranks.harm"] = sys.modules["__main__"]
    folder = pathlib.Path(path).parent
    began = time.monotonic()
    found = {"survived": survived, "apart": apart, "alone": alone}[case](folder)
    torch.save((found, time.monotonic() - began), f"{path}.{RANK}")
    while not all(pathlib.Path(f"{path}.{rank}").exists() for rank in range(2)):
        time.sleep(0.01)
    leave()


if __name__ == "__main__":
    main(*sys.argv[1:])
