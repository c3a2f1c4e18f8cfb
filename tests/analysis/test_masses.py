"""Bounds of masses: of each probe's own measure, and of the share of the spectrum."""

import numpy as np
import pytest
import xarray as xr
from scipy.stats import binom

from helpers.emulated import lanczos, spectrum
from helpers.study import study
from hessview.analysis.headline import headline
from hessview.spectral.quadrature import mass_below


def spectra():
    random = np.random.default_rng(1)
    return {
        "network": spectrum(300),
        "even": np.linspace(-1, 1, 200),
        "null space": np.concatenate([np.zeros(150), random.normal(size=30)]),
        "three values": np.repeat([-1.0, 0.0, 2.0], 40),
        "normal": random.normal(size=160),
        "few negative": np.concatenate([np.linspace(0.1, 5, 195), [-3, -2, -1, -0.5, -0.3]]),
    }


def coefficients(eigenvalues, start, steps):
    rows = []
    for alpha, beta in lanczos(eigenvalues, start, steps):
        broke_down = beta < 1e-11 * np.abs(eigenvalues).max()
        rows.append((alpha, 0.0 if broke_down else beta))
        if broke_down:
            break
    return np.array(rows).T


def dataset(eigenvalues, starts, steps, parameters=None, **attrs):
    """Densities from these starts, in the eigenbasis."""
    alpha, beta = np.full((2, len(starts), steps), np.nan)
    for probe, start in enumerate(starts):
        one, other = coefficients(eigenvalues, start, steps)
        alpha[probe, : len(one)], beta[probe, : len(other)] = one, other
    dims = ("probe", "step")
    coords = {"probe": np.arange(len(starts)), "step": np.arange(1, steps + 1)}
    count = len(eigenvalues) if parameters is None else parameters
    data = {"alpha": (dims, alpha), "beta": (dims, beta)}
    attrs = {"parameters": count, "state": "done", "compute_dtype": "float64", **attrs}
    return xr.Dataset(data, coords, attrs)


def shares(eigenvalues, ds, weights=None):
    """True shares below, and within, the band that the summary uses."""
    largest = headline(ds).value.sel(quantity=["largest", "smallest"])
    band = 0.01 * float(np.abs(largest).max())
    weights = np.full(len(eigenvalues), 1 / len(eigenvalues)) if weights is None else weights
    return {
        "negative_mass": weights[eigenvalues < -band].sum(),
        "unresolved_mass": weights[np.abs(eigenvalues) <= band].sum(),
    }


def ends(ds, name):
    one = headline(ds).sel(quantity=name)
    return float(one.low), float(one.value), float(one.high)


@pytest.mark.parametrize("name", spectra())
def test_the_mass_below_any_point_lies_within_the_bounds_of_the_moments(name):
    """Rigorous: no case of any measure, number of steps or point may fail."""
    eigenvalues = spectra()[name]
    random = np.random.default_rng(2)
    width = np.ptp(eigenvalues)
    for steps in (1, 2, 5, 12, 30):
        start = random.normal(size=len(eigenvalues))
        start /= np.linalg.norm(start)
        alpha, beta = coefficients(eigenvalues, start, steps)
        points = random.uniform(eigenvalues.min() - 0.1, eigenvalues.max() + 0.1, 12)
        for point in [*points, *eigenvalues[:3], 0.0, alpha[0]]:
            low, high, vector = mass_below(alpha, beta, point)
            below = (start**2)[eigenvalues < point - 1e-9 * width].sum()
            upto = (start**2)[eigenvalues <= point + 1e-9 * width].sum()
            assert low <= below + 1e-9, (steps, point)
            assert upto <= high + 1e-9, (steps, point)
            assert np.linalg.norm(vector) <= 1 + 1e-12


def test_with_all_steps_the_measure_itself_is_known():
    eigenvalues = np.array([-2.0, -1.0, 0.5, 3.0])
    start = np.array([0.1, 0.5, 0.7, 0.5])
    start /= np.linalg.norm(start)
    alpha, beta = coefficients(eigenvalues, start, 4)
    assert beta[-1] == 0
    for point, expected in ((-1.5, start[:1]), (0.0, start[:2]), (1.0, start[:3])):
        low, high, _ = mass_below(alpha, beta, point)
        assert low == pytest.approx(expected @ expected, abs=1e-12)
        assert high == pytest.approx(expected @ expected, abs=1e-12)


def test_the_vector_says_how_far_a_change_of_the_matrix_moves_the_point():
    """The node at x of the bordered matrix moves by s' E s, to first order."""
    eigenvalues = spectra()["normal"]
    start = np.random.default_rng(0).choice([-1.0, 1.0], len(eigenvalues))
    alpha, beta = coefficients(eigenvalues, start / np.linalg.norm(start), 10)
    change = 1e-6 * np.random.default_rng(1).normal(size=10)
    low, high, vector = mass_below(alpha, beta, -0.4)
    moved = vector**2 @ change
    other = mass_below(alpha + change, beta, -0.4 + moved)
    border = 1 - vector @ vector  # the border's own entry is chosen anew
    assert 0 <= border < 1
    assert other[0] == pytest.approx(low, abs=1e-4)
    assert other[1] == pytest.approx(high, abs=1e-4)


