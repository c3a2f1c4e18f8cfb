"""What a rank can hold."""

import socket

import psutil
import torch
import torch.distributed as dist

from hessview.errors import InputError
from hessview.job.agree import agree


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


def require_memory(device: torch.device, need: int, what: str, cure: str) -> None:
    """Refuse what does not fit on some rank; all ranks call it together.

    Args:
        device: Where vectors live.
        need: Bytes on this rank.
        what: What they are for.
        cure: What else can be done.

    Raises:
        InputError: A rank has less; on all ranks alike.
    """
    free = free_memory(device, ranks_on_this_host())
    with agree():
        if need > free:
            raise InputError(
                f"{what}, {need / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free; {cure}."
            )
