import re

import numpy as np
import pytest
import xarray as xr

import hessview
from helpers.emulated import by_hand
from hessview.analysis.ritz import ritz
from hessview.analysis.summary import summary
from hessview.errors import InputError, RecordError
from hessview.record.collect import collect
from hessview.spectral import quadrature


@pytest.fixture
def density(measure, number):
    """Dataset of a density of a dense matrix."""

    def dataset(matrix, **options):
        ds = collect(number(measure(matrix, **options))).dataset("a")
        return ds.assign_attrs(dtype="float64", compute_dtype="float64")  # as numpy computes

    return dataset


def row(found, name):
    chosen = found.sel(quantity=name)
    return chosen.value.item(), chosen.uncertainty.item(), chosen.basis.item()


# Quadrature of a dataset


def test_ritz_is_the_quadrature_of_each_probe(density, matrix):
    ds = density(matrix, steps=8, probes=3)
    found = ritz(ds)
    assert found.weight.dims == found.residual.dims == found.node.dims == ("probe", "position")
    for probe in range(3):
        one = quadrature.ritz(ds.alpha.sel(probe=probe), ds.beta.sel(probe=probe))
        np.testing.assert_array_equal(found.node.sel(probe=probe), one.nodes)
        np.testing.assert_array_equal(found.weight.sel(probe=probe), one.weights)
        np.testing.assert_array_equal(found.residual.sel(probe=probe), one.residuals)
    assert found.finished.all()
    assert found.node.attrs["units"] == found.residual.attrs["units"] == "loss"
    assert found.attrs == ds.attrs


def test_the_first_steps_are_those_of_a_shorter_run(density, matrix):
    long, short = density(matrix, steps=8, probes=2), density(matrix, steps=5, probes=2)
    xr.testing.assert_allclose(
        ritz(long, steps=5).drop_attrs(), ritz(short).drop_attrs(), rtol=0, atol=1e-12
    )
    xr.testing.assert_identical(ritz(long, steps=99), ritz(long))


def test_a_running_probe_is_padded_and_not_finished(density, matrix):
    found = ritz(density(matrix, steps=8, probes=3, stop=11, end=""))
    assert np.isfinite(found.node).sum("position").values.tolist() == [8, 3, 0]
    assert found.finished.values.tolist() == [True, False, False]
    np.testing.assert_allclose(found.weight.sum("position"), [1, 1, 0], atol=1e-12)


def test_only_steps_before_a_gap_count(density, matrix):
    ds = density(matrix, steps=8, probes=2)
    ds.beta[0, 3] = np.nan
    found = ritz(ds)
    assert np.isfinite(found.node).sum("position").values.tolist() == [3, 8]
    assert found.finished.values.tolist() == [False, True]


def test_a_breakdown_ends_a_probe_which_is_whole(density):
    # Entries 1/8 and a power of two: the Krylov space is exhausted exactly.
    ds = by_hand(density(np.diag([2.0] * 64), steps=5, probes=2, end=""))
    assert ds.beta.values[:, 0].tolist() == [0, 0]
    ds.alpha[:, 2:] = 99.0  # what follows a breakdown is no part of the measure
    found = ritz(ds)
    assert found.node.values.tolist() == [[2.0], [2.0]]
    assert found.weight.values.tolist() == [[1.0], [1.0]]
    assert found.residual.values.tolist() == [[0.0], [0.0]]
    assert found.finished.all()


def test_a_longer_probe_cut_short_does_not_join_one_that_broke_down(density, matrix):
    ds = by_hand(density(matrix, steps=6, probes=2, stop=10, end="failed"))
    ds.beta[0, 1] = 0.0
    found = ritz(ds)
    assert np.isfinite(found.node).sum("position").values.tolist() == [2, 4]
    assert found.finished.values.tolist() == [True, False]


def test_one_selected_probe_keeps_its_label(density, matrix):
    ds = density(matrix, steps=4, probes=3)
    xr.testing.assert_identical(ritz(ds.sel(probe=1)), ritz(ds).sel(probe=[1]))


@pytest.mark.parametrize("function", [ritz, summary])
def test_an_empty_run_is_refused(function, density, matrix):
    with pytest.raises(RecordError, match="no Lanczos step is measured yet; wait for the first"):
        function(density(matrix, steps=4, probes=2, stop=0, end=""))


@pytest.mark.parametrize("function", [ritz, summary])
def test_what_is_no_density_is_refused(function):
    with pytest.raises(RecordError, match=r"holds \['x'\], not alpha and beta over steps; pass"):
        function(xr.Dataset({"x": ("y", [1.0])}))


