"""How strongly an operator couples blocks of parameters, from one product a block."""

import dataclasses
import math
from collections.abc import Collection, Sequence

import torch
from torch import Tensor

from hessview.spectral.vectors import CHUNK, Space

Pair = tuple[Tensor, Tensor]


class Blocks:
    """Disjoint sets of a space's pieces; pieces in none of them are left alone.

    Args:
        space: The space of all parameters.
        members: Names of each block's pieces.
    """

    def __init__(self, space: Space, members: Sequence[Collection[str]]) -> None:
        self.space = space
        self._pieces = [
            [i for i, piece in enumerate(space.pieces) if piece.name in names] for names in members
        ]

    def __len__(self) -> int:
        return len(self._pieces)

    def part(self, vector: Tensor, block: int) -> Tensor:
        """A vector's part in one block: a copy that is zero elsewhere, shape (local_size,)."""
        part = self.space.zeros()
        self.add(vector, part, block=block)
        return part

    def union(self, vector: Tensor) -> Tensor:
        """A vector's part in all blocks: a copy that is zero elsewhere, shape (local_size,)."""
        part = self.space.zeros()
        for block in range(len(self)):
            self.add(vector, part, block=block)
        return part

    def add(self, vector: Tensor, out: Tensor, *, block: int) -> None:
        """Add a vector's part in one block to another vector, in place."""
        source, target = self.space.split(vector), self.space.split(out)
        for piece in self._pieces[block]:
            target[piece].add_(source[piece])

    def inner(self, *pairs: Pair) -> Tensor:
        """Inner products, block by block, in one reduction.

        Args:
            pairs: Vectors to be multiplied, each of shape (local_size,).

        Returns:
            Shape (pair, block), float64 on the CPU; the same on every rank.
        """
        sums = torch.zeros(len(pairs), len(self), dtype=torch.float64, device=self.space.device)
        for row, (left, right) in zip(sums, pairs, strict=True):
            lefts, rights = self.space.split(left), self.space.split(right)
            for block, pieces in enumerate(self._pieces):
                for piece in pieces:
                    if self.space.pieces[piece].owned:
                        row[block] += _dot(lefts[piece], rights[piece])
        return self.space.reduce(sums.flatten()).view(sums.shape).cpu()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Column:
    """What one block's part v_c of a vector gives rise to in every block b.

    Attributes:
        response_norm: |(H v_c)_b|, shape (block,).
        form: v_b' H v_c, shape (block,).
    """

    response_norm: Tensor
    form: Tensor


@dataclasses.dataclass(frozen=True, kw_only=True)
class Comparison:
    """The product Hv beside the block-diagonal H_B v, and beside the sum of the columns.

    Ratios with nothing below the line are NaN.

    Attributes:
        product_norm: |Hv|.
        diagonal_norm: |H_B v|.
        block_error: |Hv - H_B v| / |Hv|.
        cosine: <Hv, H_B v> / (|Hv| |H_B v|).
        kappa: <Hv, H_B v> / |H_B v|^2; averages to 1 over isotropic vectors, if products are
            exact or have errors that Hv and H_B v share.
        disagreement: |Hv - sum over c of H v_c| / |Hv|: 0 for exact products, and made of
            errors only, since it is the same vector computed twice by other steps.
        row_error: |(Hv - H_B v)_b| / |(Hv)_b|, shape (block,).
        row_disagreement: |(Hv - sum)_b| / |(Hv)_b|, shape (block,).
    """

    product_norm: float
    diagonal_norm: float
    block_error: float
    cosine: float
    kappa: float
    disagreement: float
    row_error: Tensor
    row_disagreement: Tensor


class Coupling:
    """Collects the products with a vector's blocks, and holds them against the whole product.

    Keeps three vectors, however many blocks there are.

    Args:
        blocks: Blocks of the space.
        vector: Shape (local_size,), of any norm.
    """

    def __init__(self, blocks: Blocks, vector: Tensor) -> None:
        self._blocks = blocks
        self.vector = blocks.union(vector)
        self.norms = blocks.inner((self.vector, self.vector))[0].sqrt()
        self._sum = blocks.space.zeros()
        self._diagonal = blocks.space.zeros()

    def add(self, column: int, product: Tensor) -> Column:
        """Take in the product with one block's part of the vector.

        Args:
            column: Which block.
            product: H v_c, shape (local_size,).
        """
        self._sum.add_(product)
        self._blocks.add(product, self._diagonal, block=column)
        squares, form = self._blocks.inner((product, product), (self.vector, product))
        return Column(response_norm=squares.sqrt(), form=form)

    def compare(self, product: Tensor) -> Comparison:
        """Hold the whole product against the sum of what was added, once per vector.

        Args:
            product: Hv of the vector (its part in the blocks), shape (local_size,).
        """
        diagonal = self._diagonal
        gap = self._sum.sub_(product)
        away = product - diagonal
        sums = self._blocks.inner(
            (product, product), (diagonal, diagonal), (product, diagonal), (away, away), (gap, gap)
        )
        product_square, diagonal_square, overlap, error_square, gap_square = sums.sum(1).tolist()
        return Comparison(
            product_norm=math.sqrt(product_square),
            diagonal_norm=math.sqrt(diagonal_square),
            block_error=_root(error_square, product_square),
            cosine=overlap / math.sqrt(product_square * diagonal_square)
            if product_square * diagonal_square > 0
            else math.nan,
            kappa=overlap / diagonal_square if diagonal_square > 0 else math.nan,
            disagreement=_root(gap_square, product_square),
            row_error=(sums[3] / sums[0]).sqrt(),
            row_disagreement=(sums[4] / sums[0]).sqrt(),
        )


def _root(above: float, below: float) -> float:
    return math.sqrt(above / below) if below > 0 else math.nan


def _dot(left: Tensor, right: Tensor) -> Tensor:
    """Inner product of two boxes, in float64 beyond slices of `CHUNK`."""
    total = torch.zeros((), dtype=torch.float64, device=left.device)
    slices = zip(*(torch.split(box.flatten(), CHUNK) for box in (left, right)), strict=True)
    for a, b in slices:
        total += a @ b
    return total
