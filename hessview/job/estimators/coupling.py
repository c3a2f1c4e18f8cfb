"""Readings of block coupling: one product per probe and block, and one with the whole probe."""

import dataclasses
import math
import time
from collections.abc import Generator

import torch
from torch import Tensor

from hessview.job.estimators.base import located
from hessview.job.loss import ShardedLoss
from hessview.job.objective import blocks_by_pattern, check_apart, job_blocks
from hessview.operators import Make, maker_of
from hessview.operators.base import LossSurface, Operator, Product
from hessview.record.commands import Coupling
from hessview.record.events import Reading
from hessview.spectral import blocks as mathematics
from hessview.spectral.blocks import Blocks


def coupling(
    command: Coupling, surface: ShardedLoss, operator: Operator | None = None
) -> Generator[Reading, None, None]:
    """Perturb the blocks of each probe one at a time, and read all blocks' responses.

    Args:
        command: How many probes, and which blocks.
        surface: The loss whose curvature is asked for.
        operator: The one that the command names; None makes it.

    Yields:
        A reading per (probe, column), and one per probe that holds the whole product against
        the block-diagonal one. Noise and D are measured with the first probe. Blocks of the job
        that lie outside of the surface stay NaN.

    Raises:
        InputError: Fewer than two blocks, one that is empty, or two that overlap.
    """
    names, members = _members(command, surface)
    indices = [names.index(name) for name in members]
    blocks = Blocks(surface.space, list(members.values()))
    make = maker_of(command.operator)
    rule = make(surface, command.epsilon) if operator is None else operator
    products = _Products(make, surface, rule)

    def row(values: Tensor) -> list[float]:
        spread = torch.full((len(names),), math.nan, dtype=torch.float64)
        spread[indices] = values
        return spread.tolist()

    for probe in range(command.probes):
        accumulator = mathematics.Coupling(blocks, surface.space.probe(command.seed, probe))
        # First, so that the rule for epsilon meets an ordinary direction before small blocks.
        length = float(accumulator.norms.norm())
        with located(probe=probe):
            of_all_blocks = _measure(
                products, blocks, accumulator.vector / length, length, key=None
            )
        for column, norm in enumerate(accumulator.norms.tolist()):
            started = time.perf_counter()
            direction = blocks.part(accumulator.vector, column).div_(norm)
            with located(probe=probe, column=names[indices[column]]):
                measured = _measure(products, blocks, direction, norm, key=column)
            responses = accumulator.add(column, measured.vector)
            yield Reading(
                index={"probe": probe, "column": indices[column]},
                values={
                    "response_norm": row(responses.response_norm),
                    "noise": row(measured.noise),
                    "form": row(responses.form),
                    "epsilon": measured.epsilon,
                    "rho": measured.rho,
                    "error": float(measured.noise.norm() / responses.response_norm.norm()),
                    "gradients": measured.gradients,
                    "seconds": time.perf_counter() - started,
                },
            )
        result = accumulator.compare(of_all_blocks.vector)
        yield Reading(
            index={"probe": probe},
            values={
                "product_norm": result.product_norm,
                "diagonal_norm": result.diagonal_norm,
                "block_error": result.block_error,
                "cosine": result.cosine,
                "kappa": result.kappa,
                "disagreement": result.disagreement,
                "row_error": row(result.row_error),
                "row_disagreement": row(result.row_disagreement),
                "product_epsilon": of_all_blocks.epsilon,
                "product_rho": of_all_blocks.rho,
                "product_error": float(of_all_blocks.noise.norm())
                / (result.product_norm or math.nan),
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
    measured = {
        block: [name for name in block_names if name in names]
        for block, block_names in blocks.items()
    }
    members = {block: block_names for block, block_names in measured.items() if block_names}
    check_apart(members)
    return list(blocks), members


class _Products:
    """The rule chooses each direction's epsilon with the first probe; the other probes keep it.

    So the noise that was measured with the first probe is that of the others too, which cost no
    search for epsilon.
    """

    def __init__(self, make: Make, surface: LossSurface, rule: Operator) -> None:
        self._make = make
        self._surface = surface
        self._rule = rule
        self._operators: dict[int | None, Operator] = {}

    def products(self, key: int | None, direction: Tensor) -> tuple[Product, Product | None]:
        """Product with a unit-norm vector; the first of its key at twice epsilon as well."""
        if key in self._operators:
            return self._operators[key].matvec(direction), None
        product = self._rule.matvec(direction)
        if not product.epsilon > 0:  # an operator that has no epsilon
            self._operators[key] = self._rule
            return product, None
        self._operators[key] = self._make(self._surface, product.epsilon)
        return product, self._make(self._surface, 2 * product.epsilon).matvec(direction)


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Measured:
    vector: Tensor
    noise: Tensor  # norm of its change at twice epsilon, shape (block,)
    epsilon: float
    rho: float
    gradients: float


def _measure(
    products: _Products, blocks: Blocks, direction: Tensor, norm: float, *, key: int | None
) -> _Measured:
    """Product with the vector of this norm along a unit-norm direction."""
    product, second = products.products(key, direction)
    noise = torch.full((len(blocks),), math.nan, dtype=torch.float64)
    if second is not None:
        change = second.vector.sub_(product.vector)
        noise = norm * blocks.inner((change, change))[0].sqrt()
    return _Measured(
        vector=product.vector.mul_(norm),
        noise=noise,
        epsilon=product.epsilon,
        rho=product.rho,
        gradients=float(product.gradients + (second.gradients if second else 0)),
    )
