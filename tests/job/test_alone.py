"""How the ranks of `hessview.job` join; the GPUs are pretended."""

import pytest
import torch
import torch.distributed as dist

from hessview.errors import JobError
from hessview.job.alone import _process_group


@pytest.fixture
def two_old_gpus(monkeypatch):
    """GPUs from before bfloat16."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", lambda place: None)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Tesla V100")
    monkeypatch.setattr(
        torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation
    )


def test_more_ranks_than_gpus_are_refused_before_they_join(two_old_gpus, monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", "2")
    with pytest.raises(JobError, match=r"rank 2 .* no GPU .* there are 2; use --nproc-per-node 2"):
        _process_group("float32").__enter__()
    assert not dist.is_initialized()


def test_a_precision_that_the_gpu_lacks_is_refused_before_the_ranks_join(two_old_gpus, monkeypatch):
    joined = []
    monkeypatch.setattr(dist, "init_process_group", joined.append)
    monkeypatch.setenv("LOCAL_RANK", "1")
    with pytest.raises(
        JobError,
        match=r"dtype 'bfloat16' is not known to this host's Tesla V100, which computes in "
        r"float32, float64; use --dtype float32\.",
    ):
        _process_group("bfloat16").__enter__()
    assert joined == []
    assert _process_group("float32").__enter__() == "cuda"
    assert joined == ["cpu:gloo,cuda:nccl"]
