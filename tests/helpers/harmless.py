"""Trainings that are measured, interrupted and made to fail at random: see jobs/harmed.py."""

import json
import os
import subprocess
import sys

from helpers.folders import JOBS


def train(kind, mode, tries, folder, *, seed=0, limit=280):
    """What each rank found and had left in the end, in the order of ranks.

    Args:
        kind: "single", "fsdp", "hsdp" or "ddp"; all but the first have two ranks.
        mode: "nothing", "interrupts" or "errors".
        tries: Training steps, with a poll each.
        folder: Where the record and the results go.
        seed: Of what happens when.
        limit: Seconds, after which something hangs.
    """
    out = folder / f"{kind}-{mode}"
    out.mkdir()
    options = ["--kind", kind, "--mode", mode, "--tries", str(tries), "--seed", str(seed)]
    command = [sys.executable, "harmed.py", *options, "--out", str(out)]
    if kind != "single":
        torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
        command[1:1] = torchrun
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, cwd=JOBS, env=environment, capture_output=True, text=True, timeout=limit
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return [json.loads(path.read_text()) for path in sorted(out.glob("rank-*.json"))]


def harm(found, unmeasured):
    """What was changed, in words; [] if nothing was.

    Args:
        found: From a training in mode "interrupts" or "errors".
        unmeasured: From the same one in mode "nothing".
    """
    result = []
    for rank, (one, plain) in enumerate(zip(found, unmeasured, strict=True)):
        result += [f"rank {rank}, try {number}: {names}" for number, names in one["changed"]]
        result += [f"rank {rank}: {text}" for text in one["odd"]]
        result += [
            f"rank {rank}, in the end: {key}"
            for key, value in one["left"].items()
            if value != plain["left"][key]
        ]
    return result + [f"run {run} has no end" for run in found[0]["runs"]["endless"]]
