import itertools
import math

import numpy as np
import pytest
import torch

from hessview.spectral.lanczos import lanczos
from hessview.spectral.quadrature import ritz
from hessview.spectral.vectors import Piece, Space

SIZE = 60
EPS = torch.finfo(torch.float64).eps


class Counted:
    """A reduction that counts how often it is asked, and for how many numbers."""

    def __init__(self):
        self.sizes = []

    def __call__(self, numbers):
        self.sizes.append(len(numbers))
        return numbers


def space_of(size, dtype=torch.float64, reduce=lambda numbers: numbers):
    piece = Piece(name="x", full_shape=(size,), shape=(size,), offset=(0,))
    return Space([piece], dtype=dtype, reduce=reduce)


def symmetric(eigenvalues, seed=0):
    generator = torch.Generator().manual_seed(seed)
    size = len(eigenvalues)
    vectors, _ = torch.linalg.qr(torch.randn(size, size, dtype=torch.float64, generator=generator))
    return (vectors * torch.as_tensor(eigenvalues, dtype=torch.float64)) @ vectors.T


def run(matrix, steps, *, space=None, start=None, **options):
    """Steps, and the vectors that the operator was asked for: the Lanczos basis."""
    space = space or space_of(len(matrix))
    asked = []

    def matvec(vector):
        asked.append(vector.clone())
        return matrix.to(vector) @ vector

    start = space.probe(0, 0) if start is None else start
    found = list(lanczos(matvec, start, steps, space=space, **options))
    return found, torch.stack(asked)


def tridiagonal(found):
    alpha = torch.tensor([step.alpha for step in found], dtype=torch.float64)
    beta = torch.tensor([step.beta for step in found][:-1], dtype=torch.float64)
    return torch.diag(alpha) + torch.diag(beta, 1) + torch.diag(beta, -1)


@pytest.fixture
def matrix():
    return symmetric(np.r_[np.linspace(-2, 2, SIZE - 3), 10, 11, 40])


def test_midway_the_recurrence_leaves_one_residual(matrix):
    steps = 17
    found, basis = run(matrix, steps + 1)
    q, following = basis[:steps].T, basis[steps]
    left = matrix @ q - q @ tridiagonal(found[:steps])
    expected = torch.zeros_like(left)
    expected[:, -1] = found[steps - 1].beta * following
    torch.testing.assert_close(left, expected, rtol=0, atol=50 * EPS * 40)


def test_full_depth_rebuilds_the_matrix(matrix):
    found, basis = run(matrix, SIZE)
    rebuilt = basis.T @ tridiagonal(found) @ basis
    torch.testing.assert_close(rebuilt, matrix, rtol=0, atol=100 * EPS * 40)


def test_full_depth_gives_every_eigenvalue(matrix):
    found, _ = run(matrix, SIZE)
    nodes = torch.linalg.eigvalsh(tridiagonal(found))
    torch.testing.assert_close(nodes, torch.linalg.eigvalsh(matrix), rtol=0, atol=100 * EPS * 40)


def test_coefficients_equal_those_of_a_dense_reference(matrix, dense_lanczos):
    start = space_of(SIZE).probe(3, 1)
    found, _ = run(matrix, 30, start=start)
    alpha, beta = dense_lanczos(matrix.numpy(), start.numpy(), 30)
    np.testing.assert_allclose([step.alpha for step in found], alpha, rtol=0, atol=1e-11)
    np.testing.assert_allclose([step.beta for step in found], beta, rtol=0, atol=1e-11)


def test_gauss_quadrature_of_a_probe_is_exact(matrix):
    space = space_of(SIZE)
    start = space.probe(0, 2)
    found, _ = run(matrix, 12, start=start)
    measure = ritz([step.alpha for step in found], [step.beta for step in found])
    for order in (1, 2, 5):
        power = torch.linalg.matrix_power(matrix, order)
        exact = float(start @ power @ start)
        assert float(measure.weights @ measure.nodes**order) == pytest.approx(exact, rel=1e-10)