@pytest.mark.parametrize("function", [ritz, summary])
def test_later_steps_alone_are_no_lanczos_run(function, density, matrix):
    ds = density(matrix, steps=4, probes=2)
    with pytest.raises(RecordError, match=r"steps \[2, 3, 4\] are not 1, 2, \.\.\. in order; a"):
        function(ds.sel(step=slice(2, None)))


def test_ritz_refuses_no_steps(density, matrix):
    with pytest.raises(InputError, match="steps=0 is not allowed; use a whole number >= 1, or"):
        ritz(density(matrix, steps=4, probes=1), steps=0)


# Headline numbers against the dense matrix


def test_full_depth_gives_the_extremes_exactly(density, matrix):
    found = summary(density(matrix, steps=60, probes=2))
    spectrum = np.linalg.eigvalsh(matrix)
    for name, expected in (("largest", spectrum[-1]), ("smallest", spectrum[0])):
        value, uncertainty, _ = row(found, name)
        assert value == pytest.approx(expected, abs=1e-9)
        assert uncertainty < 1e-6


@pytest.mark.parametrize("steps", [4, 8, 12])
def test_extremes_lie_within_their_residual_bound(steps, density, matrix):
    spectrum = np.linalg.eigvalsh(matrix)
    for seed in range(20):
        found = summary(density(matrix, steps=steps, probes=3, seed=seed))
        for name, expected in (("largest", spectrum[-1]), ("smallest", spectrum[0])):
            value, uncertainty, basis = row(found, name)
            assert abs(value - expected) <= uncertainty + 1e-12
            assert basis.startswith("residual bound; product error not measured; the record lacks")


@pytest.mark.parametrize("sign", [-1, 1])
def test_extremes_allow_for_the_error_of_the_products(sign, density, matrix):
    """An error of norm D |H| may sit on the smallest eigenvalue: D times that is too little."""
    noise = 1e-2
    spectrum, vectors = np.linalg.eigh(matrix)
    lowest = vectors[:, :1]
    error = sign * noise * spectrum[-1] * lowest @ lowest.T
    found = summary(density(matrix + error, steps=60, probes=2, noise=noise))
    for name, expected in (("largest", spectrum[-1]), ("smallest", spectrum[0])):
        value, uncertainty, basis = row(found, name)
        assert abs(value - expected) <= uncertainty + 1e-9
        assert uncertainty < 3 * noise * spectrum[-1]
        assert re.match(r"residual bound and product error D = 0\.01\d?, of neighbours", basis)
    assert abs(row(found, "smallest")[0] - spectrum[0]) > 2 * noise * abs(spectrum[0])


def test_a_diagonal_matrix_has_its_trace_without_spread(density):
    values = np.arange(64) - 20.0
    found = summary(density(np.diag(values), steps=3, probes=4))
    assert row(found, "trace")[:2] == pytest.approx((values.sum(), 0), abs=1e-9)
    assert row(found, "frobenius_norm")[:2] == pytest.approx((np.linalg.norm(values), 0), abs=1e-6)


def test_the_zero_operator(density):
    found = summary(density(np.zeros((64, 64)), steps=3, probes=2))
    assert found.value.values.tolist() == [0, 0, 0, 0, 0, 1]
    assert found.uncertainty.values.tolist()[:4] == [0] * 4
    # Two probes of 64 entries would show nothing of an eigenvalue that few of them meet.
    assert (found.uncertainty.values[4:] < 0.1).all()


def test_negative_mass_ignores_what_is_not_resolved(density):
    values = np.concatenate([np.full(32, -1e-3), np.full(16, -0.5), np.full(16, 1.0)])
    ds = density(np.diag(values), steps=3, probes=2)
    assert row(summary(ds), "negative_mass")[0] == pytest.approx(0.25)
    assert row(summary(ds), "unresolved_mass")[0] == pytest.approx(0.5)
    finer = summary(ds, resolution=1e-4)
    assert row(finer, "negative_mass")[0] == pytest.approx(0.75)
    assert row(finer, "unresolved_mass")[0] == pytest.approx(0, abs=1e-12)
    assert finer.attrs["resolution"] == 1e-4


# What there is to tell from


def test_one_probe_has_no_spread(density, matrix):
    found = summary(density(matrix, steps=60, probes=1))
    for name in ("trace", "frobenius_norm", "negative_mass", "unresolved_mass"):
        value, uncertainty, basis = row(found, name)
        assert np.isfinite(value)
        assert np.isnan(uncertainty) == ("mass" not in name)  # theirs is known without
        assert "1 probe" in basis
    assert np.isfinite(row(found, "largest")[1])


