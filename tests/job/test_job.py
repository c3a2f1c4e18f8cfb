"""Errors that ranks do not meet alike: survived where no rank waits, told where one does."""

import os
import subprocess
import sys

import pytest
import torch

import hessview
from helpers.folders import TESTS
from hessview.errors import JobNotFoundError

pytestmark = [pytest.mark.ranks, pytest.mark.timeout(400)]


def launched(case, folder):
    """How torchrun left, and what each rank saved."""
    path = folder / "results"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
            *("--nproc-per-node", "2", "-m", "ranks.harm", str(path), case),
        ],
        cwd=TESTS,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=280,
    )
    saved = [folder / f"results.{rank}" for rank in range(2)]
    return done, [torch.load(one, weights_only=False) for one in saved if one.exists()]


def test_what_a_rank_meets_by_itself_ends_the_run_alone(tmp_path):
    done, ranks = launched("survived", tmp_path)
    assert done.returncode == 0, done.stderr[-4000:]
    (found, _), (other, _) = ranks
    assert all(same for results in (found, other) for _, same in results.values())
    text, _ = found["an operator that rank 1 refuses"]
    assert text.startswith(
        "failed operator 'ranks.harm:Refusing' cannot be made (ValueError: not on rank 1)"
    )
    assert found["no_sync"][0].startswith("failed ValueError: after forward (loss, harm.py:")
    text, _ = found["words that are none"]
    assert text.startswith("failed an event of kind 'run_started' cannot be recorded, since nobody")
    text, _ = found["double backward"]
    assert "rank 1: KeyError: 'of one rank' (loss, harm.py:" in text
    assert "rank 0: rank 1 failed: KeyError: 'of one rank'" in text
    assert {found[name][0] for name in found if name.startswith("after")} == {"done "}


def test_errors_in_the_middle_of_different_passes_end_the_job_on_all_ranks(tmp_path):
    done, ranks = launched("apart", tmp_path)
    assert done.returncode == 0, done.stderr[-4000:]
    for (text, same, closed), error in zip(
        (found for found, _ in ranks), ("in the loss", "in backward"), strict=True
    ):
        assert text.startswith(f"{error}: hessview: ranks ended a run in the middle of different")
        assert "rank 0: ValueError: in the loss" in text
        assert "rank 1: ValueError: in backward" in text
        assert same
        assert closed
    (run,) = hessview.open_runs(tmp_path / "apart").leaves
    assert run.attrs["state"] == "failed"


def test_an_error_of_one_rank_alone_is_in_the_record_though_nobody_closed_the_job(tmp_path):
    done, ranks = launched("alone", tmp_path)
    assert done.returncode == 1
    assert ranks == []
    assert "KeyError: 'of one rank'" in done.stderr
    why = r"rank 1 failed: KeyError: 'of one rank'"
    with pytest.raises(JobNotFoundError, match=why):
        hessview.attach(tmp_path / "alone")
    (run,) = hessview.open_runs(tmp_path / "alone").leaves
    assert (run.attrs["state"], run.attrs["error"]) == (
        "failed",
        "rank 1 failed: KeyError: 'of one rank'",
    )
