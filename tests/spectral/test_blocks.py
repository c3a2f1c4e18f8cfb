import itertools
import math

import pytest
import torch

from hessview.spectral.blocks import Blocks, Coupling
from hessview.spectral.vectors import Piece, Space

SHAPES = {"a.weight": (2, 2), "a.bias": (1,), "b.weight": (3,), "c.scale": (), "d.weight": (2,)}
MEMBERS = [["a.weight", "a.bias"], ["d.weight", "b.weight"]]  # c.scale is in neither
ROWS = [[0, 1, 2, 3, 4], [5, 6, 7, 9, 10]]
SIZE = 11


def space(reduce=lambda numbers: numbers, owned=lambda name: True):
    pieces = [
        Piece(name=name, full_shape=s, shape=s, offset=(0,) * len(s), owned=owned(name))
        for name, s in SHAPES.items()
    ]
    return Space(pieces, reduce=reduce, dtype=torch.float64)


def numbers(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, dtype=torch.float64, generator=generator)


@pytest.fixture
def matrix():
    dense = numbers(SIZE, SIZE)
    return dense + dense.T


def measure(matrix, vector, noise=None):
    """Columns and comparison by exact products, or with noise(column) added (None: the whole)."""
    made = Coupling(Blocks(space(), MEMBERS), vector)
    noise = noise or (lambda column: 0.0)
    columns = []
    for column, rows in enumerate(ROWS):
        part = torch.zeros(SIZE, dtype=torch.float64)
        part[rows] = vector[rows]
        columns.append(made.add(column, matrix @ part + noise(column)))
    return columns, made.compare(matrix @ made.vector + noise(None))


def test_parts_make_up_the_union_and_leave_the_rest_alone():
    blocks = Blocks(space(), MEMBERS)
    vector = numbers(SIZE)
    union = blocks.union(vector)
    assert torch.equal(blocks.part(vector, 0) + blocks.part(vector, 1), union)
    assert torch.equal(torch.nonzero(blocks.part(vector, 1))[:, 0], torch.tensor(sorted(ROWS[1])))
    assert union[8] == 0
    assert torch.equal(union[ROWS[0]], vector[ROWS[0]])


def test_inner_products_are_those_of_each_block_in_one_reduction():
    calls = []

    def doubled(sums):
        calls.append(sums.shape)
        return 2 * sums

    blocks = Blocks(space(doubled), MEMBERS)
    u, v = numbers(SIZE), numbers(SIZE, seed=1)
    found = blocks.inner((u, v), (v, v))
    expected = [[a[rows] @ b[rows] for rows in ROWS] for a, b in ((u, v), (v, v))]
    torch.testing.assert_close(found, 2 * torch.tensor(expected, dtype=torch.float64))
    assert calls == [(4,)]


def test_replicas_are_counted_by_their_owner_only():
    blocks = Blocks(space(owned=lambda name: name != "b.weight"), MEMBERS)
    ones = torch.ones(SIZE, dtype=torch.float64)
    assert blocks.inner((ones, ones)).tolist() == [[5.0, 2.0]]


def test_every_number_is_that_of_the_dense_matrix(matrix):
    vector = numbers(SIZE, seed=5)
    columns, found = measure(matrix, vector)
    blocks = [[matrix[rows][:, cols] @ vector[cols] for cols in ROWS] for rows in ROWS]
    for c, column in enumerate(columns):
        for b in range(2):
            assert column.response_norm[b] == pytest.approx(float(blocks[b][c].norm()))
            assert column.form[b] == pytest.approx(float(vector[ROWS[b]] @ blocks[b][c]))
    hv = torch.cat([sum(row) for row in blocks])
    own = torch.cat([blocks[0][0], blocks[1][1]])
    assert found.product_norm == pytest.approx(float(hv.norm()))
    assert found.diagonal_norm == pytest.approx(float(own.norm()))
    assert found.block_error == pytest.approx(float((hv - own).norm() / hv.norm()))
    assert found.cosine == pytest.approx(float(hv @ own / hv.norm() / own.norm()))
    assert found.kappa == pytest.approx(float(hv @ own / own.norm() ** 2))
    rows = [float(blocks[b][1 - b].norm() / sum(blocks[b]).norm()) for b in range(2)]
    assert found.row_error.tolist() == pytest.approx(rows)
    assert found.disagreement < 1e-15
    assert float(found.row_disagreement.max()) < 1e-15


