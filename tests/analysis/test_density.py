import numpy as np
import pytest
import xarray as xr
from scipy import stats

import hessview
from hessview.analysis.density import spectral_density
from hessview.errors import InputError, RecordError
from hessview.record.collect import collect
from hessview.spectral import quadrature


@pytest.fixture
def density(measure, number):
    """Dataset of a density of a dense matrix."""

    def dataset(matrix, **options):
        return collect(number(measure(matrix, **options))).dataset("a")

    return dataset


@pytest.fixture(scope="module")
def crowded():
    """Symmetric, 120 by 120: no eigenvalue stands alone."""
    random = np.random.default_rng(4)
    vectors, _ = np.linalg.qr(random.normal(size=(120, 120)))
    return (vectors * random.normal(0, 1, 120)) @ vectors.T


def broadened(eigenvalues, at, sigma):
    return stats.norm.pdf(np.asarray(at)[:, None], eigenvalues, sigma).mean(axis=1)


def test_it_is_mean_and_t_interval_of_the_probes_own_densities(density, matrix):
    at = np.linspace(-6, 14, 50)
    ds = density(matrix, steps=12, probes=5)
    found = spectral_density(ds, sigma=0.3, eigenvalue=at, level=0.9)
    own = []
    for probe in range(5):
        rule = quadrature.ritz(ds.alpha[probe], ds.beta[probe])
        own.append(stats.norm.pdf(at[:, None], rule.nodes, 0.3) @ rule.weights)
    np.testing.assert_allclose(found.density, np.mean(own, axis=0), rtol=1e-12)
    error = stats.sem(own, axis=0)
    np.testing.assert_allclose(found.standard_error, error, rtol=1e-9)
    low, high = stats.t.interval(0.9, 4, loc=np.mean(own, axis=0), scale=error)
    np.testing.assert_allclose(found.upper, high, rtol=1e-9)
    np.testing.assert_allclose(found.lower, np.maximum(low, 0), rtol=1e-9, atol=1e-15)
    assert (found.lower == 0).any()
    assert found.attrs["basis"] == "Student's t over 5 probes at level 0.9, point by point"
    assert "do not hold the error of the products" in found.attrs["comment"]
    assert found.attrs.items() >= ds.attrs.items()


def test_its_points_span_the_spectrum_and_it_integrates_to_one(density, matrix):
    found = spectral_density(density(matrix, steps=20, probes=3))
    at = found.eigenvalue.values
    assert (np.diff(at) > 0).all()
    assert at[0] < np.linalg.eigvalsh(matrix)[0]
    assert at[-1] > np.linalg.eigvalsh(matrix)[-1]
    assert np.trapezoid(found.density, at) == pytest.approx(1, abs=1e-3)
    assert found.attrs["sigma"] == pytest.approx(
        quadrature.default_sigma(hessview.ritz(density(matrix, steps=20, probes=3)).node, 20)
    )


def test_moments_are_those_of_the_matrix_within_their_errors(density, crowded):
    """Off by less than 1 and 2 standard errors as often as Student's t with 7 degrees says."""
    powers = [np.trace(np.linalg.matrix_power(crowded, order)) / 120 for order in (1, 2, 3, 4)]
    off = []
    for seed in range(200):
        found = spectral_density(density(crowded, steps=3, probes=8, seed=seed), sigma=1.0)
        off.append((found.moment.values - powers) / found.moment_standard_error.values)
    assert np.mean(np.abs(off) < 1, axis=0) == pytest.approx(np.full(4, 0.65), abs=0.1)
    assert np.mean(np.abs(off) < 2, axis=0) == pytest.approx(np.full(4, 0.91), abs=0.08)


def test_moments_that_need_more_steps_are_left_open(density, matrix):
    def known(steps):
        moment = spectral_density(density(matrix, steps=steps, probes=2), sigma=1.0).moment
        return np.isfinite(moment).values.tolist()

    assert known(1) == [True, False, False, False]
    assert known(2) == [True, True, True, False]
    assert known(3) == [True] * 4
    # A probe that broke down has all of its measure, however few its steps.
    ds = density(np.diag([2.0] * 64), steps=5, probes=2)
    np.testing.assert_allclose(spectral_density(ds, sigma=1.0).moment, [2, 4, 8, 16])


def test_the_band_covers_a_crowded_spectrum_as_often_as_it_says(density, crowded):
    """Against the dense spectrum, over 200 seeds: 95 and 80 times in 100."""
    at, sigma = np.linspace(-2, 2, 9), 0.3
    truth = broadened(np.linalg.eigvalsh(crowded), at, sigma)
    covered = {0.95: [], 0.8: []}
    for seed in range(200):
        ds = density(crowded, steps=40, probes=4, seed=seed)
        for level, times in covered.items():
            found = spectral_density(ds, sigma=sigma, eigenvalue=at, level=level)
            times.append((found.lower.values <= truth) & (truth <= found.upper.values))
    for level, times in covered.items():
        assert np.mean(times) == pytest.approx(level, abs=0.025)


