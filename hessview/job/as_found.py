"""A module, and what else a measurement may touch, in the state in which it was found."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from hessview.interrupts import borrowed
from hessview.job import checkpointing


@contextmanager
def as_found(module: nn.Module, *, evaluation: bool) -> Iterator[None]:
    """Give modes, buffers and random states back as they were.

    So are torch's own switches (gradient mode, default data type), which a loss or an operator
    that fails may have left elsewhere. Parameters and gradients are given back by whoever moves
    them, see `operators.displaced` and `job.passes`. Who calls this holds interrupts back.

    Args:
        module: Sharded, replicated or plain.
        evaluation: Whether the module is in evaluation mode meanwhile.
    """
    modes = [(child, child.training) for child in module.modules()]
    buffers = [
        (child._buffers, name, buffer, buffer.detach().clone())
        for child in module.modules()
        for name, buffer in child._buffers.items()
        if buffer is not None and buffer.device.type != "meta"
    ]
    wanted = [(parameter, parameter.requires_grad) for parameter in module.parameters()]
    # Whether the next forward pass is to take over rank 0's buffers, which a pass of ours changes.
    synced = [
        (child, child.require_forward_param_sync)
        for child in module.modules()
        if isinstance(child, DistributedDataParallel)
    ]
    switches = torch.is_grad_enabled(), torch.get_default_dtype()
    devices = {parameter.device for parameter in module.parameters()}
    cuda = sorted(device.index for device in devices if device.type == "cuda")
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    cuda_states = [torch.cuda.get_rng_state(index) for index in cuda]

    def give_back() -> None:
        torch.set_grad_enabled(switches[0])
        torch.set_default_dtype(switches[1])
        for child, training in modes:
            child.training = training
        for parameter, value in wanted:
            if parameter.requires_grad != value:
                parameter.requires_grad_(value)
        for replica, value in synced:
            replica.require_forward_param_sync = value
        with torch.no_grad():
            for owner, name, buffer, kept in buffers:
                owner[name] = buffer
                if _differ(buffer, kept):
                    buffer.copy_(kept)
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])
        for index, state in zip(cuda, cuda_states, strict=True):
            torch.cuda.set_rng_state(state, index)

    with borrowed(give_back, hold=False):
        if evaluation:
            module.eval()
        with checkpointing.kept_on(module):
            yield


def _differ(buffer: Tensor, kept: Tensor) -> bool:
    """Whether a buffer must be written back; one that is not a number always is."""
    try:
        return not torch.equal(buffer, kept)
    except RuntimeError:  # no memory for the comparison
        return True
