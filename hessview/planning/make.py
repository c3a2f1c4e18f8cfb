"""Plans a spectral density of a model without any ranks."""

from typing import TYPE_CHECKING, Any, Literal

from hessview.commands import Density
from hessview.commands.allowed import positive
from hessview.errors import InputError
from hessview.planning.advice import GIB, advise
from hessview.planning.needs import gradients_of, memory_of, moved_by
from hessview.planning.planned import Plan
from hessview.planning.sizes import say_size
from hessview.session.launch import job_arguments

if TYPE_CHECKING:
    from hessview.job.models import Options
    from hessview.job.rehearsal import Rehearsal

_OPTIONS = ("tokens", "length", "batch", "dtype")


def plan(
    model: str,
    *,
    ranks: int,
    steps: int = 64,
    probes: int = 4,
    operator: str = "hessian",
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
    if density.operator in ("gauss_newton", "fisher"):
        notes.append(f"outputs on both sides of the step, which {density.operator} holds")
    if density.operator == "exact":
        notes.append("the graph of a gradient, several times the activations, which exact holds")
    if ":" not in options.model:
        whole = say_size(seen.module_size * DTYPES[options.dtype][0].itemsize)
        notes.append(f"all weights, {whole}, on rank 0's host while it shares them out")
    return tuple(notes)
