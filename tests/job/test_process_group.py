"""How the ranks of `hessview.job` join; the GPUs are pretended."""

import pytest
import torch
import torch.distributed as dist

from hessview.errors import JobError
from hessview.job.__main__ import _process_group


def test_more_ranks_than_gpus_are_refused_before_they_join(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("LOCAL_RANK", "2")
    with pytest.raises(JobError, match=r"rank 2 .* no GPU .* there are 2; use --nproc-per-node 2"):
        _process_group().__enter__()
    assert not dist.is_initialized()
