"""What a model needs on so many ranks, before anybody books them."""

import dataclasses
import json
import math
import os
import pathlib
from typing import TYPE_CHECKING, Any, Literal

from hessview.commands import Density
from hessview.commands.allowed import positive
from hessview.errors import InputError
from hessview.session.launch import job_arguments

if TYPE_CHECKING:
    from hessview.job.models import Options
    from hessview.job.rehearsal import Rehearsal

_LADDER = (3, 17)  # products to calibrate the step with: the fewest and the most
# Shards at once: those of a product (saved parameters, the product before, the product, and the
# second one that measures D) and of the first one, which calibrates (saved, product, five steps).
_VECTORS, _SECOND, _CALIBRATING = 3, 1, 7
_KEPT = {"hessian_fourth_order": 1, "hessian_forward": 1}  # half a step's product, home's gradient
# How many forward passes alone, and whole gradients, a product by differences goes through.
_PRODUCTS = {
    "hessian": (0, 2),
    "hessian_one_reduction": (0, 2),
    "hessian_fourth_order": (0, 4),
    "hessian_forward": (0, 1),
    "gauss_newton": (2, 1),
    "fisher": (2, 1),
}
_GIB = 2**30
_MOST_RANKS = 1 << 16
_OPTIONS = ("tokens", "length", "batch", "dtype")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """What a spectral density needs; `print` it for a table.

    Attributes:
        model: Name of the model.
        ranks: How many ranks share it.
        density: What is measured.
        parameters: Number of differentiated parameters, tied ones counted once.
        blocks: Number of parameters by block.
        shard: Elements of the largest rank's shard.
        memory: Bytes of the largest rank at its peak by kind; the basis grows with the steps.
        gradients: How many gradients the run takes, at the least and at the most; one more for
            each product whose step is tried again, which is rare, times those of a product.
        batches: Batches of the data set, which the ranks share out.
        collectives: Calls of a product by kind, None where it is not known.
        received: Bytes of a product that a rank gets from others, by kind; None likewise.
        gradient_seconds: Time of a gradient on these ranks, None if it was not given.
        available: Bytes that a rank has, None if it was not given.
        advice: Whether it fits, and what to change if not; "" without `available`.
        notes: What the numbers leave out.
    """

    model: str
    ranks: int
    density: Density
    parameters: int
    blocks: dict[str, int]
    shard: int
    memory: dict[str, int]
    gradients: tuple[float, float]
    batches: int
    collectives: dict[str, int] | None
    received: dict[str, int] | None
    gradient_seconds: float | None
    available: int | None
    advice: str
    notes: tuple[str, ...]

    @property
    def total(self) -> int:
        """Bytes of the largest rank at its peak."""
        return sum(self.memory.values())

    @property
    def seconds(self) -> tuple[float, float] | None:
        """Time of all gradients, at the least and at the most; None without that of one."""
        if self.gradient_seconds is None:
            return None
        least, most = self.gradients
        return least * self.gradient_seconds, most * self.gradient_seconds

    def to_json(self) -> str:
        """All of it as JSON, sizes in bytes."""
        derived = {"total": self.total, "seconds": self.seconds}
        return json.dumps(dataclasses.asdict(self) | derived, indent=1)

    def __str__(self) -> str:
        return "\n".join(_lines(self))


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
    held = _memory(density, seen)
    available = None if memory is None else int(memory * _GIB)
    collectives, received = _moved(density, seen)
    return Plan(
        model=model,
        ranks=ranks,
        density=density,
        parameters=seen.parameters,
        blocks=seen.blocks,
        shard=seen.shard,
        memory=held,
        gradients=_gradients(density, seen),
        batches=seen.batches,
        collectives=collectives,
        received=received,
        gradient_seconds=gradient_seconds,
        available=available,
        advice="" if available is None else _advice(density, seen, held, available, ranks),
        notes=_notes(settings, density, seen),
    )


def timed(plan: Plan, path: str | os.PathLike[str]) -> Plan:
    """The plan with the time of a gradient that `hessview bench --json` measured.

    Raises:
        InputError: It is not such a file, or one of another model, data or number of ranks.
    """
    try:
        data = json.loads(pathlib.Path(path).read_text())
        place = data["coords"]["work"]["data"].index("gradient")
        seconds = float(data["data_vars"]["seconds"]["data"][place])
        names = ("parameters", "world_size", "batches")
        parameters, ranks, batches = (int(data["attrs"][name]) for name in names)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path} holds no times of a gradient ({type(error).__name__}: {error}); give the file "
            "that hessview bench --json wrote."
        ) from error
    measured, planned = (parameters, ranks, batches), (plan.parameters, plan.ranks, plan.batches)
    if measured != planned:
        raise InputError(
            f"{path} was measured with (parameters, ranks, batches) = {measured}, and this plan "
            f"has {planned}; measure with the same options, or give the time as gradient_seconds."
        )
    return dataclasses.replace(plan, gradient_seconds=seconds)


def _rows(density: Density) -> int:
    kept = {"full": density.steps, "none": 2}.get(str(density.reorthogonalize))
    return min(density.steps, kept or max(2, int(density.reorthogonalize)))


