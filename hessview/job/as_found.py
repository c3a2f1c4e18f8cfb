"""A module in the state in which it was found."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn

from hessview.job import checkpointing


@contextmanager
def as_found(module: nn.Module, *, evaluation: bool) -> Iterator[None]:
    """Give a module's modes and buffers, and all random states, back as they were.

    Parameters and gradients are given back by whoever moves them, see `operators.displaced` and
    `job.passes`.

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
    states = random.getstate(), np.random.get_state()
    devices = {parameter.device for parameter in module.parameters()}
    cuda = [device.index for device in devices if device.type == "cuda"]
    if evaluation:
        module.eval()
    try:
        with torch.random.fork_rng(devices=cuda), checkpointing.kept_on(module):
            yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        for child, training in modes:
            child.training = training
        with torch.no_grad():
            for owner, name, buffer, value in buffers:
                owner[name] = buffer
                if not torch.equal(buffer, value):  # one that is not a number is written back too
                    buffer.copy_(value)
