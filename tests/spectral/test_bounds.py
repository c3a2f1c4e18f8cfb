"""Bounds of the extreme Ritz values, against matrices whose products err by known amounts."""

import dataclasses
import itertools
import math

import numpy as np
import pytest
import torch

from hessview.job.estimators.extremes import estimates
from hessview.spectral import bounds
from hessview.spectral.bounds import (
    ENDS,
    UNDERRATED,
    Pair,
    Steps,
    beyond,
    extreme,
    furthest,
)
from hessview.spectral.lanczos import combine, lanczos
from hessview.spectral.vectors import Piece, Space

SIZE = 80
EPSILON = 2.0**-52


def space_of(size, dtype=torch.float64):
    piece = Piece(name="x", full_shape=(size,), shape=(size,), offset=(0,))
    return Space([piece], dtype=dtype)


def symmetric(eigenvalues, seed=0):
    generator = torch.Generator().manual_seed(seed)
    size = len(eigenvalues)
    vectors, _ = torch.linalg.qr(torch.randn(size, size, dtype=torch.float64, generator=generator))
    return (vectors * torch.as_tensor(eigenvalues, dtype=torch.float64)) @ vectors.T


def measured(matrix, steps, *, error=lambda step: 0.0, seed=0, known=lambda step: True, **options):
    """Steps of a process whose products err by so much of their norm, and its basis."""
    space = space_of(len(matrix))
    generator = torch.Generator().manual_seed(seed)
    shares = []

    def matvec(vector):
        product = matrix @ vector
        noise = torch.randn(len(matrix), dtype=torch.float64, generator=generator)
        share = error(len(shares))
        shares.append(share if known(len(shares)) else math.nan)
        return product + noise * (share * product.norm() / noise.norm())

    found, process = [], lanczos(matvec, space.probe(seed, 0), steps, space=space, **options)
    while True:
        try:
            found.append(next(process))
        except StopIteration as over:
            basis = over.value
            break
    columns = [[getattr(one, name) for one in found] for name in ("alpha", "beta", "asymmetry")]
    alpha, beta, asymmetry = (np.array(column) for column in columns)
    blank = np.full(len(alpha), np.nan)
    return Steps(alpha, beta, np.array(shares), asymmetry, blank), basis


def pair_of(matrix, basis, steps, end, *, error=0.0):
    """The Ritz vector of an end, measured anew by an exact product that says it errs by `error`."""
    t = np.diag(steps.alpha) + np.diag(steps.beta[:-1], 1) + np.diag(steps.beta[:-1], -1)
    _, vectors = np.linalg.eigh(t)
    column = torch.from_numpy(vectors[:, [-1 if end == "largest" else 0]].copy())
    y = combine(basis.clone(), column)[0]
    product = matrix @ y
    value = float(y @ product)
    residual = float((product - value * y).norm())
    return Pair(value, residual, error, error * abs(value), error * value / 10, 0.0, math.nan)


@pytest.fixture
def matrix():
    return symmetric(np.r_[-4.0, -2.5, np.linspace(-0.5, 0.5, SIZE - 6), 3, 5, 8, 13], seed=3)


def test_the_asymmetry_is_what_is_left_beside_the_tridiagonal(matrix):
    lopsided = matrix + 1e-3 * torch.triu(torch.ones_like(matrix))
    steps, basis = measured(lopsided, 12)
    inner = (basis @ lopsided @ basis.T).numpy()
    tridiagonal = np.diag(steps.alpha) + np.diag(steps.beta[:-1], 1) + np.diag(steps.beta[:-1], -1)
    expected = np.linalg.norm(np.triu(inner - tridiagonal, 1), axis=0)
    np.testing.assert_allclose(steps.asymmetry, expected, rtol=1e-6, atol=1e-12)
    assert steps.asymmetry[5] > 1e-4
    exact, _ = measured(matrix, 12)
    assert exact.asymmetry.max() < 1e-13


def test_a_window_sees_the_asymmetry_against_what_it_keeps(matrix):
    for kept in ("none", 4):
        steps, basis = measured(matrix, 30, reorthogonalize=kept)
        assert basis is None
        assert steps.asymmetry.max() < 1e-12
        lopsided = matrix + 1e-3 * torch.triu(torch.ones_like(matrix))
        assert measured(lopsided, 30, reorthogonalize=kept)[0].asymmetry[5] > 1e-5


@pytest.mark.parametrize("count", [6, 12, 25])
@pytest.mark.parametrize("error", [0.0, 1e-6, 1e-3, 5e-2])
def test_an_eigenvalue_lies_within_the_bound(matrix, error, count):
    spectrum = torch.linalg.eigvalsh(matrix).numpy()
    for seed in range(12):
        steps, basis = measured(matrix, count, error=lambda step: error, seed=seed)
        for end in ENDS:
            for pair in (None, pair_of(matrix, basis, steps, end, error=error)):
                one = extreme(steps, end, machine_epsilon=EPSILON, pair=pair)
                assert one.withheld == ""
                assert np.abs(spectrum - one.value).min() <= one.bound <= one.certain


