"""One rank's gradient, gone through without ranks, and for language models without weights.

The job's own code runs, on tensors that have shapes and no contents, among ranks that are not
there. So groups, shards and collectives are those of a job, and torch's own tracker sees the
memory.
"""

import contextlib
import dataclasses
import math
from collections.abc import Iterator
from typing import Any, Literal

import torch
import torch.distributed as dist
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.distributed._tools.fsdp2_mem_tracker import FSDPMemTracker
from torch.distributed._tools.mem_tracker import MemTracker
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import FSDPModule
from torch.testing._internal.distributed.fake_pg import FakeStore

from hessview.errors import HessviewError, InputError, JobError
from hessview.job import checks, sharding
from hessview.job import models as tiny
from hessview.job.batches import next_token_logits, next_token_loss, next_token_terms, token_batches
from hessview.job.loss import ShardedLoss
from hessview.job.memory import Collectives
from hessview.job.models import (
    DTYPES,
    call,
    cannot_load,
    check_length,
    is_function,
    smollm2_file,
)
from hessview.job.objective import Objective, job_blocks
from hessview.job.plain import shard_plain
from hessview.operators import facts_of_made, maker_of
from hessview.record.job_options import JobOptions
from hessview.record.operator_facts import OperatorFacts

_KINDS = {  # of torch's trackers
    "Sharded Param": "parameters",
    "Parameter": "parameters",
    "Buffer": "parameters",
    "Unsharded Param": "gathered",
    "All Gather": "gathered",
    "Sharded Grad": "gradients",
    "Unsharded Grad": "gradients",
    "Reduce Scatter": "gradients",
    "Gradient": "gradients",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rehearsal:
    """What was seen of rank 0, which holds the largest shard.

    Attributes:
        shapes: Shape of each differentiated parameter; tied ones are one.
        blocks: Number of parameters by block.
        shard: Elements of this rank's shard.
        itemsize: Bytes of a vector's element.
        module_size: Number of parameters of the whole module, differentiated or not.
        memory: Bytes by kind at the peak of a gradient: "parameters" (shards and buffers), and
            "gathered", "gradients", "activations" above them.
        batches: Batches of the data set.
        passes: Forward and backward passes of a gradient, one a batch of this rank.
        counts: Collectives of a pass by kind: of its forward part, and in all.
        received: Bytes that a pass gets from other ranks by kind: the same.
        operator: Facts of the operator, which was made for this model.
        operator_memory: Bytes that it asks for besides vectors.
    """

    shapes: tuple[tuple[int, ...], ...]
    blocks: dict[str, int]
    shard: int
    itemsize: int
    module_size: int
    memory: dict[str, int]
    batches: int
    passes: int
    counts: tuple[dict[str, int], dict[str, int]]
    received: tuple[dict[str, int], dict[str, int]]
    operator: OperatorFacts
    operator_memory: int

    @property
    def parameters(self) -> int:
        """Number of differentiated parameters."""
        return sum(map(math.prod, self.shapes))


def rehearse(
    options: JobOptions, *, ranks: int, operator: str, epsilon: float | Literal["auto"]
) -> Rehearsal:
    """Go through a gradient as rank 0 of a job.

    A function "package.module:function" is called, and its gradient computed, in this process.

    Args:
        options: The job's model and data.
        ranks: How many ranks the job has.
        operator: Name in `OPERATORS`, or "package.module:name".
        epsilon: Step of its products.

    Raises:
        InputError: A model that cannot be built, or an operator that refuses it.
        ObjectiveError: What a job would refuse.
        JobError: This process belongs to a job.
    """
    objective_is_given = is_function(options.model)
    fake = contextlib.nullcontext() if objective_is_given else FakeTensorMode()
    with _missing(ranks) as mesh:
        objective = (
            _called(options.model, ranks)
            if objective_is_given
            else _language_model(options, mesh, fake)
        )
        checks.check_mode(objective.module)
        names = job_blocks(objective)
        surface = _Asked(objective, lambda numbers: numbers)
        operator_object = maker_of(operator)(surface, epsilon)
        passes = math.ceil(len(objective.batches) / surface.sharing.ranks)
        with fake:
            memory, counts, received = _gradient(objective, passes)
        sizes = {piece.name: math.prod(piece.full_shape) for piece in surface.space.pieces}
        return Rehearsal(
            shapes=tuple(piece.full_shape for piece in surface.space.pieces),
            blocks={
                block: sum(sizes[name] for name in objective_is_given)
                for block, objective_is_given in names.items()
            },
            shard=surface.space.local_size,
            itemsize=surface.space.dtype.itemsize,
            module_size=surface.module_size,
            memory=memory,
            batches=len(objective.batches),
            passes=passes,
            counts=counts,
            received=received,
            operator=facts_of_made(operator, operator_object),
            operator_memory=surface.asked_for,
        )


@contextlib.contextmanager
def _missing(ranks: int) -> Iterator[DeviceMesh]:
    """A mesh of ranks, of which this process is the first and the others are not there."""
    if dist.is_initialized():
        raise JobError(
            "this process belongs to a group of ranks, so it cannot plan for another; plan in a "
            "process of its own, such as: hessview plan MODEL --ranks N."
        )
    dist.init_process_group("fake", rank=0, world_size=ranks, store=FakeStore())
    try:
        yield init_device_mesh("cpu", (ranks,), mesh_dim_names=("shard",))
    finally:
        dist.destroy_process_group()


def _language_model(options: JobOptions, mesh: DeviceMesh, fake: Any) -> Objective:
    """As `models.causal_lm`, without weights, text and tokenizer."""
    from transformers import AutoModelForCausalLM

    config = _configuration(options.model)
    check_length(options.length, config)
    enough = [0] * max(options.tokens, options.batch * options.length)
    sizes = dataclasses.asdict(options)
    sizes = {name: sizes[name] for name in ("tokens", "length", "batch")}
    batches = token_batches(enough, **sizes, vocabulary=1)
    dtype, compute_dtype = DTYPES[options.dtype]
    with fake:
        try:
            module = AutoModelForCausalLM.from_config(config, dtype=dtype).eval()
        except ValueError as error:
            raise cannot_load(options.model, error) from error
        sharding.shard(module, mesh, compute_dtype=compute_dtype)
        batches = [torch.empty(batch.shape, dtype=batch.dtype) for batch in batches]
    return Objective(
        module, next_token_loss, batches, outputs=next_token_logits, terms=next_token_terms
    )


def _configuration(model: str) -> Any:
    from transformers import AutoConfig

    if model == "tiny":
        return tiny.configuration()
    folder, extra = model, {}
    if model == "smollm2":
        file = smollm2_file()
        folder, extra = str(file.parent), {"gguf_file": file.name}
    try:
        return AutoConfig.from_pretrained(folder, trust_remote_code=False, **extra)
    except (OSError, ValueError, KeyError) as error:
        raise cannot_load(model, error) from error


def _called(name: str, ranks: int) -> Objective:
    try:
        objective = call(name)
        shard_plain(objective, checked=False)
        return objective
    except HessviewError:
        raise
    except Exception as error:  # of the user's function
        first = str(error).strip().split("\n")[0]
        raise InputError(
            f"model {name!r} cannot be built here ({type(error).__name__}: {first}); a plan calls "
            f"its function on this machine, as rank 0 of {ranks} of which the others are missing: "
            "it must not need them, nor devices that this machine lacks."
        ) from error


class _Asked(ShardedLoss):
    """A loss that notes what memory an operator asks for; the ranks' memory is not here."""

    asked_for = 0

    def require_memory(self, need: int, purpose: str, cure: str) -> None:
        self.asked_for += need


def _gradient(objective: Objective, passes: int) -> tuple[dict[str, int], Any, Any]:
    """Memory by kind, and a pass's collectives with their bytes: of its forward part, in all."""
    module = objective.module
    tracker = FSDPMemTracker(module) if isinstance(module, FSDPModule) else MemTracker()
    if not isinstance(module, FSDPModule):
        tracker.track_external(module)
    with tracker:
        for _ in range(min(passes, 2)):  # the second one meets the gradients of the first
            tracker.reset_mod_stats()
            with Collectives() as collectives:
                result = objective.loss(module, objective.batches[0])
                total = result[0] if isinstance(result, tuple) else result
                forward = dict(collectives.counts), dict(collectives.received)
                torch.autograd.backward(total)
            del result, total
    for parameter in module.parameters():
        parameter.grad = None
    memory = dict.fromkeys(("parameters", "gathered", "gradients", "activations"), 0)
    for snapshot in tracker.get_tracker_snapshot("peak").values():
        for kind, number in snapshot.items():
            if kind != "Total":
                name = _KINDS.get(kind.value, "activations")  # type: ignore[attr-defined]
                memory[name] += number
    counts, received = collectives.counts, collectives.received
    return memory, (forward[0], counts), (forward[1], received)
