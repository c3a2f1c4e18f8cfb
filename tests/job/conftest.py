import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

HERE = Path(__file__).parent
ATTEMPTS = 3
"""How often ranks are started that die of SIGSEGV. With dozens of groups in a process one of gloo's
own threads does so now and then (3 of some 30 launches of torch 2.13, in no Python thread, within
other functions each time); a crash that is ours comes again."""


@pytest.fixture(scope="session")
def torchrun(tmp_path_factory):
    """Run a script of this folder on so many ranks; returns what it saved."""

    def run(script, ranks, *arguments, limit=280):
        path = tmp_path_factory.mktemp(f"ranks_{ranks}") / "results.pt"
        for _ in range(ATTEMPTS):
            done = subprocess.run(
                [
                    *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
                    *("--local-addr", "127.0.0.1", "--nproc-per-node", str(ranks)),
                    *(str(HERE / script), str(path), *arguments),
                ],
                env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
                capture_output=True,
                text=True,
                timeout=limit,
            )
            if "(SIGSEGV)" not in done.stderr:
                break
            print(f"{script}: a rank died of SIGSEGV:", done.stderr[-2000:])
        assert done.returncode == 0, done.stderr[-6000:]
        return torch.load(path, weights_only=False)

    return run