def test_expectations_over_all_sign_vectors(matrix):
    """Exact, since every Rademacher vector is there: E kappa, E rel^2, E response^2."""
    squares = torch.zeros(2, 2, dtype=torch.float64)
    sums = torch.zeros(4, dtype=torch.float64)
    for signs in itertools.product((-1.0, 1.0), repeat=6):
        vector = torch.ones(SIZE, dtype=torch.float64)
        vector[2:8] = torch.tensor(signs, dtype=torch.float64)
        # H is masked to the rows and columns whose signs are drawn.
        columns, found = measure(_masked(matrix), vector)
        squares += torch.stack([column.response_norm**2 for column in columns], dim=1)
        overlap = found.kappa * found.diagonal_norm**2
        error = (found.block_error * found.product_norm) ** 2
        sums += torch.tensor([overlap, found.diagonal_norm**2, error, found.product_norm**2])
    count = 2**6
    inner = _masked(matrix)
    frobenius = torch.tensor(
        [[float(inner[rows][:, cols].norm() ** 2) for cols in ROWS] for rows in ROWS]
    )
    torch.testing.assert_close(squares / count, frobenius.double(), rtol=1e-6, atol=0)
    torch.testing.assert_close(squares[0, 1], squares[1, 0], rtol=1e-12, atol=0)
    overlap, own, error, whole = (sums / count).tolist()
    assert overlap == pytest.approx(own)
    assert own == pytest.approx(float(frobenius.trace()), rel=1e-6)
    assert error / whole == pytest.approx(
        float((frobenius.sum() - frobenius.trace()) / frobenius.sum()), rel=1e-6
    )
    assert error / whole < 1


def _masked(matrix):
    """Only the rows and columns whose signs are all drawn."""
    free = torch.zeros(SIZE, dtype=torch.float64)
    free[2:8] = 1
    return matrix * free[:, None] * free


def test_a_block_diagonal_operator_has_no_coupling(matrix):
    mask = torch.zeros(SIZE, SIZE, dtype=torch.float64)
    for rows in ROWS:
        for row in rows:
            mask[row, rows] = 1
    columns, found = measure(matrix * mask, numbers(SIZE, seed=2))
    assert [column.response_norm[1 - c] for c, column in enumerate(columns)] == [0, 0]
    assert [column.form[1 - c] for c, column in enumerate(columns)] == [0, 0]
    assert found.block_error == 0
    assert found.cosine == pytest.approx(1, abs=1e-15)
    assert found.kappa == pytest.approx(1, abs=1e-15)
    assert found.disagreement == 0


def test_columns_are_symmetric_in_their_forms(matrix):
    columns, _ = measure(matrix, numbers(SIZE, seed=3))
    assert columns[0].form[1] == pytest.approx(float(columns[1].form[0]), rel=1e-12)


def test_independent_noise_shows_as_disagreement_and_as_no_curvature(matrix):
    """Products that are noise only: error sqrt(2) and cosine 0, as if blocks did not matter."""
    draws = {None: numbers(SIZE, seed=11), 0: numbers(SIZE, seed=12), 1: numbers(SIZE, seed=13)}
    draws[0][ROWS[1]] = draws[1][ROWS[0]] = 0
    vector = numbers(SIZE, seed=4)
    _, found = measure(0 * matrix, vector, draws.__getitem__)
    whole = draws[None].clone()
    whole[8] = 0
    own = draws[0] + draws[1]
    own[8] = 0
    assert found.disagreement == pytest.approx(float((whole - own).norm() / whole.norm()))
    assert found.block_error == pytest.approx(found.disagreement)
    assert found.disagreement > 1
    _, exact = measure(matrix, vector)
    small = {key: 1e-6 * draw for key, draw in draws.items()}
    _, near = measure(matrix, vector, small.__getitem__)
    assert 1e-8 < near.disagreement < 1e-5
    for name in ("block_error", "cosine", "kappa"):
        scale = near.product_norm / near.diagonal_norm
        change = abs(getattr(near, name) - getattr(exact, name))
        assert change <= near.disagreement * max(1, scale) * 2


def test_an_operator_of_zeros_gives_no_ratio(matrix):
    columns, found = measure(0 * matrix, numbers(SIZE))
    assert columns[0].response_norm.tolist() == [0, 0]
    assert math.isnan(found.block_error)
    assert math.isnan(found.cosine)
    assert math.isnan(found.kappa)
    assert math.isnan(found.disagreement)
