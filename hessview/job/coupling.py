"""Readings of block coupling: one product per probe and block, and one with the whole probe."""

import math
import time
from collections.abc import Callable, Iterator
from typing import Literal

from torch import Tensor

from hessview.commands import Coupling
from hessview.job.blocks import blocks_by_pattern, check_apart, job_blocks
from hessview.job.surface import ShardedLoss
from hessview.messages import Reading
from hessview.named import named
from hessview.operators import OPERATORS
from hessview.operators.base import LossSurface, Operator, Product
from hessview.spectral import coupling as mathematics
from hessview.spectral.coupling import Blocks

Make = Callable[[LossSurface, float | Literal["auto"]], Operator]


def coupling(command: Coupling, surface: ShardedLoss) -> Iterator[Reading]:
    """Perturb the blocks of each probe one at a time, and read all blocks' responses.

    The step of a block is chosen with the first probe and kept for the others. With the first
    probe each block is measured at twice the step as well: what changes is noise.

    Args:
        command: How many probes, and which blocks.
        surface: The loss whose curvature is asked for.

    Yields:
        A reading per (probe, column), and one per probe that holds the whole product against
        the block-diagonal one. Blocks of the job outside of the surface stay NaN.

    Raises:
        InputError: Fewer than two blocks, one that is empty, or two that overlap.
    """
    names, members = _members(command, surface)
    where = [names.index(name) for name in members]
    blocks = Blocks(surface.space, list(members.values()))
    make: Make = named("operator", command.operator, OPERATORS)
    chosen = make(surface, command.epsilon)
    whole: Operator | None = None
    columns: dict[int, Operator] = {}

    for probe in range(command.probes):
        accumulator = mathematics.Coupling(blocks, surface.space.probe(command.seed, probe))
        length = float(accumulator.norms.norm())
        # First, so that the rule for the step meets an ordinary direction before small blocks.
        product = (whole or chosen).matvec(accumulator.vector / length, measure_error=True)
        whole = whole or _at(make, surface, product) or chosen
        hv = product.vector.mul_(length)
        for column, norm in enumerate(accumulator.norms.tolist()):
            started = time.perf_counter()
            direction = blocks.part(accumulator.vector, column).div_(norm)
            response = columns.get(column, chosen).matvec(direction)
            noise: list[float] = [math.nan] * len(blocks)
            extra = 0
            if column not in columns:
                columns[column] = _at(make, surface, response) or chosen
                if second := _at(make, surface, response, factor=2.0):
                    repeated = second.matvec(direction)
                    extra = repeated.gradients
                    change = repeated.vector.sub_(response.vector).mul_(norm)
                    noise = blocks.inner((change, change))[0].sqrt().tolist()
                    del repeated, change
            found = accumulator.add(column, response.vector.mul_(norm))
            yield Reading(
                index={"probe": probe, "column": where[column]},
                values={
                    "response_norm": _spread(found.response_norm.tolist(), where, len(names)),
                    "noise": _spread(noise, where, len(names)),
                    "form": _spread(found.form.tolist(), where, len(names)),
                    "epsilon": response.epsilon,
                    "rho": response.rho,
                    "error": _ratio(noise, found.response_norm),
                    "gradients": float(response.gradients + extra),
                    "seconds": time.perf_counter() - started,
                },
            )
        comparison = accumulator.compare(hv)
        yield Reading(
            index={"probe": probe},
            values={
                "product_norm": comparison.product_norm,
                "diagonal_norm": comparison.diagonal_norm,
                "block_error": comparison.block_error,
                "cosine": comparison.cosine,
                "kappa": comparison.kappa,
                "disagreement": comparison.disagreement,
                "row_error": _spread(comparison.row_error.tolist(), where, len(names)),
                "row_disagreement": _spread(
                    comparison.row_disagreement.tolist(), where, len(names)
                ),
                "product_epsilon": product.epsilon,
                "product_rho": product.rho,
                "product_error": product.error,
            },
        )


def _members(command: Coupling, surface: ShardedLoss) -> tuple[list[str], dict[str, list[str]]]:
    """Names of all blocks, as the dataset has them, and the parameters of those measured."""
    names = [piece.name for piece in surface.space.pieces]
    if command.blocks:
        members = blocks_by_pattern(dict(command.blocks), names)
        check_apart(members)
        return list(members), members
    blocks = job_blocks(surface.objective)
    held = {block: [name for name in own if name in names] for block, own in blocks.items()}
    members = {block: own for block, own in held.items() if own}
    check_apart(members)
    return list(blocks), members


def _at(
    make: Make, surface: ShardedLoss, product: Product, *, factor: float = 1.0
) -> Operator | None:
    """The operator at a multiple of a product's step, None for one that takes no step."""
    step = product.epsilon * factor
    return make(surface, step) if math.isfinite(step) and step > 0 else None


def _ratio(noise: list[float], response: Tensor) -> float:
    norm = float(response.norm())
    return math.hypot(*noise) / norm if norm > 0 else math.nan


def _spread(values: list[float], where: list[int], size: int) -> list[float]:
    """Values of the measured blocks at their places among all blocks, NaN at the others."""
    row = [math.nan] * size
    for place, value in zip(where, values, strict=True):
        row[place] = value
    return row
