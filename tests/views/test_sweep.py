"""Spectra over settings as a figure: curves are quadratures, distances those of the data."""

import numpy as np
import pytest
import xarray as xr

from helpers.emulated import by_hand
from hessview import views
from hessview.analysis.ritz import ritz
from hessview.analysis.sweep import distances
from hessview.errors import InputError, RecordError
from hessview.record.collect import collect
from hessview.record.commands import EpsilonSweep, FractionSweep, command_to_json
from hessview.record.events import Event, Reading, RunQueued
from hessview.spectral import quadrature
from hessview.views import broadening
from hessview.views.sweep import sweep

EPSILONS = (1e-4, 1e-3, 1e-2)
STEPS = 6


@pytest.fixture
def settings(dense_lanczos):
    """A sweep whose spectra move by 0, 0.1 and 1, with D of 0.01, 0.001 and 0.9."""

    def make(command, *, count=3):
        payloads = [RunQueued(command=command_to_json(command))]
        setting = "epsilon" if isinstance(command, EpsilonSweep) else "fraction"
        matrix = np.diag(np.linspace(-1, 5, 12))
        start = np.ones(12) / np.sqrt(12)
        for place, (shift, error) in enumerate(((0.1, 0.01), (0.0, 0.001), (1.0, 0.9))[:count]):
            for probe in range(command.probes):
                moved = matrix + (1 + probe) * shift * np.eye(12)
                alpha, beta = dense_lanczos(moved, start, STEPS)
                for step in range(STEPS):
                    payloads.append(
                        Reading(
                            index={setting: place, "probe": probe, "step": step},
                            values={
                                "alpha": alpha[step],
                                "beta": beta[step],
                                "error": error if step == 0 else np.nan,
                            },
                        )
                    )
        events = [
            Event(seq=n, time=0.0, job="job", run="a", payload=p) for n, p in enumerate(payloads, 1)
        ]
        return collect(events).dataset("a")

    return make


def roles(figure, role):
    return [one for one in figure.data if one.meta["role"] == role]


def test_distances_are_shifts_with_their_spread_over_probes(settings):
    ds = settings(EpsilonSweep(epsilons=EPSILONS, steps=STEPS, probes=2))
    found = distances(ds)
    assert found.attrs["reference"] == 1e-3
    # The second probe is moved twice as far as the first: 0.15 and 1.5 on average.
    assert 0.1 < float(found.distance[0]) <= 0.15 + 1e-12
    assert 1.0 < float(found.distance[2]) <= 1.5 + 1e-12
    assert float(found.distance[1]) == float(found.low[1]) == float(found.high[1]) == 0
    assert (found.low[[0, 2]] < found.distance[[0, 2]]).all()
    np.testing.assert_array_less([0.15, 1.5], found.high[[0, 2]])
    np.testing.assert_allclose(found.product_error, [0.01, 0.001, 0.9])
    nodes = ritz(ds.isel(epsilon=1)).node
    np.testing.assert_allclose(
        found.relative_distance, found.distance / float(nodes.max() - nodes.min())
    )


@pytest.mark.parametrize("axis", broadening.AXES)
def test_the_figure_draws_every_setting_with_one_kernel(settings, axis):
    ds = settings(EpsilonSweep(epsilons=EPSILONS, steps=STEPS, probes=1))
    figure = views.VIEWS["sweep"](ds, sigma=0.3, axis=axis)
    curves = roles(figure, "density")
    assert [one.meta["setting"] for one in curves] == list(EPSILONS)
    scale = figure.layout.meta["scale"]
    lowest = 10 ** figure.layout.yaxis.range[0]
    for place, curve in enumerate(curves):
        found = ritz(ds.isel(epsilon=place))
        node, weight = found.node.values[0], found.weight[0]
        at, x = np.array(curve.customdata), np.array(curve.x)
        if axis == "linear":
            expected = quadrature.density(node, weight, at, sigma=0.3)
        else:  # the same along asinh, per unit of eigenvalue
            np.testing.assert_allclose(at, scale * np.sinh(x), atol=1e-12)
            expected = quadrature.density(np.arcsinh(node / scale), weight, x, sigma=0.3 / scale)
            expected /= scale * np.cosh(x)
        seen = expected > lowest
        assert seen.sum() > 60
        lowest_seen = float(
            found.node.min() - found.residual.values.flat[int(found.node.values.argmin())]
        )
        assert lowest_seen <= at[0] <= float(found.node.min())  # as far as the grid, or the bound
        assert axis == "symlog" or at[0] <= lowest_seen + 0.1
        np.testing.assert_allclose(np.array(curve.y)[seen], expected[seen], rtol=1e-9)
        assert (np.array(curve.y)[~seen] <= lowest).all()
    assert [one.line.dash for one in curves] == ["solid", "solid", "dot"]
    assert curves[2].name == "ε 0.01 (noise)"
    (apart,) = roles(figure, "distance")
    expected = distances(ds).relative_distance.values
    np.testing.assert_allclose(np.delete(apart.y, 1), np.delete(expected, 1))
    assert np.isnan(apart.y[1])
    (error,) = roles(figure, "product_error")
    np.testing.assert_allclose(error.y, [0.01, 0.001, 0.9])
    assert figure.layout.xaxis2.type == "log"
    assert figure.layout.shapes[1].x0 == 1e-3
    assert figure.layout.shapes[0].x1 == pytest.approx(
        scale if axis == "linear" else np.arcsinh(1), rel=1e-9
    )