def test_a_converged_extreme_is_known_far_better_than_its_residual(matrix):
    steps, basis = measured(matrix, 10)
    pair = pair_of(matrix, basis, steps, "largest")
    one = extreme(steps, "largest", machine_epsilon=EPSILON, pair=pair)
    off = abs(one.value - float(torch.linalg.eigvalsh(matrix)[-1]))
    assert off <= one.bound < 1e-2 * one.certain
    assert one.bound > 0


def test_two_eigenvalues_that_are_not_told_apart_yet_leave_the_whole_residual():
    # Nearer to each other than so many steps resolve: the Ritz value lies between the two.
    close = symmetric(np.r_[np.linspace(-1, 1, SIZE - 2), 4.0, 4.0 - 2e-3])
    seen = 0
    for seed in range(20):
        steps, basis = measured(close, 9, seed=seed)
        pair = pair_of(close, basis, steps, "largest")
        one = extreme(steps, "largest", machine_epsilon=EPSILON, pair=pair)
        assert min(abs(one.value - 4.0), abs(one.value - 3.998)) <= one.bound
        seen += one.bound == one.certain
    assert seen >= 10


def test_a_bad_product_at_a_step_without_d_widens_the_bound(matrix):
    spectrum = torch.linalg.eigvalsh(matrix).numpy()
    bad = 0
    for seed in range(20):
        steps, basis = measured(
            matrix,
            25,
            error=lambda step: 1.0 if step == 7 else 1e-6,
            known=lambda step: step in (0, 1, 17),
            seed=seed,
        )
        for end in ENDS:
            without = extreme(steps, end, machine_epsilon=EPSILON)
            anew = extreme(
                steps, end, machine_epsilon=EPSILON, pair=pair_of(matrix, basis, steps, end)
            )
            off = np.abs(spectrum - anew.value).min()
            assert off <= anew.bound
            assert off <= without.bound  # by the asymmetry alone
            bad += off > 1e-3
    assert bad >= 5  # else nothing was tried


def test_late_steps_in_a_null_space_do_not_spoil_what_is_known():
    low = symmetric(np.r_[np.zeros(SIZE - 5), 1.0, 2, 3, 4, 9], seed=2)
    low = low + 1e-9 * symmetric(np.random.default_rng(0).normal(size=SIZE), seed=5)
    steps, _ = measured(low, 20, error=lambda step: 0.67 if step > 8 else 1e-7)
    one = extreme(steps, "largest", machine_epsilon=EPSILON)
    assert one.withheld == ""
    assert abs(one.value - 9) <= one.bound < 1e-4


def test_the_probe_that_surely_reaches_furthest_counts():
    def one(value, bound, withheld=""):
        return bounds.Extreme(value, bound, bound, bound, 0.0, 0.0, True, 1, False, withheld)

    good, garbage, none = one(5.0, 0.01), one(9.0, 6.0), one(20.0, 0.1, "not a derivative")
    assert furthest([garbage, good, none], "largest") is good
    assert furthest([none], "largest") is none
    low = one(-0.08, 0.01)
    assert furthest([low, one(-0.5, 0.6)], "smallest") is low
    assert furthest([low, one(-0.5, 0.1)], "smallest").value == -0.5


@pytest.mark.parametrize("error", [0.26, 0.5, 1.1, math.inf])
def test_products_that_are_no_derivative_give_no_number(matrix, error):
    steps, basis = measured(matrix, 20)
    pair = pair_of(matrix, basis, steps, "largest", error=error)
    pair = dataclasses.replace(pair, change=error * pair.value)  # all of it along the vector
    one = extreme(steps, "largest", machine_epsilon=EPSILON, pair=pair)
    assert one.withheld.startswith("not a derivative: product error D = ")
    unmeasured = dataclasses.replace(steps, error=np.full(20, error))
    assert extreme(unmeasured, "largest", machine_epsilon=EPSILON).withheld


def test_a_lopsided_operator_gives_no_number(matrix):
    lopsided = matrix + 3 * torch.triu(torch.ones_like(matrix))
    steps, _ = measured(lopsided, 15)
    one = extreme(steps, "largest", machine_epsilon=EPSILON)
    assert one.withheld.startswith("no symmetric operator")


def test_asymmetry_that_d_does_not_see_counts_whole(matrix):
    lopsided = matrix + 0.05 * torch.triu(torch.ones_like(matrix))
    steps, basis = measured(lopsided, 25)
    pair = pair_of(lopsided, basis, steps, "largest")
    one = extreme(steps, "largest", machine_epsilon=EPSILON, pair=pair)
    assert one.asymmetry > 0.05
    assert one.bound >= one.asymmetry