def test_the_band_covers_a_lone_eigenvalue_as_often_as_documented(density, matrix):
    truth = broadened(np.linalg.eigvalsh(matrix), [12.0], 0.3)
    covered = []
    for seed in range(400):
        ds = density(matrix, steps=12, probes=4, seed=seed)
        found = spectral_density(ds, sigma=0.3, eigenvalue=[12.0])
        covered.append(found.lower.item() <= truth <= found.upper.item())
    assert np.mean(covered) == pytest.approx(0.82, abs=0.05)


def test_one_probe_has_no_error_and_says_so(density, matrix):
    found = spectral_density(density(matrix, steps=12, probes=1))
    assert np.isfinite(found.density).all()
    assert np.isfinite(found.moment).all()
    for name in ("standard_error", "lower", "upper", "moment_standard_error"):
        assert np.isnan(found[name]).all()
    assert found.attrs["basis"] == "1 probe: there is no spread, hence no error"


def test_only_whole_probes_count(density, matrix):
    running = spectral_density(density(matrix, steps=12, probes=4, stop=30, end=""), sigma=1.0)
    two = spectral_density(density(matrix, steps=12, probes=4).isel(probe=slice(2)), sigma=1.0)
    at = [0.0, 5.0]
    np.testing.assert_allclose(
        running.density.interp(eigenvalue=at), two.density.interp(eigenvalue=at), rtol=1e-3
    )
    assert running.attrs["basis"] == two.attrs["basis"]
    assert "2 probes" in running.attrs["basis"]

    none = spectral_density(density(matrix, steps=12, probes=2, stop=5, end=""))
    assert all(np.isnan(variable).all() for variable in none.data_vars.values())
    assert none.attrs["basis"] == "no probe is finished yet"


def test_fewer_steps_are_those_of_a_shorter_run(density, matrix):
    at = np.linspace(-5, 13, 7)
    long = spectral_density(density(matrix, steps=12, probes=3), steps=5, eigenvalue=at, sigma=1)
    short = spectral_density(density(matrix, steps=5, probes=3), eigenvalue=at, sigma=1)
    xr.testing.assert_allclose(long.drop_attrs(), short.drop_attrs(), rtol=1e-9)


def test_it_is_kept_on_disk_and_has_units(density, matrix, tmp_path):
    found = spectral_density(density(matrix, steps=6, probes=2))
    found.to_netcdf(tmp_path / "density.nc", engine="h5netcdf")
    with xr.open_dataset(tmp_path / "density.nc", engine="h5netcdf") as again:
        xr.testing.assert_identical(again.load(), found)
    assert found.density.attrs["units"] == found.upper.attrs["units"] == "1/loss"
    assert found.eigenvalue.attrs["units"] == "loss"
    assert found.moment.attrs["units"] == "loss^order"
    assert hessview.spectral_density is spectral_density


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"sigma": 0}, "sigma=0 is not allowed; use a finite number > 0, in units of the nodes."),
        ({"sigma": -1.0}, r"sigma=-1\.0 is not allowed"),
        ({"sigma": float("nan")}, "sigma=nan is not allowed"),
        ({"level": 1}, "level=1 is not allowed; use a number between 0 and 1."),
        ({"level": 0.0}, r"level=0\.0 is not allowed"),
        ({"level": float("nan")}, "level=nan is not allowed"),
        ({"steps": 0}, "steps=0 is not allowed; use a whole number >= 1, or None"),
        ({"eigenvalue": []}, r"eigenvalue has shape \(0,\) and 0 finite numbers; use one or more"),
        ({"eigenvalue": [1.0, np.inf]}, r"has shape \(2,\) and 1 finite numbers"),
        ({"eigenvalue": 3.0}, r"has shape \(\) and 1 finite numbers"),
    ],
)
def test_what_makes_no_sense_is_refused(density, matrix, options, text):
    with pytest.raises(InputError, match=text):
        spectral_density(density(matrix, steps=4, probes=2), **options)


def test_what_is_no_density_is_refused(density, matrix):
    with pytest.raises(RecordError, match=r"holds \['x'\], not alpha and beta over steps"):
        spectral_density(xr.Dataset({"x": ("y", [1.0])}))
    with pytest.raises(RecordError, match="no Lanczos step is measured yet"):
        spectral_density(density(matrix, steps=4, probes=2, stop=0, end=""))
