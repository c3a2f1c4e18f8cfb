"""Probes are one vector however parameters are cut into boxes, and that of the stated hash."""

import hashlib
import itertools
import math

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hessview.spectral.vectors import Piece, Space

MASK = (1 << 64) - 1
SHAPES = st.lists(st.integers(1, 6), max_size=3).map(tuple)


def hashed(seed, index, name, place):
    """The hash of an element in whole numbers of Python: SplitMix64 of its place, from a key."""
    key = hashlib.blake2b(f"{seed}/{index}/{name}".encode(), digest_size=8).digest()
    x = (place * 0x9E3779B97F4A7C15 + int.from_bytes(key, "little")) & MASK
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9 & MASK
    x = (x ^ (x >> 27)) * 0x94D049BB133111EB & MASK
    return x ^ (x >> 31)


def whole(name, shape):
    return Piece(name=name, full_shape=shape, shape=shape, offset=(0,) * len(shape))


@st.composite
def boxes(draw, shape):
    """Boxes that make up a tensor: cut once or more, each part of a part again."""
    parts = [((0,) * len(shape), shape)]
    for _ in range(draw(st.integers(0, 5)) if shape else 0):
        offset, sizes = parts.pop(draw(st.integers(0, len(parts) - 1)))
        axis = draw(st.integers(0, len(shape) - 1))
        at = draw(st.integers(0, sizes[axis]))  # at an edge: a box without elements
        rest = (*offset[:axis], offset[axis] + at, *offset[axis + 1 :])
        parts.append((offset, (*sizes[:axis], at, *sizes[axis + 1 :])))
        parts.append((rest, (*sizes[:axis], sizes[axis] - at, *sizes[axis + 1 :])))
    return parts


@st.composite
def shardings(draw):
    """Shapes by name; and of each of some ranks the pieces that it holds, in an order of its own.

    Each box lies on one rank or more, of which one counts it.
    """
    shapes = dict(zip("abcd", draw(st.lists(SHAPES, min_size=1, max_size=4)), strict=False))
    ranks = [[] for _ in range(draw(st.integers(1, 4)))]
    for name, shape in shapes.items():
        for offset, sizes in draw(boxes(shape)):
            holders = draw(st.lists(st.integers(0, len(ranks) - 1), min_size=1, unique=True))
            for rank in holders:
                ranks[rank].append(
                    Piece(
                        name=name,
                        full_shape=shape,
                        shape=sizes,
                        offset=offset,
                        owned=rank == holders[0],
                    )
                )
    return shapes, [draw(st.permutations(pieces)) for pieces in ranks]


def spaces(shapes, ranks):
    """Each rank's space, of the size of the whole: a rank that lacks a parameter has none of it."""
    made = []
    for pieces in ranks:
        space = Space(pieces, dtype=torch.float64)
        space.size = sum(math.prod(shape) for shape in shapes.values())
        made.append(space)
    return made


def placed(space, vector, full):
    """Write a rank's part of a vector where it belongs in the full tensors."""
    for piece, part in zip(space.pieces, space.split(vector), strict=True):
        place = tuple(
            slice(start, start + size)
            for start, size in zip(piece.offset, piece.shape, strict=True)
        )
        before = full[piece.name][place]
        assert bool((before.isnan() | (before == part)).all())  # replicas agree
        full[piece.name][place] = part


@given(shardings(), st.integers(0, 2**63 - 1), st.integers(0, 100))
def test_any_boxes_on_any_ranks_draw_the_same_probe(sharding, seed, index):
    shapes, ranks = sharding
    alone = Space([whole(name, shape) for name, shape in shapes.items()], dtype=torch.float64)
    for draw in (lambda space: space.probe(seed, index), lambda space: space.uniform(seed)):
        expected = dict(zip(shapes, alone.split(draw(alone)), strict=True))
        full = {
            name: torch.full(shape, math.nan, dtype=one.dtype)
            for (name, shape), one in zip(shapes.items(), expected.values(), strict=True)
        }
        for space in spaces(shapes, ranks):
            placed(space, draw(space), full)
        for name, one in expected.items():
            assert torch.equal(full[name], one)


@given(shardings(), st.integers(0, 2**63 - 1))
@settings(max_examples=50)
def test_sums_over_any_ranks_are_those_of_one(sharding, seed):
    shapes, ranks = sharding
    alone = Space([whole(name, shape) for name, shape in shapes.items()], dtype=torch.float64)

    def sums(space):
        basis = torch.stack([space.probe(seed, row) for row in range(3)])
        return space.products(basis, space.probe(seed, 3)).numpy()

    found = sum(sums(space) for space in spaces(shapes, ranks))
    np.testing.assert_allclose(found, sums(alone), rtol=0, atol=1e-14)
    assert math.isclose(found[-1], 1.0, rel_tol=1e-13)


@given(SHAPES.filter(math.prod), st.integers(0, 2**63 - 1), st.integers(0, 2**31), st.text())
def test_signs_are_those_of_the_hash_in_whole_numbers(shape, seed, index, name):
    space = Space([whole(name, shape)], dtype=torch.float64)
    (found,) = space.split(space.probe(seed, index))
    for place, at in enumerate(itertools.product(*map(range, shape))):
        assert (found[at] < 0) == (hashed(seed, index, name, place) >> 63 == 1)