def _differs(seen: "Rehearsal") -> bool:
    """Whether products are differences at a step, which D and calibration are about."""
    from hessview.operators.differences import Differences

    return isinstance(seen.operator, Differences)


def _memory(density: Density, seen: "Rehearsal") -> dict[str, int]:
    vectors = _VECTORS - 1
    if _differs(seen):
        vectors = _VECTORS + _SECOND * (density.error_every > 0)
        if density.epsilon == "auto":
            vectors = max(vectors, _CALIBRATING)
        vectors += _KEPT.get(density.operator, 0)
    row = seen.shard * seen.itemsize
    return {
        **seen.memory,
        "basis": _rows(density) * row,
        "vectors": vectors * row,
        "operator": seen.asked,
    }


def _gradients(density: Density, seen: "Rehearsal") -> tuple[float, float]:
    products = density.steps * density.probes
    more = (0, 0)
    if _differs(seen):
        if every := density.error_every:
            # At steps 1 and 2, and from there at every so many.
            products += density.probes * (1 + math.ceil((density.steps - 1) / every))
        more = _LADDER if density.epsilon == "auto" else more
    cost = float(getattr(seen.operator, "gradients", math.nan))
    return tuple(1 + cost * (products + extra) for extra in more)  # type: ignore[return-value]


def _moved(
    density: Density, seen: "Rehearsal"
) -> tuple[dict[str, int] | None, dict[str, int] | None]:
    if density.operator not in _PRODUCTS:
        return None, None
    forwards, gradients = _PRODUCTS[density.operator]

    def of_a_product(forward: dict[str, int], whole: dict[str, int]) -> dict[str, int]:
        found = {
            kind: seen.passes * (forwards * forward[kind] + gradients * number)
            for kind, number in whole.items()
        }
        if density.operator == "hessian_one_reduction":
            found["reduce_scatter"] = whole["reduce_scatter"]
        return found

    calls = of_a_product(*seen.counts)
    calls["all_reduce"] += 1  # the product's norm
    return calls, of_a_product(*seen.received)


def _advice(
    density: Density, seen: "Rehearsal", held: dict[str, int], available: int, ranks: int
) -> str:
    size, row = available / _GIB, seen.shard * seen.itemsize
    rest = sum(held.values()) - held["basis"]
    most = min((available - rest) // row, seen.parameters)
    if rest + held["basis"] <= available:
        what = "steps" if density.reorthogonalize == "full" else "vectors kept"
        return f"fits in {size:g} GiB a rank, with up to {most:,} {what}."
    cures = []
    if most >= 2:
        cures = [f"steps <= {most:,}", f"reorthogonalize={most} (a window)"]
    if (enough := _enough_ranks(seen, held, available, ranks)) is not None:
        cures.append(f"{enough:,} ranks")
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
        whole = _size(seen.module_size * DTYPES[options.dtype][0].itemsize)
        notes.append(f"all weights, {whole}, on rank 0's host while it shares them out")
    return tuple(notes)


def _lines(plan: Plan) -> list[str]:
    density = plan.density
    sizes = sorted(plan.blocks.values())
    said = {
        "parameters": "shards of parameters, and buffers",
        "gathered": "parameters gathered at once",
        "gradients": "gradients at once",
        "activations": "activations of a batch",
        "basis": f"Lanczos basis, {_rows(density):,} vectors",
        "vectors": "other vectors of a product",
        "operator": f"what {density.operator} holds besides",
    }
    rows = [(said[kind], number) for kind, number in plan.memory.items() if number]
    least, most = plan.gradients
    lines = [
        f"{plan.model} on {plan.ranks:,} ranks: {plan.parameters:,} parameters in "
        f"{len(plan.blocks)} blocks of {sizes[0]:,} to {sizes[-1]:,}, up to {plan.shard:,} a rank",
        "",
        "memory of the largest rank at its peak:",
        *(f"  {text:<36}{_size(number):>10}" for text, number in [*rows, ("in all", plan.total)]),
        "",
        f"work of {density.probes} probes of {density.steps} steps: "
        f"{_span(f'{least:,.0f}', f'{most:,.0f}')} gradients, each over {plan.batches:,} batches",
    ]
    if plan.collectives is not None and plan.received is not None:
        calls = ", ".join(f"{number:,} {kind}" for kind, number in plan.collectives.items())
        moved = _size(sum(plan.received.values()))
        lines.append(f"  a product: {calls}; each rank receives {moved}")
    if plan.seconds is not None:
        time = _span(*map(_time, plan.seconds))
        lines.append(f"  at {plan.gradient_seconds:.3g} s a gradient: {time}, Gram-Schmidt aside")
    if plan.advice:
        lines += ["", plan.advice]
    return [*lines, "", "not included:", *(f"- {note}" for note in plan.notes)]


def _span(first: str, last: str) -> str:
    return first if first == last else f"{first} to {last}"


def _size(number: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if number < 1000 or unit == "GiB":
            break
        number /= 1024
    return f"{number:,.{0 if unit == 'B' else 1 if number >= 10 else 2}f} {unit}"


def _time(seconds: float) -> str:
    for unit, length in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.3g} s"
