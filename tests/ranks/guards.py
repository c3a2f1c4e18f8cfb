"""Two ranks that do not call the same things."""

import contextlib
import logging
import pathlib
import sys
import time

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel

import hessview
from hessview.errors import HessviewError
from hessview.job import control
from hessview.job.control import agree
from hessview.job.leaving import leave
from hessview.record.commands import Density
from jobs import small

RANK: int


def left_out(serve):
    """Rank 1 leaves out the poll of step 1, in which there is nothing to do."""
    with serve() as job:
        for step in range(3):
            if RANK == 0 or step != 1:
                job.poll(step=step)
        raise AssertionError("nobody noticed")


def never_comes(serve):
    """Rank 1 leaves the last poll out, and does something else meanwhile."""
    with serve() as job:
        job.poll(step=0)
        if RANK == 0:
            job.poll(step=1)
        time.sleep(4)
        raise KeyboardInterrupt


def unlike_kinds(serve):
    """Rank 1 does not say the step."""
    with serve() as job:
        job.poll(step=5 if RANK == 0 else None)


def another_collective(serve):
    """Rank 1 gathers something of its own where rank 0 has hessview gather errors."""
    if RANK == 0:
        with agree():
            pass
    else:
        dist.all_gather_object([None] * dist.get_world_size(), "words")


def first_to_close(serve):
    """Rank 1 leaves the loop early."""
    with serve() as job:
        for step in range(3 - RANK):
            job.poll(step=step)


def rank_0_closes(serve):
    """Rank 0 leaves the loop early."""
    with serve() as job:
        for step in range(2 + RANK):
            job.poll(step=step)
            if job.closed:
                job.poll(step=step)


def asked(job):
    """Ask for a run as a notebook would."""
    if RANK == 0:
        job.mailbox.submit("run", Density(steps=2, probes=1))


def told(job):
    """How the run ended, by rank 0's record."""
    if RANK == 0:
        events = job.mailbox.events(0, 0.0)
        (end,) = (one.payload for one in events if one.payload.kind == "run_ended")
        return end.error or end.state
    return ""


def without_step(serve):
    """Rank 1 leaves the first poll out: its polls come one weight change later than rank 0's."""
    job = serve()
    for step in range(3):
        job.worker.surface.shards()[0].add_(0.01)
        if step == 2:
            asked(job)
        if (RANK, step) != (1, 0):
            job.poll()
    if RANK == 1:
        job.poll()
    text = told(job)
    job.close()
    return text


def in_two_places(serve):
    """Rank 1 leaves out the poll that comes before the weights change."""
    with serve() as job:
        asked(job)
        if RANK == 0:
            job.poll(step=0)
        job.worker.surface.shards()[0].add_(0.01)
        if RANK == 1:
            job.poll(step=0)
        return told(job)


def in_one_place(serve):
    with serve() as job:
        asked(job)
        job.poll(step=0)
        return told(job)


def waiting(serve):
    """Nothing trains, and no step is told."""
    with serve() as job:
        asked(job)
        job.poll(wait=0.1)
        return told(job)


def part_of_ranks(kind):
    """A module of which each rank has one of its own."""
    mesh = init_device_mesh("cpu", (2, 1), mesh_dim_names=("apart", "shard"))
    module = small.network()
    if kind == "sharded":
        fully_shard(module, mesh=mesh["shard"])
    else:
        module = DistributedDataParallel(module, process_group=mesh["shard"].get_group())
    return hessview.Objective(module, small.loss, small.batches())


def main(path):
    global RANK
    dist.init_process_group("gloo")
    RANK = dist.get_rank()
    control._TICK, control._WORD, control._LIMIT = 0.1, 0.5, 2.0
    logged = []
    handler = logging.Handler()
    handler.emit = lambda record: logged.append(record.getMessage())
    logging.getLogger("hessview").addHandler(handler)
    folder = pathlib.Path(path).parent
    results = {}
    for case in (
        left_out,
        never_comes,
        unlike_kinds,
        another_collective,
        first_to_close,
        rank_0_closes,
        without_step,
        in_two_places,
        in_one_place,
        waiting,
    ):

        def serve(name=case.__name__):
            return hessview.serve(small.build(), folder / name)

        began = time.monotonic()
        text = ""
        try:
            text = case(serve) or ""
        except (HessviewError, AssertionError, KeyboardInterrupt) as error:
            text = f"{type(error).__name__}: {error}"
        results[case.__name__] = text, time.monotonic() - began
        dist.barrier()
    for kind in ("sharded", "replicated"):
        text = "nothing was refused"
        with contextlib.suppress(ZeroDivisionError):
            try:
                hessview.serve(part_of_ranks(kind), folder / kind)
            except HessviewError as error:
                text = str(error)
        results[kind] = text, 0.0
    results["logged"] = logged
    found = [None, None]
    dist.all_gather_object(found, results)
    if RANK == 0:
        torch.save(found, path)
    # A collective that rank 1 never came to still waits: there is no orderly end.


if __name__ == "__main__":
    main(sys.argv[1])
    leave()
