"""What a job costs a training loop in which nobody asks for anything, on this machine.

torchrun --nproc-per-node 2 tests/benchmarks/training_overhead.py [--rounds 10] [--steps 12]

A GPT-2 at random initialisation, sharded over the ranks. In each round the same steps are made
without a job, with one that nobody is attached to, and with an attached, idle notebook (a process
of its own, on the same cores). Printed are, in one run:

- the median over rounds of the ratio of median step times within a round, with its quartiles: where
  these are wider than half a percent, the machine was too busy to tell;
- the time of `poll` with both ranks at hand (within a loop it also takes the wait for the slower
  rank, which the next collective would have taken), as part of a step;
- the processor time that rank 0 spends while nobody computes, with and without the job, and that of
  the idle notebook, as parts of a core: these hardly depend on what else the machine does, and are
  what a step would lose on a machine without a core to spare.
"""

import argparse
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from transformers import GPT2Config, GPT2LMHeadModel

import hessview
from hessview.job import sharding
from hessview.job.batches import next_token_loss
from hessview.job.job import Job
from hessview.job.leaving import leave

VOCABULARY = 1024
_POLLS = 30  # of a round, with both ranks at hand
_IDLE = 10.0  # seconds, once for each state, in which nobody computes
_SETTLE = 6.0  # seconds until both look seldom, see hessview.transport.liveness
KERNEL = """
import sys, time, hessview
for line in sys.stdin:
    exec(line)
    print(time.process_time(), flush=True)
"""


class Notebook:
    """A process that attaches and then does nothing; only rank 0 has one."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", KERNEL], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.do("pass")

    def do(self, line: str) -> float:
        """Run a line of code there, wait for its end; returns its processor time so far."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        return float(self._process.stdout.readline())

    def end(self) -> None:
        """End the process."""
        self._process.communicate(timeout=60)


def main() -> None:
    """Measure, and print a table on rank 0."""
    parser = argparse.ArgumentParser()
    for name, default in (("layers", 4), ("width", 256), ("batch", 4), ("length", 128)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--steps", type=int, default=12, help="in each of a round's three parts")
    options = parser.parse_args()
    dist.init_process_group("gloo")
    first = dist.get_rank() == 0
    module, batches = model_of(options)
    optimizer = torch.optim.AdamW(module.parameters(), lr=1e-4)
    objective = hessview.Objective(module, next_token_loss, batches)
    notebook = Notebook() if first else None
    run_dir = shared(pathlib.Path(tempfile.mkdtemp()) / "run")

    def steps(job: Job | None) -> list[float]:
        whole = []
        dist.barrier()
        for step in range(options.steps):
            began = time.perf_counter()
            total, weight = next_token_loss(module, batches[dist.get_rank()])
            (total / weight).backward()
            optimizer.step()
            optimizer.zero_grad()
            if job is not None:
                job.poll(step=step)
            whole.append(time.perf_counter() - began)
        return whole

    ratios: dict[str, list[float]] = {"nobody attached": [], "idle notebook": []}
    plain, at_hand = [], []
    for number in range(options.rounds + 1):
        alone = steps(None)
        found = {}
        with hessview.serve(objective, run_dir, evaluation=True) as job:
            found["nobody attached"] = steps(job)
            if notebook:
                notebook.do(f"session = hessview.attach({str(run_dir)!r})")
            found["idle notebook"] = steps(job)
            for _ in range(_POLLS):
                dist.barrier()
                began = time.perf_counter()
                job.poll(step=options.steps)
                at_hand.append(time.perf_counter() - began)
            if notebook:
                notebook.do("session.close()")
            dist.barrier()
        again = steps(None)  # before and after, so that a drift of the machine cancels
        base = statistics.median([*alone, *again])
        if number:  # the first warms up
            plain.append(base)
            for name, whole in found.items():
                ratios[name].append(statistics.median(whole) / base)
    used = idle(objective, run_dir, notebook)
    if notebook:
        notebook.end()
        size = sum(parameter.numel() for parameter in module.parameters())
        print(f"{size:,} parameters, {dist.get_world_size()} ranks, load {os.getloadavg()[0]:.1f}")
        print(f"a step takes {1e3 * statistics.median(plain):.1f} ms without a job")
        for name, found in ratios.items():
            low, middle, high = (100 * (one - 1) for one in statistics.quantiles(found, n=4))
            print(f"{name:16} step {middle:+.2f} % (quartiles {low:+.2f}, {high:+.2f})")
        poll, late = statistics.median(at_hand), statistics.quantiles(at_hand, n=20)[-1]
        part = 100 * poll / statistics.median(plain)
        print(
            f"poll, ranks at hand: {1e3 * poll:.2f} ms = {part:.2f} % of a step, "
            f"95th percentile {1e3 * late:.2f} ms"
        )
        for name, share in used.items():
            print(f"{name}: {100 * share:.2f} % of a core")
        more = used["rank 0, idle notebook attached"] - used["rank 0, no job"]
        print(
            f"an idle notebook costs rank 0 {100 * more:.2f} % of a core beside its steps, and "
            f"{part:.2f} % of them in poll"
        )
    dist.barrier()
    dist.destroy_process_group()


def idle(
    objective: hessview.Objective, run_dir: pathlib.Path, notebook: Notebook | None
) -> dict[str, float]:
    """Processor time, as a part of a core, of those who wait; only rank 0 measures."""
    used = {}

    def wait(name: str) -> None:
        dist.barrier()
        if notebook:
            began = time.process_time(), notebook.do("pass")
            time.sleep(_IDLE)
            used[f"rank 0, {name}"] = (time.process_time() - began[0]) / _IDLE
            used[f"notebook, {name}"] = (notebook.do("pass") - began[1]) / _IDLE
        dist.barrier()

    wait("no job")
    with hessview.serve(objective, run_dir, evaluation=True):
        time.sleep(_SETTLE)
        wait("nobody attached")
        if notebook:
            notebook.do(f"session = hessview.attach({str(run_dir)!r})")
        time.sleep(_SETTLE)
        wait("idle notebook attached")
        if notebook:
            notebook.do("session.close()")
        dist.barrier()
    return used


def model_of(options: argparse.Namespace) -> tuple[torch.nn.Module, list[torch.Tensor]]:
    """The model in evaluation mode, sharded, and a batch for each rank."""
    torch.manual_seed(0)
    module = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=VOCABULARY,
            n_positions=options.length,
            n_embd=options.width,
            n_layer=options.layers,
            n_head=4,
            bos_token_id=0,
            eos_token_id=0,
        )
    ).eval()
    sharding.shard(module, init_device_mesh("cpu", (dist.get_world_size(),)))
    shape = (options.batch, options.length)
    return module, [torch.randint(VOCABULARY, shape) for _ in range(dist.get_world_size())]


def shared(path: pathlib.Path) -> pathlib.Path:
    """Rank 0's path, on all ranks."""
    box = [path]
    dist.broadcast_object_list(box)
    return box[0]


if __name__ == "__main__":
    main()
    leave()
