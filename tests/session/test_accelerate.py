"""A loop with Accelerate that serves its model, really trained: see jobs/accelerated.py."""

import pytest

import hessview


@pytest.mark.ranks
@pytest.mark.parametrize(
    ("kind", "wrapped"), [("ddp", "DistributedDataParallel"), ("fsdp", "FSDPSequential")]
)
def test_accelerated_loop_goes_on_to_the_last_bit(kind, wrapped, left_on_ranks):
    out, found = left_on_ranks("accelerated.py", kind, 2)
    for rank in found:
        assert rank["wrapped"] == wrapped
        assert rank["plain"] == rank["served"]
        assert rank["plain"] == rank["measured"]
    assert found[0]["plain"]["losses"] != found[1]["plain"]["losses"]
    runs = list(hessview.open_runs(out / "measured").leaves)
    assert [run.attrs["training_step"] for run in runs] == [3, 6]
    assert {run.attrs["state"] for run in runs} == {"done"}
