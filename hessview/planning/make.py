"""Planning a measurement: what it needs, and advice.

Plans a spectral density of a model without any ranks.

Whether a plan fits, and what would.
"""

from typing import TYPE_CHECKING, Any, Literal

from hessview.errors import InputError
from hessview.planning.planned import Plan, gradients_of, memory_of, moved_by, say_size
from hessview.record.commands import Density
from hessview.record.validation import positive
from hessview.session.launch import job_arguments

if TYPE_CHECKING:
    from hessview.job.models import Options
    from hessview.job.rehearsal import Rehearsal
import math
from typing import TYPE_CHECKING

from hessview.wording import counted

if TYPE_CHECKING:
    from hessview.job.rehearsal import Rehearsal


_OPTIONS = ("tokens", "length", "batch", "dtype")


def plan(
    model: str,
    *,
    ranks: int,
    steps: int = 64,
    probes: int = 4,
    operator: str = Density.operator,
    epsilon: float | Literal["auto"] = "auto",
    reorthogonalize: int | Literal["full", "none"] = "full",
    error_every: int = 16,
    memory: float | None = None,
    gradient_seconds: float | None = None,
    **options: Any,
) -> Plan:
    """Say what a spectral density of a model needs on so many ranks, without any.

    A language model is built of its configuration alone: no weights are loaded. A function
    "package.module:function" is called, and its gradient computed, in this process. One gradient
    is gone through as rank 0 of the job; the rest is counted.

    Args:
        model: As in `launch`.
        ranks: How many processes share the model.
        steps: See `Density`, also for the following.
        probes: Random probes.
        operator: Whose spectrum.
        epsilon: Step, or "auto".
        reorthogonalize: Which vectors are kept.
        error_every: How often D is measured.
        memory: GiB that a rank has, for advice.
        gradient_seconds: Time of a gradient of this model and data on these ranks, for times.
        **options: Further options of the job: tokens, length, batch, dtype.

    Returns:
        Memory, work, and advice.

    Raises:
        InputError: An argument is outside what is allowed, or the model cannot be built.
        ObjectiveError: A job would refuse the model.
        JobError: This process belongs to a job.
    """
    if unknown := sorted(set(options) - {*_OPTIONS}):
        raise InputError(f"plan has no {unknown}; its further options are {list(_OPTIONS)}.")
    job_arguments(model, ranks=ranks, **options)  # checks them
    for name, value in (("memory", memory), ("gradient_seconds", gradient_seconds)):
        if value is not None:
            positive(name, value, ", or None")
    density = Density(
        steps=steps,
        probes=probes,
        operator=operator,
        epsilon=epsilon,
        reorthogonalize=reorthogonalize,
        error_every=error_every,
    )
    from hessview.job.models import Options
    from hessview.job.rehearsal import rehearse

    given = {name: value for name, value in options.items() if value is not None}
    settings = Options(model=model, **given)
    seen = rehearse(settings, ranks=ranks, operator=operator, epsilon=epsilon)
    density.check(seen.parameters)
    held = memory_of(density, seen)
    available = None if memory is None else int(memory * GIB)
    collectives, received = moved_by(density, seen)
    return Plan(
        model=model,
        ranks=ranks,
        density=density,
        parameters=seen.parameters,
        blocks=seen.blocks,
        shard=seen.shard,
        memory=held,
        gradients=gradients_of(density, seen),
        batches=seen.batches,
        collectives=collectives,
        received=received,
        gradient_seconds=gradient_seconds,
        available=available,
        advice="" if available is None else advise(density, seen, held, available, ranks),
        notes=_notes(settings, density, seen),
    )


def _notes(options: "Options", density: Density, seen: "Rehearsal") -> tuple[str, ...]:
    from hessview.job.models import DTYPES

    notes = [
        "torch itself, its communication buffers, and what an allocator keeps: leave a fifth free",
        "on GPUs, a layer gathered ahead of its use, and kernels other than a CPU's",
    ]
    if seen.operator.holds:
        notes.append(f"{seen.operator.holds}, which {density.operator} holds")
    if ":" not in options.model:
        whole = say_size(seen.module_size * DTYPES[options.dtype][0].itemsize)
        notes.append(f"all weights, {whole}, on rank 0's host while it shares them out")
    return tuple(notes)


GIB = 2**30
_MOST_RANKS = 1 << 16


def advise(
    density: Density, seen: "Rehearsal", held: dict[str, int], available: int, ranks: int
) -> str:
    """Whether a plan fits, and what to change if not."""
    size, row = available / GIB, seen.shard * seen.itemsize
    rest = sum(held.values()) - held["basis"]
    most = min((available - rest) // row, seen.parameters)
    if rest + held["basis"] <= available:
        what = "steps" if density.reorthogonalize == "full" else "vectors kept"
        return f"fits in {size:g} GiB a rank, with up to {most:,} {what}."
    cures = []
    if most >= 2:
        cures = [f"steps <= {most:,}", f"reorthogonalize={most} (a window)"]
    if (enough := _enough_ranks(seen, held, available, ranks)) is not None:
        cures.append(counted(enough, "rank"))
    if not cures:
        cures = ["a smaller batch or length: what is not shared by ranks is too much by itself"]
    return f"does not fit in {size:g} GiB a rank; use {', or '.join(cures)}."


def _enough_ranks(
    seen: "Rehearsal", held: dict[str, int], available: int, ranks: int
) -> int | None:
    """Smallest number of ranks that suffices if only what is sharded shrinks."""
    fixed = sum(held[kind] for kind in ("gathered", "gradients", "activations", "operator"))
    shards = (sum(held.values()) - fixed) / seen.shard

    def fits(number: int) -> bool:
        # fully_shard cuts along the first dimension; the first rank has most.
        shard = sum(
            math.ceil(shape[0] / number) * math.prod(shape[1:]) for shape in seen.shapes if shape
        )
        return fixed + shards * shard <= available

    low, high = ranks, ranks
    while not fits(high):
        low, high = high, 2 * high
        if high > _MOST_RANKS:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if fits(middle) else (middle, high)
    return high
