"""A plan: memory, time and network of a spectral density, counted, and how it prints."""

import dataclasses
import json
import math
import os
import pathlib
from typing import TYPE_CHECKING

from hessview.errors import InputError
from hessview.record.commands import Density
from hessview.record.files import read_text
from hessview.record.operator_facts import OPERATORS
from hessview.record.validation import shown
from hessview.wording import counted, duration, size

if TYPE_CHECKING:
    from hessview.job.rehearsal import Rehearsal


_ANEW = (3, 5)  # products along an extreme Ritz vector: at epsilon, twice and half, and beyond
_LADDER = (3, 17)  # products to calibrate epsilon with: the fewest and the most
# Shards at once: those of a product (saved parameters, the product before, the product, and the
# second one that measures D) and of the first one, which calibrates (saved, product, five
# epsilons).
_VECTORS, _SECOND, _CALIBRATING = 3, 1, 7


def memory_of(density: Density, rehearsal: "Rehearsal") -> dict[str, int]:
    """Bytes of the largest rank at its peak, by kind."""
    vectors = _VECTORS - 1
    if rehearsal.operator.has_epsilon:
        vectors = _VECTORS + _SECOND * (density.error_every > 0)
        if density.epsilon == "auto":
            vectors = max(vectors, _CALIBRATING)
    vectors += rehearsal.operator.kept
    row = rehearsal.shard * rehearsal.itemsize
    return {
        **rehearsal.memory,
        "basis": density.vectors_kept * row,
        "vectors": vectors * row,
        "operator": rehearsal.operator_memory,
    }


def gradients_of(density: Density, rehearsal: "Rehearsal") -> tuple[float, float]:
    """How many gradients a run takes, at the least and at the most."""
    products = density.steps * density.probes
    anew = density.probes * min(2, density.steps) if density.vectors_kept == density.steps else 0
    least, most = 0, 0
    if density.error_every and not rehearsal.operator.has_epsilon:
        products += anew
    elif density.error_every:
        # At steps 1 and 2, and from there at every so many.
        products += density.probes * (1 + math.ceil((density.steps - 1) / density.error_every))
        least, most = _ANEW[0] * anew, _ANEW[1] * anew
    if rehearsal.operator.has_epsilon and density.epsilon == "auto":
        least, most = least + _LADDER[0], most + _LADDER[1]
    cost = rehearsal.operator.cost or math.nan  # of one that does not say
    return 1 + cost * (products + least), 1 + cost * (products + most)


def moved_by(
    density: Density, rehearsal: "Rehearsal"
) -> tuple[dict[str, int] | None, dict[str, int] | None]:
    """Collectives of a product, and bytes that a rank receives by them, by kind."""
    operator = rehearsal.operator
    if density.operator not in OPERATORS or not operator.passes_are_known:
        return None, None

    def of_a_product(forward: dict[str, int], in_all: dict[str, int]) -> dict[str, int]:
        by_kind = {
            kind: rehearsal.passes
            * (operator.forwards * forward[kind] + operator.gradients * number)
            for kind, number in in_all.items()
        }
        if operator.one_reduction:
            by_kind["reduce_scatter"] = in_all["reduce_scatter"]
        return by_kind

    calls = of_a_product(*rehearsal.counts)
    calls["all_reduce"] += 1  # the product's norm
    return calls, of_a_product(*rehearsal.received)


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
            each product whose epsilon is tried again, which is rare, times those of a product.
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
        return table(self)


_MOST_BYTES = 1 << 22  # a benchmark's file takes some thousands
_NO_TIMES = (
    *(OSError, ValueError, LookupError, TypeError, AttributeError, OverflowError),
    *(RecursionError, MemoryError),
)


def timed(plan: Plan, path: str | os.PathLike[str]) -> Plan:
    """The plan with the time of a gradient that `hessview bench --json` measured.

    Raises:
        InputError: It is not such a file, or one of another model, data or number of ranks.
    """
    try:
        data = json.loads(read_text(pathlib.Path(path), _MOST_BYTES))
        index = data["coords"]["work"]["data"].index("gradient")
        seconds = float(data["data_vars"]["seconds"]["data"][index])
        if not 0 < seconds < math.inf:
            raise ValueError(f"{seconds!r} seconds")
        names = ("parameters", "world_size", "batches")
        parameters, ranks, batches = (int(data["attrs"][name]) for name in names)
    except _NO_TIMES as error:
        raise InputError(
            f"{path} holds no times of a gradient ({type(error).__name__}: {shown(str(error))}); "
            "give the file that hessview bench --json wrote."
        ) from error
    measured, planned = (parameters, ranks, batches), (plan.parameters, plan.ranks, plan.batches)
    if measured != planned:
        raise InputError(
            f"{path} was measured with (parameters, ranks, batches) = {measured}, and this plan "
            f"has {planned}; measure with the same options, or give the time as gradient_seconds."
        )
    return dataclasses.replace(plan, gradient_seconds=seconds)


def table(plan: "Plan") -> str:
    """The lines that `print` shows of a plan."""
    density = plan.density
    sizes = sorted(plan.blocks.values())
    kind_in_words = {
        "parameters": "shards of parameters, and buffers",
        "gathered": "parameters gathered at once",
        "gradients": "gradients at once",
        "activations": "activations of a batch",
        "basis": f"Lanczos basis, {density.vectors_kept:,} vectors",
        "vectors": "other vectors of a product",
        "operator": f"what {density.operator} holds besides",
    }
    rows = [(kind_in_words[kind], number) for kind, number in plan.memory.items() if number]
    least, most = plan.gradients
    lines = [
        f"{plan.model} on {counted(plan.ranks, 'rank')}: {plan.parameters:,} parameters in "
        f"{counted(len(plan.blocks), 'block')} of {sizes[0]:,} to {sizes[-1]:,}, "
        f"up to {plan.shard:,} a rank",
        "",
        "memory of the largest rank at its peak:",
        *(f"  {text:<36}{size(number):>10}" for text, number in [*rows, ("in all", plan.total)]),
        "",
        f"work of {counted(density.probes, 'probe')} of {counted(density.steps, 'step')}: "
        f"{_span(f'{least:,.0f}', f'{most:,.0f}')} gradients, each over "
        f"{counted(plan.batches, 'batch', 'batches')}",
    ]
    if plan.collectives is not None and plan.received is not None:
        calls = ", ".join(f"{number:,} {kind}" for kind, number in plan.collectives.items())
        moved = size(sum(plan.received.values()))
        lines.append(f"  a product: {calls}; each rank receives {moved}")
    if plan.seconds is not None:
        time = _span(*map(duration, plan.seconds))
        lines.append(f"  at {plan.gradient_seconds:.3g} s a gradient: {time}, Gram-Schmidt aside")
    if plan.advice:
        lines += ["", plan.advice]
    return "\n".join([*lines, "", "not included:", *(f"- {note}" for note in plan.notes)])


def _span(first: str, last: str) -> str:
    return first if first == last else f"{first} to {last}"
