"""Trains while measurements are interrupted, or fail, at random moments: python harmed.py --help.

Each training step has one poll with a run, which is interrupted, or fails, by chance. What a
measurement must not change is compared where control comes back: in the `except` block, before
any traceback is dropped. Kinds of more than one process need torchrun.
"""

import argparse
import json
import logging
import os
import pathlib
import random
import signal
import threading
import time

import identity
import numpy as np
import torch
import torch.distributed as dist

import hessview
from hessview.job import job as job_module
from hessview.job.leaving import leave
from hessview.operators import Hessian
from hessview.record.commands import Accuracy, Coupling, Density
from hessview.record.log import read_events

COMMANDS = (
    Density(steps=6, probes=2),
    Coupling(probes=1),
    Accuracy(epsilons=(1e-3, 1e-2), probes=1),
    Density(steps=4, probes=1, operator="harmed:Faulty"),
)
ERRORS = (
    ValueError("a bug"),
    KeyError("a key"),
    RuntimeError("a shape"),
    AssertionError("an assumption"),
    StopIteration("no more"),
    torch.OutOfMemoryError("CUDA out of memory"),
    RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes"),
    MemoryError(),
    hessview.errors.InputError("one of ours"),
    type("OwnError", (Exception,), {})("anything"),
)
PLACES = ("loss", "after forward", "forward", "backward", "operator")


class Fault:
    """An error at the n-th call from now on, at one place."""

    def __init__(self):
        self.disarm()

    def disarm(self):
        self.place, self.left, self.met = "", 0, 0

    def arm(self, place, calls, error):
        self.place, self.left, self.error, self.met = place, calls, error, 0

    def at(self, place):
        if place == self.place:
            self.left -= 1
            if self.left == 0:
                self.met += 1
                raise self.error


FAULT = Fault()


class Faulty(Hessian):
    """An operator of the user's."""

    def matvec(self, vector, *, measure_error=False):
        product = super().matvec(vector, measure_error=measure_error)
        FAULT.at("operator")
        return product


def loss(module, batch):
    FAULT.at("loss")
    total, weight = identity.loss(module, batch)
    FAULT.at("after forward")
    return total, weight


def with_faults(module):
    """Have one of the module's layers fail, too, in forward and backward."""
    layer = getattr(module, "module", module)[5]
    layer.register_forward_pre_hook(lambda *_: FAULT.at("forward"))

    def grad(*_):
        FAULT.at("backward")

    layer.register_full_backward_hook(grad)
    return module


class Interrupts:
    """Signals to this process, at random moments of a poll."""

    def __init__(self):
        self.inside = False
        self.seen = 0
        signal.signal(signal.SIGINT, self.raising)
        signal.signal(signal.SIGTERM, self.leaving)
        self.handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]

    def raising(self, number, frame):
        if self.inside:  # one that comes before or after is not what this is about
            self.seen += 1
            raise KeyboardInterrupt

    def leaving(self, number, frame):
        if self.inside:
            self.seen += 1
            raise SystemExit("asked to leave")

    def held(self):
        return signal.getsignal(signal.SIGINT) != self.raising

    def send(self, draw):
        """From a thread: one to three, once the poll has begun."""
        several = range(draw.randint(1, 3))
        signals = [draw.choice([signal.SIGINT] * 3 + [signal.SIGTERM]) for _ in several]
        # Soon after the beginning, or anywhere in a run.
        first = draw.random() * draw.choice([0.005, 0.05, 0.3])
        gaps = [first, *(draw.random() * 2e-3 for _ in signals[1:])]

        def run():
            while not self.held() and self.inside:
                time.sleep(1e-4)
            for number, gap in zip(signals, gaps, strict=True):
                time.sleep(gap)
                os.kill(os.getpid(), number)

        return threading.Thread(target=run)


