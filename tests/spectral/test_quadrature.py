import numpy as np
import pytest
from scipy.stats import wasserstein_distance

from hessview.errors import InputError
from hessview.spectral import quadrature
from hessview.spectral.quadrature import Ritz, default_sigma, density, moment, ritz, wasserstein

SIZE = 40


@pytest.fixture
def matrix():
    random = np.random.default_rng(1)
    vectors, _ = np.linalg.qr(random.normal(size=(SIZE, SIZE)))
    return (vectors * np.linspace(-3, 10, SIZE)) @ vectors.T


@pytest.fixture
def probe():
    return np.random.default_rng(2).choice([-1.0, 1.0], SIZE) / np.sqrt(SIZE)


def test_full_depth_rebuilds_the_spectrum_and_the_measure(matrix, probe, dense_lanczos):
    found = ritz(*dense_lanczos(matrix, probe, SIZE))
    eigenvalues, vectors = np.linalg.eigh(matrix)
    np.testing.assert_allclose(found.nodes, eigenvalues, rtol=0, atol=1e-9)
    np.testing.assert_allclose(found.weights, (vectors.T @ probe) ** 2, rtol=0, atol=1e-9)


@pytest.mark.parametrize("steps", [1, 2, 4, 7])
def test_moments_are_exact_up_to_twice_the_steps_less_one(steps, matrix, probe, dense_lanczos):
    found = ritz(*dense_lanczos(matrix, probe, steps))
    power = probe
    for order in range(2 * steps):
        expected = probe @ power
        assert moment(found.nodes, found.weights, order) == pytest.approx(expected, rel=1e-9)
        power = matrix @ power
    # The next one is not: the test would otherwise pass for a quadrature of any length.
    following = moment(found.nodes, found.weights, 2 * steps)
    assert following != pytest.approx(probe @ power, rel=1e-9)


def test_alpha_and_beta_of_the_first_step_are_the_products_two_moments(
    matrix, probe, dense_lanczos
):
    alpha, beta = dense_lanczos(matrix, probe, 5)
    assert alpha[0] == pytest.approx(probe @ matrix @ probe)
    assert alpha[0] ** 2 + beta[0] ** 2 == pytest.approx(np.sum((matrix @ probe) ** 2))


@pytest.mark.parametrize("steps", [3, 10, 25])
def test_an_eigenvalue_lies_within_the_residual(steps, matrix, probe, dense_lanczos):
    found = ritz(*dense_lanczos(matrix, probe, steps))
    eigenvalues = np.linalg.eigvalsh(matrix)
    distances = np.abs(found.nodes[:, None] - eigenvalues).min(axis=1)
    assert (distances <= found.residuals + 1e-12).all()


def test_the_residual_is_the_norm_of_the_ritz_vectors_residual():
    # One step: node v'Av, Ritz vector v, residual |Av - node v| = beta.
    found = ritz([2.0], [0.75])
    assert found.nodes == pytest.approx([2.0])
    assert found.weights == pytest.approx([1.0])
    assert found.residuals == pytest.approx([0.75])


def test_weights_sum_to_one(matrix, probe, dense_lanczos):
    for steps in (1, 5, SIZE):
        assert ritz(*dense_lanczos(matrix, probe, steps)).weights.sum() == pytest.approx(
            1, abs=1e-12
        )


def test_density_integrates_to_one_and_keeps_mean_and_variance(matrix, probe, dense_lanczos):
    found = ritz(*dense_lanczos(matrix, probe, 12))
    grid = np.linspace(-20, 30, 20_001)
    values = density(found.nodes, found.weights, grid, sigma=0.5)
    assert np.trapezoid(values, grid) == pytest.approx(1, abs=1e-9)
    mean = moment(found.nodes, found.weights, 1)
    assert np.trapezoid(values * grid, grid) == pytest.approx(mean, abs=1e-9)
    second = moment(found.nodes, found.weights, 2) + 0.5**2
    assert np.trapezoid(values * grid**2, grid) == pytest.approx(second, abs=1e-9)


@pytest.mark.parametrize("sigma", [0, -0.1, float("nan"), float("inf")])
def test_density_refuses_a_width_that_is_none(sigma):
    with pytest.raises(InputError, match=rf"sigma={sigma} is not allowed; use a finite number > 0"):
        density([1.0], [1.0], [0.0], sigma=sigma)


@pytest.mark.parametrize(
    ("alpha", "beta", "message"),
    [
        ([1.0, 2.0], [1.0], r"alpha has shape \(2,\) and beta \(1,\); both need the same shape"),
        ([], [], r"alpha has shape \(0,\) .* at least one step"),
        ([[1.0]], [[1.0]], r"alpha has shape \(1, 1\)"),
        ([1.0, np.nan], [1.0, 1.0], "alpha or beta is not finite; pass the finished steps only"),
        ([1.0, 2.0], [np.inf, 1.0], "alpha or beta is not finite"),
    ],
)
def test_ritz_refuses_what_is_no_jacobi_matrix(alpha, beta, message):
    with pytest.raises(InputError, match=message):
        ritz(alpha, beta)


def test_moment_refuses_a_negative_order():
    with pytest.raises(InputError, match="order=-1 is not allowed; use a whole number >= 0"):
        moment([1.0], [1.0], -1)


def test_wasserstein_is_the_shift_and_the_mass_moved():
    a = Ritz(np.array([0.0, 1.0]), np.array([0.25, 0.75]), np.zeros(2))
    shifted = Ritz(a.nodes + 2.5, a.weights, a.residuals)
    assert wasserstein(a, shifted) == pytest.approx(2.5)
    reweighted = Ritz(a.nodes, np.array([0.5, 0.5]), a.residuals)
    assert wasserstein(a, reweighted) == pytest.approx(0.25)
    assert wasserstein(a, a) == 0


def test_wasserstein_agrees_with_scipy(matrix, probe, dense_lanczos):
    a, b = (ritz(*dense_lanczos(matrix, probe, steps)) for steps in (5, 12))
    expected = wasserstein_distance(a.nodes, b.nodes, a.weights, b.weights)
    assert wasserstein(a, b) == wasserstein(b, a) == pytest.approx(expected)


def test_default_sigma_is_a_third_of_the_mean_gap():
    assert default_sigma([-1.0, np.nan, 5.0], 10) == pytest.approx(6 / 30)


def test_default_sigma_of_equal_eigenvalues_is_small_and_positive():
    same = np.full(3, 7.0) + np.array([0, 1, -1]) * np.finfo(float).eps * 7
    assert default_sigma(same, 3) == pytest.approx(quadrature.FLAT_WIDTH * 7)
    assert default_sigma([-2.0], 1) == pytest.approx(quadrature.FLAT_WIDTH * 2)
    assert default_sigma([0.0, 0.0], 2) == 1.0


def test_default_sigma_refuses_nothing():
    with pytest.raises(
        InputError, match="0 nodes of 4 steps give no width; measure a Lanczos step"
    ):
        default_sigma([np.nan], 4)
