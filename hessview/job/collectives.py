"""What a piece of work sends through torch's process groups."""

from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode

from hessview.commands import Benchmark


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
