"""A plan in words."""

from typing import TYPE_CHECKING

from hessview.counted import counted
from hessview.planning.needs import rows_kept
from hessview.planning.sizes import say_size

if TYPE_CHECKING:
    from hessview.planning.planned import Plan


def table(plan: "Plan") -> str:
    """The lines that `print` shows of a plan."""
    density = plan.density
    sizes = sorted(plan.blocks.values())
    said = {
        "parameters": "shards of parameters, and buffers",
        "gathered": "parameters gathered at once",
        "gradients": "gradients at once",
        "activations": "activations of a batch",
        "basis": f"Lanczos basis, {rows_kept(density):,} vectors",
        "vectors": "other vectors of a product",
        "operator": f"what {density.operator} holds besides",
    }
    rows = [(said[kind], number) for kind, number in plan.memory.items() if number]
    least, most = plan.gradients
    lines = [
        f"{plan.model} on {counted(plan.ranks, 'rank')}: {plan.parameters:,} parameters in "
        f"{counted(len(plan.blocks), 'block')} of {sizes[0]:,} to {sizes[-1]:,}, "
        f"up to {plan.shard:,} a rank",
        "",
        "memory of the largest rank at its peak:",
        *(
            f"  {text:<36}{say_size(number):>10}"
            for text, number in [*rows, ("in all", plan.total)]
        ),
        "",
        f"work of {counted(density.probes, 'probe')} of {counted(density.steps, 'step')}: "
        f"{_span(f'{least:,.0f}', f'{most:,.0f}')} gradients, each over "
        f"{counted(plan.batches, 'batch', 'batches')}",
    ]
    if plan.collectives is not None and plan.received is not None:
        calls = ", ".join(f"{number:,} {kind}" for kind, number in plan.collectives.items())
        moved = say_size(sum(plan.received.values()))
        lines.append(f"  a product: {calls}; each rank receives {moved}")
    if plan.seconds is not None:
        time = _span(*map(_time, plan.seconds))
        lines.append(f"  at {plan.gradient_seconds:.3g} s a gradient: {time}, Gram-Schmidt aside")
    if plan.advice:
        lines += ["", plan.advice]
    return "\n".join([*lines, "", "not included:", *(f"- {note}" for note in plan.notes)])


def _span(first: str, last: str) -> str:
    return first if first == last else f"{first} to {last}"


def _time(seconds: float) -> str:
    for unit, length in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.3g} s"
