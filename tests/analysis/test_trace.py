"""Trace and Frobenius norm against closed forms: first steps by hand, no ranks, no products."""

import numpy as np
import pytest
import xarray as xr
from scipy.stats import binom

from hessview.analysis.headline import headline
from hessview.analysis.trace import hutchinson

SIZE, SEEDS = 200, 1000
OUTSIDE = 5e-4  # at either end of the binomial window, which holds 99.9 % of counts


def rotated(spectrum):
    vectors, _ = np.linalg.qr(np.random.default_rng(3).normal(size=(len(spectrum),) * 2))
    return (vectors * spectrum) @ vectors.T


def operators():
    random = np.random.default_rng(5)
    wigner = random.normal(size=(SIZE, SIZE)) / np.sqrt(2 * SIZE)
    bulk = np.linspace(-0.5, 0.5, SIZE - 4)
    return {
        "second difference": 2 * np.eye(SIZE) - np.eye(SIZE, k=1) - np.eye(SIZE, k=-1),
        "semicircle": wigner + wigner.T,
        "traceless": rotated(np.repeat([1.0, -1.0], SIZE // 2)),
        "outliers": rotated(np.concatenate([bulk, [3.0, 5.0, 8.0, 20.0]])),
        "negative outliers": rotated(np.concatenate([bulk, [-3.0, -5.0, 2.0, -9.0]])),
        "one eigenvalue": rotated(np.append(np.full(SIZE - 1, 0.01), 10.0)),
        "power law": rotated(1 / np.arange(1.0, SIZE + 1)),
    }


def first_steps(matrix, probes, seed, steps=2, change=None, **attrs):
    """alpha and beta of the first Lanczos steps from Rademacher probes; change(v, Hv) errs."""
    size = len(matrix)
    random = np.random.default_rng(seed)
    alpha, beta = np.full((2, probes, steps), np.nan)
    for probe in range(probes):
        basis = [random.choice([-1.0, 1.0], size) / np.sqrt(size)]
        for step in range(steps):
            product = matrix @ basis[-1]
            if change:
                product = product + change(basis[-1], product)
            alpha[probe, step] = product @ basis[-1]
            for _ in range(2):
                for vector in basis:
                    product = product - (product @ vector) * vector
            beta[probe, step] = np.linalg.norm(product)
            if beta[probe, step] <= 1e-12 * np.abs(matrix).max():
                beta[probe, step] = 0.0
                break
            basis.append(product / beta[probe, step])
    dims = ("probe", "step")
    coords = {"probe": np.arange(probes), "step": np.arange(1, steps + 1)}
    data = {"alpha": (dims, alpha), "beta": (dims, beta)}
    return xr.Dataset(data, coords, {"parameters": size, "state": "done", **attrs})


def many_first_steps(matrix, probes, steps):
    """As `first_steps` of so many seeds at once, for matrices that do not break down."""
    random = np.random.default_rng(0)
    start = random.choice([-1.0, 1.0], (SEEDS, probes, len(matrix))) / np.sqrt(len(matrix))
    product = start @ matrix
    alpha = (product * start).sum(axis=-1)
    left = product - alpha[..., None] * start
    beta = np.linalg.norm(left, axis=-1)
    second = left / beta[..., None]
    product = second @ matrix
    alphas = np.stack([alpha, (product * second).sum(axis=-1)], axis=-1)
    left = product - alphas[..., 1:] * second - beta[..., None] * start
    betas = np.stack([beta, np.linalg.norm(left, axis=-1)], axis=-1)
    coords = {"probe": np.arange(probes), "step": np.arange(1, steps + 1)}
    for one, other in zip(alphas[..., :steps], betas[..., :steps], strict=True):
        data = {"alpha": (("probe", "step"), one), "beta": (("probe", "step"), other)}
        yield xr.Dataset(data, coords, {"parameters": len(matrix), "state": "done"})


def test_many_first_steps_are_those_of_lanczos():
    matrix = operators()["outliers"]
    many = next(many_first_steps(matrix, 3, 2))
    one = first_steps(matrix, 1, seed=0)
    start = np.random.default_rng(0).choice([-1.0, 1.0], (SEEDS, 3, SIZE))[0, 0]
    np.testing.assert_array_equal(start, np.random.default_rng(0).choice([-1.0, 1.0], SIZE))
    for name in ("alpha", "beta"):
        np.testing.assert_allclose(many[name].values[0], one[name].values[0], rtol=1e-9)


def held(matrix, probes, steps):
    """How many of the intervals hold the trace and the norm."""
    truth = {"trace": np.trace(matrix), "frobenius_norm": np.linalg.norm(matrix)}
    counts = dict.fromkeys(truth, 0)
    for ds in many_first_steps(matrix, probes, steps):
        found = hutchinson(ds)
        for name, value in truth.items():
            one = found[name]
            assert one.level == 0.95
            counts[name] += one.low - 1e-9 <= value <= one.high + 1e-9
    return counts


def window():
    return binom.ppf(OUTSIDE, SEEDS, 0.95), binom.ppf(1 - OUTSIDE, SEEDS, 0.95)


@pytest.mark.parametrize("probes", [4, 16])
@pytest.mark.parametrize("name", operators())
def test_intervals_hold_as_often_as_their_level_says(name, probes):
    """The trace within the window of 0.95, the norm at least that often."""
    counts = held(operators()[name], probes, steps=2)
    low, high = window()
    assert low <= counts["trace"] <= high
    assert counts["frobenius_norm"] >= low


@pytest.mark.parametrize("probes", [4, 16])
def test_one_step_is_enough_where_the_samples_are_not_skewed(probes):
    counts = held(operators()["second difference"], probes, steps=1)
    low, high = window()
    assert low <= counts["trace"] <= high
    assert counts["frobenius_norm"] >= low


def test_the_interval_is_students_t_and_named_so():
    matrix = operators()["semicircle"]
    ds = first_steps(matrix, 4, seed=0, steps=1)
    one = hutchinson(ds)["trace"]
    samples = SIZE * ds.alpha.values[:, 0]
    assert one.value == pytest.approx(samples.mean())
    reach = 3.182446 * samples.std(ddof=1) / 2  # Student's t at 0.975 with 3 degrees of freedom
    assert (one.low, one.high) == pytest.approx((one.value - reach, one.value + reach))
    assert one.uncertainty == pytest.approx(reach)
    assert one.basis == ("95 % interval, Student's t over 4 probes; product error not measured")
    assert "wider above" in hutchinson(first_steps(operators()["outliers"], 4, 0))["trace"].basis


def test_the_error_of_the_products_does_not_vanish_with_the_trace():
    """Errors along v, the worst of a size: each probe's v'd is D |Hv|, and no spread shows it."""
    matrix = operators()["traceless"]
    for share in (1e-3, 1e-2, 0.2):
        ds = first_steps(
            matrix,
            8,
            seed=1,
            change=lambda v, product, share=share: share * np.linalg.norm(product) * v,
        )
        error = np.full(ds.alpha.shape, np.nan)
        error[:, 0] = share
        ds["error"] = ("probe", "step"), error
        without = hutchinson(first_steps(matrix, 8, seed=1))["trace"]
        one = hutchinson(ds)["trace"]
        off = one.value - without.value
        assert off == pytest.approx(share * SIZE, rel=1e-6)  # D sqrt(P) |H|_F
        assert one.low <= without.value <= one.high
        assert one.low <= 0 <= one.high
        assert one.uncertainty - without.uncertainty == pytest.approx(off, rel=0.05)
        assert f"and product error D = {share:.2g}" in one.basis


def test_a_separable_loss_has_a_trace_without_spread_and_products_that_err_alike():
    """As measured on 400 sines: 0.0967 for 0, each probe the same, was stated as +- 0.00028."""
    random = np.random.default_rng(0)
    sizes = random.normal(size=400)
    diagonal = sizes - sizes.mean()
    fourth = np.abs(diagonal)  # of one sign, so that the products' errors add up
    ds = first_steps(np.diag(diagonal), 8, seed=0, steps=1, change=lambda v, _: 3e-3 * fourth * v)
    exact = np.linalg.norm(diagonal) / 20
    ds["error"] = ("probe", "step"), np.full((8, 1), 3e-3 * np.linalg.norm(fourth) / 20 / exact)
    one = hutchinson(ds)["trace"]
    assert abs(one.value) > 0.5
    assert one.low <= 0 <= one.high
    assert one.uncertainty < 10 * abs(one.value)


def test_an_error_that_was_not_measured_is_another_probes():
    ds = first_steps(operators()["semicircle"], 4, seed=0)
    ds["error"] = ("probe", "step"), np.full((4, 2), np.nan)
    ds.error[2, 0] = 1e-2
    ds.error[:, 1] = 0.2  # a later step's says nothing of the first
    one = hutchinson(ds)["frobenius_norm"]
    assert "D = 0.01" in one.basis
    plain = hutchinson(ds.drop_vars("error"))["frobenius_norm"]
    assert one.high == pytest.approx(plain.high + 1e-2 * plain.value)


@pytest.mark.parametrize("error", [0.5, 0.45, 1.2])
def test_where_first_products_are_no_derivatives_the_reason_stands_in_the_numbers_place(error):
    ds = first_steps(operators()["semicircle"], 3, seed=0, steps=4)
    ds["error"] = ("probe", "step"), np.full((3, 4), 1e-3)
    ds.error[1, 0] = error
    found = headline(ds)
    for name in ("trace", "frobenius_norm", "negative_mass", "unresolved_mass"):
        one = found.sel(quantity=name)
        assert np.isnan(one.value)
        assert np.isnan(one.low)
        assert str(one.basis.item()) == (
            f"withheld: a first product has D = {error:.2g}, so it is no derivative (a kink, or "
            "noise)"
        )


def test_few_probes_are_said_and_one_has_no_interval():
    matrix = operators()["semicircle"]
    two = hutchinson(first_steps(matrix, 2, seed=0))["trace"]
    assert "Student's t over 2 probes" in two.basis
    one = hutchinson(first_steps(matrix, 1, seed=0))["trace"]
    assert np.isfinite(one.value)
    assert np.isnan(one.low)
    assert one.basis == "1 probe: no spread, hence no interval"


def test_a_breakdown_at_the_first_step_is_no_gap():
    found = hutchinson(first_steps(2 * np.eye(64), 3, seed=0, steps=4))
    assert found["trace"][:3] == pytest.approx((128, 128, 128))
    assert found["frobenius_norm"][:3] == pytest.approx((16, 16, 16))