@pytest.mark.parametrize(("dtype", "eps"), [(torch.float64, EPS), (torch.float32, 2.0**-23)])
def test_twice_is_enough_for_orthogonality(dtype, eps):
    # Extremes converge within some steps, which is where orthogonality is lost.
    size, steps = 300, 80
    matrix = symmetric(np.r_[np.linspace(0, 1, size - 5), 1e1, 1e2, 1e3, 1e4, -1e4])
    _, basis = run(matrix, steps, space=space_of(size, dtype))
    basis = basis.double()
    deviation = (basis @ basis.T - torch.eye(steps, dtype=torch.float64)).abs().max()
    assert float(deviation) < 20 * eps


@pytest.mark.parametrize("reorthogonalize", ["none", 2, 5])
def test_a_window_keeps_the_density_but_may_make_ghosts(reorthogonalize):
    size, steps = 300, 100
    matrix = symmetric(np.r_[np.linspace(0, 1, size - 2), 50, 100])
    full, _ = run(matrix, steps)
    found, basis = run(matrix, steps, reorthogonalize=reorthogonalize)
    top = torch.linalg.eigvalsh(tridiagonal(found))
    assert float(top[-1]) == pytest.approx(100, rel=1e-10)
    # The ghost is a second copy of a simple eigenvalue; with all vectors kept there is none.
    assert int((top > 99).sum()) > 1
    assert int((torch.linalg.eigvalsh(tridiagonal(full)) > 99).sum()) == 1
    # Weights of copies add up to the weight of the one.
    start = basis[0].numpy()
    measure = ritz([step.alpha for step in found], [step.beta for step in found])
    eigenvalues, vectors = np.linalg.eigh(matrix.numpy())
    assert eigenvalues[-1] > 99
    exact = float((vectors[:, -1] @ start) ** 2)
    assert float(measure.weights[measure.nodes > 99].sum()) == pytest.approx(exact, rel=1e-6)


def test_a_window_as_wide_as_the_run_is_full(matrix):
    full, _ = run(matrix, 20)
    windowed, _ = run(matrix, 20, reorthogonalize=20)
    assert full == windowed


@pytest.mark.parametrize(("reorthogonalize", "rows"), [("full", 9), ("none", 2), (1, 2), (4, 4)])
def test_no_more_vectors_are_kept_than_said(matrix, reorthogonalize, rows):
    reduce = Counted()
    run(matrix, 9, space=space_of(SIZE, reduce=reduce), reorthogonalize=reorthogonalize)
    assert max(reduce.sizes) == rows + 1


