"""Plans a spectral density of a model without any ranks: what it needs, and whether that fits."""

import math
from typing import TYPE_CHECKING, Any, Literal

from hessview.planning.planned import Plan, gradients_of, memory_of, moved_by
from hessview.record.commands import Density
from hessview.record.job_options import JobOptions, job_options
from hessview.record.validation import positive, whole
from hessview.wording import counted, size

if TYPE_CHECKING:
    from hessview.job.rehearsal import Rehearsal

GIB = 2**30
_MOST_RANKS = 1 << 16


def plan(
    model: str,
    *,
    ranks: int,
    steps: int = Density.steps,
    probes: int = Density.probes,
    operator: str = Density.operator,
    epsilon: float | Literal["auto"] = Density.epsilon,
    reorthogonalize: int | Literal["full", "none"] = Density.reorthogonalize,
    error_every: int = Density.error_every,
    memory: float | None = None,
    gradient_seconds: float | None = None,
    **options: Any,
) -> Plan:
    """Say what a spectral density of a model needs on so many ranks, without any.

    A language model is built of its configuration alone: no weights are loaded. A function
    "package.module:function" is called, and its gradient computed, in this process. One gradient
    is gone through as rank 0 of the job; the rest is counted.

    Args:
        model: "smollm2", "tiny", a Hugging Face name or local folder of a causal language model,
            or "package.module:function", which returns a `hessview.Objective`.
        ranks: How many processes are to share the model, >= 1.
        steps: Lanczos steps per probe, from 1 to the number of parameters.
        probes: Random probe vectors, >= 1.
        operator: Name of the matrix whose spectrum is asked for, one of `hessview.operators`, or
            "package.module:name".
        epsilon: Finite-difference step along a unit-norm vector, > 0, or "auto", whose rule costs
            some gradients more.
        reorthogonalize: Which Lanczos vectors are kept in memory: "full" (all), "none" (two), or
            how many of the latest, >= 1.
        error_every: Lanczos steps from one second product, which measures the error D of the
            first, to the next; 0 measures none.
        memory: GiB that a rank has, > 0, for advice; None gives none.
        gradient_seconds: Seconds that a gradient of this model and data takes on these ranks, > 0,
            from which times follow; None tells none.
        **options: Further options of a language model's job by which a plan differs: tokens (of
            the data set over all ranks, 4096), length (tokens per sequence, >= 2, 256), batch
            (sequences per batch, 4) and dtype ("float32", "float64", or "bfloat16" over float32
            shards).

    Returns:
        Memory, work, and advice.

    Raises:
        InputError: An argument is outside what is allowed, or the model cannot be built.
        ObjectiveError: A job would refuse the model.
        JobError: This process belongs to a job.
    """
    settings = job_options(model, options, asked="plan", planned=True)
    ranks = whole("ranks", ranks, 1)
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
    from hessview.job.rehearsal import rehearse

    rehearsal = rehearse(settings, ranks=ranks, operator=operator, epsilon=epsilon)
    density.check(rehearsal.parameters)
    bytes_by_kind = memory_of(density, rehearsal)
    available = None if memory is None else int(memory * GIB)
    collectives, received = moved_by(density, rehearsal)
    return Plan(
        model=model,
        ranks=ranks,
        density=density,
        parameters=rehearsal.parameters,
        blocks=rehearsal.blocks,
        shard=rehearsal.shard,
        memory=bytes_by_kind,
        gradients=gradients_of(density, rehearsal),
        batches=rehearsal.batches,
        collectives=collectives,
        received=received,
        gradient_seconds=gradient_seconds,
        available=available,
        advice=""
        if available is None
        else _advise(density, rehearsal, bytes_by_kind, available, ranks),
        notes=_notes(settings, density, rehearsal),
    )


def _notes(options: JobOptions, density: Density, rehearsal: "Rehearsal") -> tuple[str, ...]:
    from hessview.job.models import DTYPES, is_function

    notes = [
        "torch itself, its communication buffers, and what an allocator keeps: leave a fifth free",
        "on GPUs, a layer gathered ahead of its use, and kernels other than a CPU's",
    ]
    if rehearsal.operator.holds:
        notes.append(f"{rehearsal.operator.holds}, which {density.operator} holds")
    if not is_function(options.model):
        weights_size = size(rehearsal.module_size * DTYPES[options.dtype][0].itemsize)
        notes.append(f"all weights, {weights_size}, on rank 0's host while it shares them out")
    return tuple(notes)


def _advise(
    density: Density,
    rehearsal: "Rehearsal",
    bytes_by_kind: dict[str, int],
    available: int,
    ranks: int,
) -> str:
    """Whether a plan fits, and what to change if not."""
    room, row = available / GIB, rehearsal.shard * rehearsal.itemsize
    besides_basis = sum(bytes_by_kind.values()) - bytes_by_kind["basis"]
    most = min((available - besides_basis) // row, rehearsal.parameters)
    if besides_basis + bytes_by_kind["basis"] <= available:
        unit = "steps" if density.reorthogonalize == "full" else "vectors kept"
        return f"fits in {room:g} GiB a rank, with up to {most:,} {unit}."
    cures = []
    if most >= 2:
        cures = [f"steps <= {most:,}", f"reorthogonalize={most} (a window)"]
    if (enough := _enough_ranks(rehearsal, bytes_by_kind, available, ranks)) is not None:
        cures.append(counted(enough, "rank"))
    if not cures:
        cures = ["a smaller batch or length: what is not shared by ranks is too much by itself"]
    return f"does not fit in {room:g} GiB a rank; use {', or '.join(cures)}."


def _enough_ranks(
    rehearsal: "Rehearsal", bytes_by_kind: dict[str, int], available: int, ranks: int
) -> int | None:
    """Smallest number of ranks that suffices if only what is sharded shrinks."""
    fixed = sum(
        bytes_by_kind[kind] for kind in ("gathered", "gradients", "activations", "operator")
    )
    shards = (sum(bytes_by_kind.values()) - fixed) / rehearsal.shard

    def fits(number: int) -> bool:
        # fully_shard cuts along the first dimension; the first rank has most.
        shard = sum(
            math.ceil(shape[0] / number) * math.prod(shape[1:])
            for shape in rehearsal.shapes
            if shape
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
