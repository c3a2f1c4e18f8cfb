import json
import os
import subprocess
import sys

import pytest
from shell_job import JOBS


@pytest.fixture(scope="session")
def left_on_ranks(tmp_path_factory):
    """Runs a training script of tests/jobs: (its folder, what it says is left on each rank)."""

    def run(script, kind, ranks):
        out = tmp_path_factory.mktemp(kind)
        command = [sys.executable, script, "--kind", kind, "--out", str(out)]
        if ranks > 1:
            torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node"]
            command[1:1] = [*torchrun, str(ranks)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, cwd=JOBS, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        found = [json.loads(path.read_text()) for path in sorted(out.glob("rank-*.json"))]
        assert len(found) == ranks
        return out, found

    return run
