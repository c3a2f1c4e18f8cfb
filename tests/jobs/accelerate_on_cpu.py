"""Lets Accelerate shard on the CPU, which it does on GPUs only: there it silently takes DDP."""

import functools

from accelerate.state import AcceleratorState
from accelerate.utils import DistributedType


def shard_on_cpu():
    """From now on a given fsdp_plugin counts; all that follows is Accelerate's own code."""
    start = AcceleratorState.__init__

    @functools.wraps(start)
    def started(self, *positional, fsdp_plugin=None, **named):
        start(self, *positional, fsdp_plugin=fsdp_plugin, **named)
        if fsdp_plugin is not None and self.distributed_type == DistributedType.MULTI_CPU:
            self.distributed_type = DistributedType.FSDP
            self.fsdp_plugin = fsdp_plugin

    AcceleratorState.__init__ = started