def test_a_running_probe_counts_for_trace_but_not_for_masses(density, matrix):
    running = density(matrix, steps=60, probes=4, stop=121, end="")
    whole = density(matrix, steps=60, probes=4)
    found = summary(running)
    three, two = (summary(whole.isel(probe=slice(count))) for count in (3, 2))
    for name in ("trace", "frobenius_norm"):
        assert row(found, name)[0] == row(three, name)[0]
        assert "Student's t over 3 probes" in row(found, name)[2]
    for name in ("negative_mass", "unresolved_mass"):
        # The band is of the largest of all probes, the unfinished one among them.
        assert row(found, name)[0] == pytest.approx(row(two, name)[0], abs=0.02)
        assert "over 2 probes" in row(found, name)[2]


def test_no_finished_probe_gives_no_masses_yet(density, matrix):
    found = summary(density(matrix, steps=60, probes=2, stop=30, end=""))
    for name in ("negative_mass", "unresolved_mass"):
        value, uncertainty, basis = row(found, name)
        assert np.isnan(value)
        assert np.isnan(uncertainty)
        assert basis == "no probe is finished yet"
    assert row(found, "trace")[2] == "1 probe: no spread, hence no interval"


def test_a_run_cut_short_in_its_first_probe_says_so(density, matrix):
    found = summary(density(matrix, steps=60, probes=2, stop=50, end="cancelled"))
    value, uncertainty, basis = row(found, "negative_mass")
    assert value == row(summary(density(matrix, steps=50, probes=1)), "negative_mass")[0]
    assert np.isfinite(uncertainty)
    assert "over 1 probe, cut short at 50 of 60 steps" in basis


def test_a_probe_cut_short_does_not_join_whole_ones(density, matrix):
    found = summary(density(matrix, steps=60, probes=3, stop=123, end="failed"))
    assert "over 2 probes; product" in row(found, "negative_mass")[2]


def test_the_product_error_is_that_of_the_probe(density, matrix):
    ds = by_hand(density(matrix, steps=5, probes=2))
    best = int(ritz(ds).node.max("position").values.argmax())
    ds.error[best] = [1e-3, 2e-3, 2e-3, 1e-3, 2e-3]
    ds.error[1 - best] = 0.2
    value, uncertainty, basis = row(summary(ds), "largest")
    assert value == ritz(ds).node.values[best].max()
    assert uncertainty < 5e-3 * value
    told = float(basis.removeprefix("residual bound and product error D = ").split(",")[0])
    assert 1e-3 <= told <= 2e-3


def test_exact_products_err_by_rounding_alone(density, matrix):
    ds = density(matrix, steps=5, probes=2)
    ds.attrs["operator"] = "exact"
    for name in ("largest", "smallest"):
        assert row(summary(ds), name)[2].startswith(
            "residual bound; exact products, which err by rounding alone"
        )
    assert row(summary(ds), "trace")[2].startswith("95 % interval, Student's t over 2 probes")
    assert "product error" not in row(summary(ds), "trace")[2]


def test_products_that_are_no_derivative_are_called_so(density, matrix):
    found = summary(density(matrix, steps=3, probes=2, noise=0.9))
    for name in ("largest", "smallest"):
        value, uncertainty, basis = row(found, name)
        assert np.isnan(value)
        assert np.isnan(uncertainty)
        assert basis.startswith("withheld: not a derivative: product error D = ")
    for name in ("trace", "frobenius_norm"):
        value, uncertainty, basis = row(found, name)
        assert np.isnan([value, uncertainty]).all()
        assert basis.startswith("withheld: a first product has D = 0.9, so it is no derivative")


def test_without_the_number_of_parameters_there_is_no_trace(density, matrix):
    ds = density(matrix, steps=3, probes=2)
    del ds.attrs["parameters"]
    value, uncertainty, basis = row(summary(ds), "trace")
    assert np.isnan(value)
    assert np.isnan(uncertainty)
    assert basis == "the record lacks the number of parameters"
    assert np.isfinite(row(summary(ds), "largest")[0])


def test_a_summary_names_its_quantities_units_and_limits(density, matrix):
    ds = density(matrix, steps=3, probes=2)
    found = summary(ds)
    assert found.units.to_series().to_dict() == {
        "largest": "loss",
        "smallest": "loss",
        "trace": "loss",
        "frobenius_norm": "loss",
        "negative_mass": "1",
        "unresolved_mass": "1",
    }
    assert found.attrs.items() >= ds.attrs.items()
    assert "missed" in found.attrs["comment"]
    assert hessview.summary is summary
    assert hessview.ritz is ritz


@pytest.mark.parametrize("resolution", [0, 1, -1e-2, float("nan")])
def test_summary_refuses_a_resolution_that_is_none(resolution, density, matrix):
    ds = density(matrix, steps=3, probes=1)
    with pytest.raises(InputError, match=rf"resolution={resolution} is not allowed; use a number"):
        summary(ds, resolution=resolution)