def test_rounding_is_never_nothing():
    steps = Steps(*(np.array([value]) for value in (2.0, 0.0, 0.0, 0.0, 6e-6)))
    one = extreme(steps, "largest", machine_epsilon=EPSILON)
    assert one.bound == pytest.approx(EPSILON * 2 / 6e-6)
    exact = dataclasses.replace(steps, error=np.array([np.nan]), rho=np.array([np.nan]))
    for epsilon in (EPSILON, 2.0**-23, 2.0**-7):
        bound = extreme(exact, "largest", machine_epsilon=epsilon).bound
        assert bound == pytest.approx(16 * min(epsilon, 2.0**-23) * 2)


# What a product's error is, by products at other steps

LADDER = (0.5, 1.0, 2.0, 4.0)


def told_and_true(error_at, ladder=LADDER, order=2):
    """What the combination with the least change is told to err by, and its error."""
    errors = np.array([error_at(step) for step in ladder])
    found = estimates(len(ladder), order)
    chosen = min(found, key=lambda each: np.linalg.norm(each.change @ errors))
    told = UNDERRATED * np.linalg.norm(chosen.change @ errors)
    return told, np.linalg.norm(chosen.weights @ errors)


def noise(seed, size=200):
    return np.random.default_rng(seed).normal(size=size)


def rounding(step, seed=0):
    return noise([seed, int(step * 4)]) / step


@pytest.mark.parametrize(
    ("name", "error_at"),
    [
        ("truncation", lambda step: step**2 * noise(0) + 0.01 * step**4 * noise(1)),
        ("a jump within half the step", lambda step: noise(0) / step),
        ("a jump within the step", lambda step: (step > 0.7) * noise(0) / step + noise(1)[0] / 9),
        ("truncation of fourth order", lambda step: step**4 * noise(0)),
        ("truncation of first order", lambda step: step * noise(0) + 0.1 * step**2 * noise(1)),
        ("two jumps", lambda step: noise(0) / step + (step > 0.8) * noise(1) / step),
        ("truncation and rounding", lambda step: step**2 * noise(0) + 0.2 * rounding(step)),
        ("rounding and truncation", lambda step: 0.2 * step**2 * noise(0) + rounding(step)),
        ("rounding", rounding),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_no_kind_of_error_is_underrated(name, error_at):
    for ladder in (LADDER, LADDER[:3], LADDER[:2]):
        told, true = told_and_true(error_at, ladder)
        assert 0.95 * true <= told <= 16 * true


def test_combinations_of_products_have_no_error_of_the_operators_order():
    for order, count in itertools.product((1, 2), (2, 3, 4, 5)):
        steps = np.array([2.0**place for place in range(count)])
        found = estimates(count, order)
        assert len(found) == (count - 1) + (count - 2)
        for each in found:
            assert sum(each.weights) == pytest.approx(1)
            assert sum(each.change) == pytest.approx(0)
            assert min(np.flatnonzero(each.weights)) == each.nearest
        for each in found[count - 1 :]:
            assert each.weights @ steps**order == pytest.approx(0, abs=1e-12)
            assert each.change @ steps**order == pytest.approx(0, abs=1e-12)


def test_rounding_is_told_by_its_change():
    for seed in range(20):
        told, true = told_and_true(lambda step, seed=seed: rounding(step, seed))
        assert (
            true <= told <= 6 * true
        )  # 2 times 0.56 s / h, of 0.25 s / h, up to 200 random elements


# What lies beyond


def test_what_lies_beyond_is_as_the_theorem_has_it():
    # One probe of k steps: 1.648 sqrt(n) exp(-(2 k - 1) sqrt(x)) is the chance at x.
    share = beyond(10_000, [40], chance=0.01)
    assert 164.8 * math.exp(-79 * math.sqrt(share)) == pytest.approx(0.01)
    pair = beyond(10_000, [40, 40], chance=0.01)
    assert (164.8 * math.exp(-79 * math.sqrt(pair))) ** 2 == pytest.approx(0.01)
    assert pair < share
    assert beyond(10_000, [0], chance=0.01) == math.inf
    assert beyond(1, [1], chance=0.01) == 0


@pytest.mark.parametrize("steps", [4, 8])
def test_an_eigenvalue_lies_further_beyond_less_often_than_that(steps):
    spectrum = np.r_[np.linspace(0, 1, 120) ** 3, 1.02]
    share = beyond(len(spectrum), [steps], chance=0.1)
    worse = 0
    for seed in range(100):
        space = space_of(len(spectrum))
        start = torch.from_numpy(np.random.default_rng(seed).normal(size=len(spectrum)))
        diagonal = torch.from_numpy(spectrum)
        found = list(
            lanczos(lambda v: diagonal * v, start / start.norm(), steps, space=space)  # noqa: B023
        )
        t = np.diag([one.alpha for one in found])
        off = [one.beta for one in found[:-1]]
        top = np.linalg.eigvalsh(t + np.diag(off, 1) + np.diag(off, -1))[-1]
        worse += (spectrum[-1] - top) > share * np.ptp(spectrum)
    assert worse <= 10