def test_a_step_costs_one_packed_reduction_a_pass(matrix):
    reduce = Counted()
    run(matrix, 6, space=space_of(SIZE, reduce=reduce))
    # Inner products with the vectors so far, and the square of the norm, in the same message.
    assert reduce.sizes == [2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("distinct", [1, 2, 3, 5])
def test_an_invariant_subspace_ends_the_process(distinct, dtype):
    values = np.arange(1.0, distinct + 1)
    matrix = torch.diag(torch.as_tensor(np.resize(values, SIZE)))
    found, _ = run(matrix, 20, space=space_of(SIZE, dtype))
    assert len(found) == distinct
    assert found[-1].beta == 0.0
    assert all(step.beta > 0 for step in found[:-1])
    nodes = torch.linalg.eigvalsh(tridiagonal(found))
    np.testing.assert_allclose(nodes, values, rtol=0, atol=20 * torch.finfo(dtype).eps)


@pytest.mark.parametrize("noise", [1e-15, 1e-6])
def test_a_subspace_that_is_left_by_rounding_alone_stays_right(noise):
    # A product's own error hides the breakdown; what follows must carry no weight.
    exact = symmetric(np.resize([1.0, 2.0], SIZE))
    generator = torch.Generator().manual_seed(0)
    error = torch.randn(SIZE, SIZE, dtype=torch.float64, generator=generator) / math.sqrt(SIZE)
    found, basis = run(exact + noise * (error + error.T), 20)
    deviation = (basis @ basis.T - torch.eye(len(basis), dtype=torch.float64)).abs().max()
    assert float(deviation) < 100 * EPS
    measure = ritz([step.alpha for step in found], [step.beta for step in found])
    assert measure.nodes.min() > 1 - 10 * noise - 1e-12
    assert measure.nodes.max() < 2 + 10 * noise + 1e-12
    for value in (1, 2):
        start = basis[0].numpy()
        vectors = np.linalg.eigh(exact.numpy())[1]
        columns = vectors[:, :30] if value == 1 else vectors[:, 30:]
        near = np.abs(measure.nodes - value) < 0.1
        weight = float(np.sum((columns.T @ start) ** 2))
        assert measure.weights[near].sum() == pytest.approx(weight, abs=20 * noise + 1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_remainders_of_rounding_in_a_small_space_make_no_eigenvalue(seed):
    # What is left lies mostly in the span of the vectors so far, until it is nothing else.
    generator = torch.Generator().manual_seed(seed)

    def matvec(vector):
        rounding = torch.finfo(torch.float32).eps * torch.randn(20, generator=generator)
        return vector + 3 / math.sqrt(20) * rounding

    space = space_of(20, torch.float32)
    found = list(lanczos(matvec, space.probe(seed, 0), 20, space=space))
    nodes = ritz([step.alpha for step in found], [step.beta for step in found]).nodes
    np.testing.assert_allclose(nodes, 1, rtol=0, atol=1e-5)


def test_an_eigenvector_as_start_ends_at_once():
    matrix = torch.diag(torch.arange(1.0, 5, dtype=torch.float64))
    start = torch.tensor([0, 0, 1.0, 0], dtype=torch.float64)
    found, _ = run(matrix, 4, start=start)
    assert [(step.alpha, step.beta) for step in found] == [(3.0, 0.0)]


def test_the_zero_operator_ends_at_once():
    found, _ = run(torch.zeros(7, 7, dtype=torch.float64), 7)
    assert [(step.alpha, step.beta) for step in found] == [(0.0, 0.0)]


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
def test_breakdown_is_seen_at_any_scale(scale):
    matrix = scale * torch.diag(torch.as_tensor(np.resize([1.0, 2.0], SIZE)))
    found, _ = run(matrix, 10)
    assert [step.beta > 0 for step in found] == [True, False]


def test_the_last_step_leaves_nothing_over(matrix):
    found, _ = run(matrix, SIZE)
    assert len(found) == SIZE
    assert found[-1].beta < 1e-10


def test_one_step_needs_one_product(matrix):
    found, basis = run(matrix, 1)
    start = basis[0]
    assert len(basis) == 1
    assert found[0].alpha == pytest.approx(float(start @ matrix @ start))
    squares = found[0].alpha ** 2 + found[0].beta ** 2
    assert squares == pytest.approx(float((matrix @ start).square().sum()))


def test_the_start_is_left_alone(matrix):
    space = space_of(SIZE)
    start = space.probe(0, 0)
    run(matrix, 5, space=space, start=start)
    assert torch.equal(start, space.probe(0, 0))


def test_no_more_products_are_made_than_steps_are_taken(matrix):
    asked = []

    def matvec(vector):
        asked.append(1)
        return matrix @ vector

    space = space_of(SIZE)
    process = lanczos(matvec, space.probe(0, 0), 50, space=space)
    taken = list(itertools.islice(process, 3))
    assert len(asked) == len(taken) == 3


def test_an_operator_that_is_not_finite_does_not_look_like_a_breakdown():
    space = space_of(4)
    process = lanczos(lambda v: v * math.nan, space.probe(0, 0), 4, space=space)
    assert math.isnan(next(process).beta)
