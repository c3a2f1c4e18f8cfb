import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def torchrun(tmp_path_factory):
    """Run a script of this folder on so many ranks; returns what it saved."""

    def run(script, ranks, *arguments, limit=280):
        path = tmp_path_factory.mktemp(f"ranks_{ranks}") / "results.pt"
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
        assert done.returncode == 0, done.stderr[-6000:]
        return torch.load(path, weights_only=False)

    return run
