"""What each operator's product costs, in gradients, on this machine.

torchrun --nproc-per-node 2 tests/benchmarks/operators.py [--layers 5] [--width 384] [--rounds 5]

A GPT-2 at random initialisation (10 million parameters by default), sharded over the ranks. Each
product takes turns with a gradient, and the median of their ratios counts: by the clock, and by
rank 0's own processor time, which other programs disturb less.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from transformers import GPT2Config, GPT2LMHeadModel

from hessview.job import sharding
from hessview.job.batches import next_token_logits, next_token_loss, next_token_terms
from hessview.job.control import Reduction
from hessview.job.leaving import leave
from hessview.job.loss import ShardedLoss
from hessview.job.objective import Objective
from hessview.operators import OPERATORS

VOCABULARY = 4096


def main() -> None:
    """Measure, and print a table on rank 0."""
    parser = argparse.ArgumentParser()
    for name, default in (("layers", 5), ("width", 384), ("batch", 4), ("length", 256)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--batches", type=int, default=1, help="per rank")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--operators", nargs="*", default=list(OPERATORS))
    options = parser.parse_args()
    dist.init_process_group("gloo")
    surface = surface_of(options)
    probe, out = surface.space.probe(0, 0), surface.space.zeros()
    products = {name: OPERATORS[name](surface, 1e-2) for name in options.operators}
    work = {"gradient": lambda: surface.gradient(out)} | {
        name: lambda operator=operator: operator.matvec(probe)
        for name, operator in products.items()
    }
    ratios: dict[str, list[tuple[float, float]]] = {name: [] for name in work}
    gradients = []
    for round in range(options.rounds + 1):
        for name, run in work.items():
            clock, processor = timed(work["gradient"])
            own_clock, own_processor = timed(run)
            if round:  # the first warms up
                gradients.append(clock)
                ratios[name].append((own_clock / clock, own_processor / processor))
    if dist.get_rank() == 0:
        load = os.getloadavg()[0]
        print(f"{surface.module_size:,} parameters, {dist.get_world_size()} ranks, load {load:.1f}")
        print(f"gradient: {min(gradients):.2f} to {max(gradients):.2f} s")
        print(f"{'in gradients':24} {'clock':>6} {'processor':>10}")
        for name, measured in ratios.items():
            clock, processor = (statistics.median(column) for column in zip(*measured, strict=True))
            print(f"{name:24} {clock:6.2f} {processor:10.2f}")
    dist.destroy_process_group()


def timed(run: Callable[[], object]) -> tuple[float, float]:
    """Seconds by the clock, for all ranks, and of this rank's processor time."""
    dist.barrier()
    clock, processor = time.perf_counter(), time.process_time()
    run()
    processor = time.process_time() - processor
    dist.barrier()
    return time.perf_counter() - clock, processor


def surface_of(options: argparse.Namespace) -> ShardedLoss:
    """The loss on random tokens, measured."""
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=VOCABULARY,
        n_positions=options.length,
        n_embd=options.width,
        n_layer=options.layers,
        n_head=6,
        bos_token_id=None,
        eos_token_id=None,
    )
    module = GPT2LMHeadModel(config).eval()
    sharding.shard(module, init_device_mesh("cpu", (dist.get_world_size(),)))
    count = options.batches * dist.get_world_size()
    batches = [torch.randint(VOCABULARY, (options.batch, options.length)) for _ in range(count)]
    objective = Objective(
        module, next_token_loss, batches, outputs=next_token_logits, terms=next_token_terms
    )
    surface = ShardedLoss(objective, Reduction())
    surface.measure()
    return surface


if __name__ == "__main__":
    main()
    leave()
