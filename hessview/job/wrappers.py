"""Ways to spread a module over ranks that cannot be measured, refused by their names."""

from torch import nn
from torch.distributed._composable.contract import _get_registry
from torch.distributed.fsdp import FSDPModule, FullyShardedDataParallel

from hessview.errors import ObjectiveError


def check_wrappers(module: nn.Module) -> None:
    """Refuse what shards or replicates in a way that hides the parameters.

    Raises:
        ObjectiveError: The older FullyShardedDataParallel, the older composable replicate, or
            DataParallel.
    """
    for name, child in module.named_modules():
        where = f"{name!r}" if name else "the module"
        if isinstance(child, FullyShardedDataParallel):
            raise ObjectiveError(
                f"{where} is sharded by the older FullyShardedDataParallel (FSDP1), which keeps "
                "parameters in flat buffers that cannot be measured; use "
                "torch.distributed.fsdp.fully_shard on the plain module in its place."
            )
        registry = _get_registry(child)
        if registry and "replicate" in registry and not isinstance(child, FSDPModule):
            raise ObjectiveError(
                f"{where} is replicated by the older composable replicate, whose reductions "
                "cannot be steered; use fully_shard or DistributedDataParallel on the plain "
                "module in its place."
            )
        if isinstance(child, nn.DataParallel):
            raise ObjectiveError(
                f"{where} is wrapped by torch.nn.DataParallel, which copies it to several devices "
                "of one process; start a process for each device with torchrun, and use "
                "fully_shard on the plain module in its place."
            )
