"""Copies of converged eigenvalues count once, and their weights add up."""

import numpy as np
import pytest
import torch
from scipy.linalg import eigh_tridiagonal

from hessview.analysis.ritz import merges_of, quadrature_of
from hessview.spectral import ghosts
from hessview.spectral.bounds import Steps
from hessview.spectral.lanczos import lanczos
from hessview.spectral.quadrature import ritz
from hessview.spectral.vectors import Piece, Space

FLOAT64 = float(np.finfo(np.float64).eps)
TOP = np.array([3.0, 5.0, 8.0, 13.0])


def coefficients(spectrum, steps, *, noise=0.0, seed=0, reorthogonalize="none"):
    piece = Piece(name="x", full_shape=(len(spectrum),), shape=(len(spectrum),), offset=(0,))
    space = Space([piece], dtype=torch.float64)
    diagonal = torch.as_tensor(spectrum, dtype=torch.float64)
    generator = torch.Generator().manual_seed(seed)

    def matvec(vector):
        product = diagonal * vector
        error = torch.randn(len(spectrum), dtype=torch.float64, generator=generator)
        return product + error * (noise * product.norm() / error.norm())

    process = lanczos(
        matvec, space.probe(seed, 0), steps, space=space, reorthogonalize=reorthogonalize
    )
    found = list(process)
    alpha, beta = (np.array([getattr(one, name) for one in found]) for name in ("alpha", "beta"))
    sizes = np.hypot(alpha, beta)
    rounding = 16 * np.finfo(float).eps * sizes.max()  # as `bounds.product_errors` has it
    return alpha, beta, np.maximum(noise * sizes, rounding)


@pytest.fixture
def spectrum():
    return np.r_[np.linspace(-0.5, 0.5, 296), TOP]


@pytest.mark.parametrize("window", ["none", 3, 8])
@pytest.mark.parametrize("noise", [0.0, 1e-8, 1e-5])
def test_each_eigenvalue_counts_once(spectrum, noise, window):
    alpha, beta, errors = coefficients(spectrum, 90, noise=noise, reorthogonalize=window)
    rule = ritz(alpha, beta)
    assert (rule.nodes > 2).sum() > len(TOP)  # there are copies, or nothing is tried
    _, place = ghosts.kept(alpha, beta, errors)
    found, copies = ghosts.merged(rule, place)
    np.testing.assert_allclose(found.nodes[found.nodes > 2], TOP, rtol=0, atol=20 * noise + 1e-12)
    assert copies.sum() == len(rule.nodes)
    assert copies[found.nodes > 2].max() > 1
    assert found.weights.sum() == pytest.approx(1, abs=1e-12)
    full = ritz(*coefficients(spectrum, 90, noise=noise, reorthogonalize="full")[:2])
    np.testing.assert_allclose(
        found.weights[found.nodes > 2], full.weights[full.nodes > 2], rtol=1e-3, atol=noise
    )


def test_nothing_is_merged_where_all_vectors_are_kept(spectrum):
    alpha, beta, errors = coefficients(spectrum, 60, noise=1e-6, reorthogonalize="full")
    _, place = ghosts.kept(alpha, beta, errors)
    assert place.tolist() == list(range(60))


def test_eigenvalues_nearer_than_the_error_are_not_told_apart():
    close = np.r_[np.linspace(-0.5, 0.5, 96), 5.0, 5.0 + 1e-7]
    alpha, beta, _ = coefficients(close, 60, reorthogonalize="full")
    nodes = eigh_tridiagonal(alpha, beta[:-1], eigvals_only=True)
    assert (nodes > 4).sum() == 2
    for error, left in ((1e-9, 2), (1e-5, 1)):
        _, place = ghosts.kept(alpha, beta, np.full(60, error))
        found, copies = ghosts.merged(ritz(alpha, beta), place)
        assert (found.nodes > 4).sum() == left
        assert copies[-1] == 3 - left


def test_a_light_eigenvalue_is_no_ghost(spectrum):
    # With next to no weight in the start it looks spurious: it is an eigenvalue of T without its
    # first row, too, as far as the products' errors tell.
    piece = Piece(name="x", full_shape=(300,), shape=(300,), offset=(0,))
    space = Space([piece], dtype=torch.float64)
    start = space.probe(0, 0)
    start[-3:] *= 1e-5
    diagonal = torch.from_numpy(spectrum)
    process = lanczos(
        lambda v: diagonal * v, start / start.norm(), 60, space=space, reorthogonalize="none"
    )
    found = list(process)
    alpha, beta = (np.array([getattr(one, name) for one in found]) for name in ("alpha", "beta"))
    _, place = ghosts.kept(alpha, beta, np.full(60, 1e-5))
    rule, _ = ghosts.merged(ritz(alpha, beta), place)
    np.testing.assert_allclose(rule.nodes[rule.nodes > 2], TOP, atol=1e-8)


@pytest.mark.parametrize("window", ["none", 3])
def test_a_page_is_told_what_is_merged_after_each_number_of_steps(spectrum, window):
    alpha, beta, _ = coefficients(spectrum, 90, noise=1e-6, reorthogonalize=window)
    nothing = np.full(90, np.nan)
    steps = Steps(alpha, beta, np.full(90, 1e-6), nothing, nothing)
    told = merges_of(steps, FLOAT64)
    assert len(told) == 90
    assert told[1] == []
    for count in (2, 30, 31, 90):
        rule, copies = quadrature_of(steps.first(count), FLOAT64, full=False)
        heads = np.arange(count)
        for first, size, head in np.reshape(told[count - 1], (-1, 3)).astype(int):
            heads[first : first + size] = head
        found, of_each = ghosts.merged(ritz(alpha[:count], beta[:count]), heads)
        for name in ("nodes", "weights", "residuals"):
            np.testing.assert_array_equal(getattr(found, name), getattr(rule, name))
        np.testing.assert_array_equal(of_each, copies)
    assert copies.max() > 1
    assert len(told[-1]) < 90  # groups are told, not each of their members
