"""What a rank can hold, and what a piece of work sends through torch's process groups."""

import socket
from typing import Any

import psutil
import torch
import torch.distributed as dist
from torch.utils._python_dispatch import TorchDispatchMode

from hessview.errors import InputError
from hessview.job.control import agree
from hessview.record.commands import Benchmark
from hessview.wording import size


def ranks_on_this_host() -> int:
    """Number of ranks that share this host's memory; all ranks call it together."""
    if not dist.is_initialized():
        return 1
    hosts: list[str] = [""] * dist.get_world_size()
    dist.all_gather_object(hosts, socket.gethostname())
    return hosts.count(socket.gethostname())


def free_memory(device: torch.device, neighbours: int) -> int:
    """Free bytes on a device, or a rank's share of the host's.

    Args:
        device: Where vectors live.
        neighbours: Number of ranks that share the host's memory.
    """
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return int(psutil.virtual_memory().available) // neighbours


def require_memory(device: torch.device, need: int, purpose: str, cure: str) -> None:
    """Refuse work that does not fit into some rank's memory; all ranks call it together.

    Args:
        device: Where vectors live.
        need: Bytes on this rank.
        purpose: What they are for.
        cure: What else can be done.

    Raises:
        InputError: A rank has less; on all ranks alike.
    """
    free = free_memory(device, ranks_on_this_host())
    with agree():
        if need > free:
            raise InputError(f"{purpose}, {size(need)}, and {size(free)} are free; {cure}.")


class Collectives(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's is untyped
    """Counts calls, and what this rank gets from the others, by kind of collective.

    Attributes:
        counts: Number of calls.
        received: Bytes that come from other ranks: of an all-gather all but the own part of the
            output, of a reduce-scatter all but one part of the input; other kinds are not summed.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.counts = dict.fromkeys(Benchmark.COLLECTIVES, 0)
        self.received = {"all_gather": 0, "reduce_scatter": 0}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func.namespace in ("c10d", "_c10d_functional"):
            name = func._opname.replace("_", "")
            for kind in self.counts:
                self.counts[kind] += kind.replace("_", "") in name
            if func._opname in _OF_FSDP:
                output, source = args[:2]
                self.received[_OF_FSDP[func._opname]] += abs(output.nbytes - source.nbytes)
        return func(*args, **(kwargs or {}))


_OF_FSDP = {"_allgather_base_": "all_gather", "_reduce_scatter_base_": "reduce_scatter"}