@pytest.mark.parametrize("axis", broadening.AXES)
def test_distances_are_the_same_at_any_kernel_width(settings, axis):
    ds = settings(EpsilonSweep(epsilons=EPSILONS, steps=STEPS, probes=2))
    plain = roles(sweep(ds), "distance")[0]
    for sigma in (1e-3, 0.3, 4.0):
        figure = sweep(ds, sigma=sigma, axis=axis)
        (apart,) = roles(figure, "distance")
        np.testing.assert_array_equal(apart.y, plain.y)
        np.testing.assert_array_equal(apart.error_y.array, plain.error_y.array)
        told = figure.layout.title.subtitle.text.replace("<br>", " · ")
        assert (
            "distances, with 95 % intervals, are those of the quadratures, whatever σ · "
            f"σ = {sigma:.2g}" in told
        )
    np.testing.assert_allclose(np.delete(plain.y, 1), np.delete(distances(ds).relative_distance, 1))


def test_equal_eigenvalues_have_no_range_to_which_a_distance_could_be_relative(settings):
    ds = by_hand(settings(EpsilonSweep(epsilons=EPSILONS, steps=STEPS)))
    ds.alpha[:], ds.beta[:] = 3.0, 0.0
    ds.alpha[0] = np.nextafter(3.0, 4)
    found = distances(ds)
    assert np.isnan(found.relative_distance).all()
    assert sweep(ds)


def test_parts_of_the_data_are_held_against_the_whole(settings):
    ds = settings(FractionSweep(fractions=(0.25, 0.5, 1.0), steps=STEPS))
    figure = views.figure_of(ds)
    assert "reference part 1" in figure.layout.title.subtitle.text
    (apart,) = roles(figure, "distance")
    np.testing.assert_allclose(apart.y[:2], distances(ds).relative_distance.values[:2])


def test_a_half_done_sweep_waits_for_its_reference(settings):
    ds = settings(FractionSweep(fractions=(0.25, 0.5, 1.0), steps=STEPS), count=2)
    with pytest.raises(RecordError, match=r"the reference, fraction=1, has no finished probe yet"):
        sweep(ds)
    figure = sweep(ds, reference=0.5)
    assert len(roles(figure, "density")[2].x) == 0
    assert np.isnan(distances(ds, reference=0.5).distance.values[2])


def test_without_any_d_a_reference_is_asked_for(settings):
    ds = settings(EpsilonSweep(epsilons=EPSILONS, steps=STEPS))
    ds["error"] = ds.error * np.nan
    with pytest.raises(RecordError, match=r"no D is measured .*, such as reference=0.001, or"):
        sweep(ds)
    assert sweep(ds, reference=1e-3)


def test_what_is_no_sweep_or_no_width_is_refused(settings):
    with pytest.raises(RecordError, match=r"not spectra over epsilon or fraction; pass the"):
        sweep(xr.Dataset({"alpha": ("step", [1.0])}))
    ds = settings(EpsilonSweep(epsilons=EPSILONS, steps=STEPS))
    with pytest.raises(InputError, match=r"sigma=-1 is not allowed; use a finite number > 0"):
        sweep(ds, sigma=-1)
    with pytest.raises(InputError, match=r"axis='log' is not allowed; use one of"):
        sweep(ds, axis="log")