def state(module, optimizer):
    """What a measurement must leave as it was, to the last bit."""
    named = dict(module.named_parameters())
    return {
        "parameters": identity.left(named),
        "gradients": identity.left({name: value.grad for name, value in named.items()}),
        "optimizer": identity.left(optimizer.state_dict()["state"]),
        "buffers": identity.left(dict(module.named_buffers())),
        "modes": [child.training for child in module.modules()],
        "hooks": [
            (len(child._forward_hooks), len(child._forward_pre_hooks), len(child._backward_hooks))
            for child in module.modules()
        ],
        "random": identity.left([random.getstate(), np.random.get_state(), torch.get_rng_state()]),
        "grad_mode": torch.is_grad_enabled(),
    }


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--kind", required=True)
    parser.add_argument("--mode", required=True, choices=("nothing", "interrupts", "errors"))
    parser.add_argument("--tries", type=int, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    options = parser.parse_args()
    rank, world = 0, 1
    if options.kind != "single":
        dist.init_process_group("gloo")
        rank, world = dist.get_rank(), dist.get_world_size()
    module = with_faults(identity.spread(identity.network(), options.kind))
    optimizer = torch.optim.AdamW(module.parameters(), lr=1e-2)
    data = torch.Generator().manual_seed(1)
    batches = [(torch.randn(16, 8, generator=data), torch.randn(16, 4, generator=data))] * 4
    for seed in (random.seed, np.random.seed, torch.manual_seed):
        seed(rank)
    interrupts = Interrupts()
    draw = random.Random(options.seed)
    changed, raised, met, odd = [], 0, 0, []
    job = None
    measured = options.mode != "nothing"
    if measured:
        objective = hessview.Objective(module, loss, batches, name="harmed")
        job = hessview.serve(objective, options.out / "run", evaluation=True)
    for number in range(options.tries):
        optimizer.zero_grad()
        total, weight = identity.loss(module, batches[(number + rank) % 4])
        (total / weight).backward()
        if job is not None:
            command = draw.choice(COMMANDS)
            targets = draw.choice([[0], [1], [0, 1]]) if world > 1 else [0]
            chance = random.Random(draw.random() + rank)
            if rank == 0:
                job.mailbox.submit(f"run-{number:04}", command)
            thread = None
            if options.mode == "interrupts" and rank in targets:
                thread = interrupts.send(chance)
            if options.mode == "errors":
                FAULT.arm(draw.choice(PLACES), draw.randint(1, 25), draw.choice(ERRORS))
            before = state(module, optimizer)
            interrupts.inside = True
            if thread is not None:
                thread.start()
            try:
                job.poll(step=number)
                interrupts.inside = False
            except (KeyboardInterrupt, SystemExit) as error:
                interrupts.inside = False
                raised += 1
                now = state(module, optimizer)  # where people save their weights
                odd += [] if error.__traceback__ is not None else ["no traceback"]
            else:
                now = state(module, optimizer)
            if thread is not None:
                thread.join()
            met += FAULT.met
            FAULT.disarm()
            if now != before:
                changed.append([number, [key for key in before if now[key] != before[key]]])
            if [
                signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)
            ] != interrupts.handlers:
                odd.append(f"handlers after {number}")
        optimizer.step()
    found = {"changed": changed, "raised": raised, "met": met, "odd": odd}
    found["left"] = state(module, optimizer)
    if job is not None:
        if rank == 0:
            found["runs"] = ends(options.out / "run" / "events.jsonl")
        job.close()
    (options.out / f"rank-{rank}.json").write_text(json.dumps(found))
    # By files, since a process group that ends may wait without end for a rank that has left.
    ranks = dist.get_world_size() if dist.is_initialized() else 1
    while len(list(options.out.glob("rank-*.json"))) < ranks:
        time.sleep(0.01)
    leave()  # before anything is taken down: gloo's threads may then hang


def ends(path):
    """How many runs began, how each kind ended, and which never did; while the job lives."""
    kinds, states = {}, {}
    for event in read_events(path):
        if event.run:
            kinds.setdefault(event.run, []).append(event.payload.kind)
        if event.payload.kind == "run_ended":
            states[event.payload.state] = states.get(event.payload.state, 0) + 1
    begun = [run for run, seen in kinds.items() if len(seen) > 1]
    endless = [run for run in begun if kinds[run].count("run_ended") != 1]
    return {"begun": len(begun), "states": states, "endless": endless}


if __name__ == "__main__":
    logging.getLogger(job_module.__name__).setLevel(logging.ERROR)  # tracebacks of what is meant
    main()
