"""Where a rank stands among its collectives, which all ranks have to call in one order."""

from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.distributed_c10d import _world
from torch.nn.parallel import DistributedDataParallel

from hessview.job.sharding import groups

Standing = dict[tuple[str, tuple[int, ...]], list[int]]
"""Collectives called so far, by a group's name and ranks: a number for each of its backends."""


def standing(*, apart_from: dist.ProcessGroup) -> Standing:
    """How many collectives this rank has called in each of its groups.

    Args:
        apart_from: A group to leave out.
    """
    result: Standing = {}
    for group in list(_world.pg_map):
        if group is not apart_from:
            key = group.group_name, tuple(dist.get_process_group_ranks(group))
            result[key] = _called(group)
    return result


def agree(standings: list[Standing]) -> bool:
    """Whether ranks have called the same number of collectives in each group that they share.

    None waits for another one, then, and the next collectives of all will meet.
    """
    seen: Standing = {}
    return all(
        seen.setdefault(key, numbers) == numbers
        for one in standings
        for key, numbers in one.items()
    )


def wait_for_collectives(module: nn.Module) -> None:
    """Wait until all collectives that were called are over; all ranks call it together.

    Args:
        module: Whose groups to look at, besides the group of all ranks.
    """
    if not dist.is_initialized():
        return
    found: list[dist.ProcessGroup] = [dist.group.WORLD] if dist.group.WORLD is not None else []
    for sharded in groups(module):
        mesh = sharded.mesh_info.mesh
        found += [mesh.get_group(axis) for axis in range(mesh.ndim)]
    for child in module.modules():
        if isinstance(child, DistributedDataParallel):
            found.append(child.process_group)
    for group in dict.fromkeys(found):
        dist.barrier(group=group)  # which waits for what was called before it
    if any(parameter.is_cuda for parameter in module.parameters()):
        torch.cuda.synchronize()


def _called(group: dist.ProcessGroup) -> list[int]:
    numbers = []
    for device in sorted(str(device) for device in group._device_types):
        try:
            backend: Any = group._get_backend(torch.device(device))
            numbers.append(backend._get_sequence_number_for_group())
        except RuntimeError:  # a backend that does not count
            numbers.append(-1)
    return numbers