@pytest.mark.parametrize("name", spectra())
@pytest.mark.parametrize("steps", [6, 12, 24])
def test_a_diagonal_operator_has_no_scatter_and_its_bounds_hold_the_share(name, steps):
    """Each Rademacher probe has the spectrum's own measure: only the quadrature errs."""
    eigenvalues = spectra()[name]
    size = len(eigenvalues)
    starts = np.ones((3, size)) / np.sqrt(size)
    ds = dataset(eigenvalues, starts, steps)
    for quantity, share in shares(eigenvalues, ds).items():
        low, value, high = ends(ds, quantity)
        assert low - 1e-9 <= share <= high + 1e-9
        assert low <= value <= high


def test_a_spread_of_nothing_does_not_claim_what_twelve_steps_do_not_see():
    """Three equal probes of a diagonal Hessian were stated as 0.462 +- 4.6e-7 for 0.4775."""
    random = np.random.default_rng(4)
    eigenvalues = random.normal(size=400)
    ds = dataset(eigenvalues, np.ones((3, 400)) / 20, 12)
    share = shares(eigenvalues, ds)["negative_mass"]
    one = headline(ds).sel(quantity="negative_mass")
    off = abs(float(one.value) - share)
    assert off > 1e-3
    assert off <= float(one.uncertainty) < 0.3


def rotated(eigenvalues, count, seed):
    """Rademacher probes in the eigenbasis of a matrix with random eigenvectors."""
    random = np.random.default_rng(seed)
    size = len(eigenvalues)
    vectors, _ = np.linalg.qr(random.normal(size=(size, size)))
    return random.choice([-1.0, 1.0], (count, size)) @ vectors / np.sqrt(size)


@pytest.mark.parametrize("probes", [1, 4])
@pytest.mark.parametrize("name", spectra())
def test_bounds_hold_the_share_of_the_spectrum_99_times_in_100(name, probes):
    """Full depth where the quadrature is as good as exact, so that the scatter is what counts."""
    eigenvalues = spectra()[name][::2]
    count, missed = 50, 0
    for seed in range(count):
        ds = dataset(eigenvalues, rotated(eigenvalues, probes, seed), (8, 40)[seed % 2])
        for quantity, share in shares(eigenvalues, ds).items():
            low, _, high = ends(ds, quantity)
            missed += not low - 1e-9 <= share <= high + 1e-9
    assert missed <= binom.ppf(0.999, 2 * count, 0.01)


@pytest.mark.parametrize("noise", [1e-3, 3e-2])
def test_bounds_hold_what_the_products_err_by(noise):
    """A symmetric error of norm D times each product moves eigenvalues across the band's edge."""
    random = np.random.default_rng(7)
    near = np.repeat([-0.011, 0.011], 40)  # just beyond the band of the largest, 1
    eigenvalues = np.concatenate([near, [1.0, 0.5, -0.5]])
    size = len(eigenvalues)
    vectors, _ = np.linalg.qr(random.normal(size=(size, size)))
    error = random.normal(size=(size, size))
    error = (error + error.T) * noise / (2 * np.sqrt(2 * size))
    moved, basis = np.linalg.eigh((vectors * eigenvalues) @ vectors.T + error)
    starts = random.choice([-1.0, 1.0], (4, size)) / np.sqrt(size) @ basis
    ds = dataset(moved, starts, 30)
    norms = np.sqrt(ds.alpha**2 + ds.beta**2 + ds.beta.shift(step=1, fill_value=0) ** 2)
    ds["error"] = np.minimum(np.linalg.norm(error, 2) / norms, 0.24)
    for quantity, share in shares(eigenvalues, ds).items():
        low, _, high = ends(ds, quantity)
        assert low <= share <= high
    if noise > 1e-2:
        without = ds.drop_vars("error")
        (low, _, high), (least, _, most) = (ends(d, "unresolved_mass") for d in (ds, without))
        assert low <= least
        assert most <= high
        assert high - low > most - least


def test_one_probe_has_bounds_as_the_scatter_of_probes_is_known():
    eigenvalues = spectra()["normal"]
    ds = dataset(eigenvalues, rotated(eigenvalues, 1, 0), 40, parameters=10**8)
    one = headline(ds).sel(quantity="negative_mass")
    assert float(one.level) == 0.99
    assert str(one.basis.item()).startswith(
        "99 % bounds of Chebyshev, Markov and Stieltjes over 1 probe"
    )
    small = headline(ds.assign_attrs(parameters=160)).sel(quantity="negative_mass")
    assert float(small.low) < float(one.low) < float(one.high) < float(small.high)
    del ds.attrs["parameters"]
    assert "without their scatter, as the record lacks" in str(
        headline(ds).basis.sel(quantity="negative_mass").item()
    )


def test_more_steps_bring_the_bounds_together():
    eigenvalues = spectra()["normal"]
    starts = rotated(eigenvalues, 4, 0)
    widths = [
        np.subtract(
            *ends(dataset(eigenvalues, starts, steps, parameters=10**9), "negative_mass")[::-2]
        )
        for steps in (5, 10, 20, 40, 80)
    ]
    assert sorted(widths, reverse=True) == widths
    assert widths[0] > 5 * widths[-1]


@pytest.mark.parametrize("steps", [12, 40])
@pytest.mark.parametrize("state", ["random", "trained"])
@pytest.mark.parametrize("kind", ["mlp_tanh", "mlp_gelu"])
def test_bounds_hold_the_share_of_a_networks_dense_hessian(kind, state, steps):
    case = study.prepared(kind, state)
    true = study.truth(case, "float32")
    ds = study.measured(case, "float32", steps=steps, probes=8)
    for name, share in shares(true, ds).items():
        low, _, high = ends(ds, name)
        assert low <= share <= high
        assert high - low < 0.9  # twelve steps know little, yet more than nothing
