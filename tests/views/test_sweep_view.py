"""Spectra over settings as a figure: curves are quadratures, distances those of the data."""

import numpy as np
import pytest
import xarray as xr

from hessview import views
from hessview.commands import EpsilonSweep, FractionSweep, command_to_json
from hessview.data.collect import collect
from hessview.data.summary import ritz
from hessview.data.sweep import distances
from hessview.errors import InputError, RecordError
from hessview.messages import Event, Reading, RunQueued
from hessview.spectral import quadrature
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
    np.testing.assert_allclose(found.distance, [0.15, 0, 1.5], atol=1e-12)
    np.testing.assert_allclose(found.spread, [0.05, 0, 0.5], atol=1e-12)
    np.testing.assert_allclose(found.product_error, [0.01, 0.001, 0.9])
    nodes = ritz(ds.isel(epsilon=1)).node
    np.testing.assert_allclose(
        found.relative_distance, found.distance / float(nodes.max() - nodes.min())
    )


def test_the_figure_draws_every_setting_with_one_kernel(settings):
    ds = settings(EpsilonSweep(epsilons=EPSILONS, steps=STEPS, probes=1))
    figure = views.VIEWS["epsilon_sweep"](ds, sigma=0.3)
    curves = roles(figure, "density")
    assert [one.meta["setting"] for one in curves] == list(EPSILONS)
    for place, curve in enumerate(curves):
        found = ritz(ds.isel(epsilon=place))
        x = np.array(curve.x)
        expected = quadrature.density(found.node[0], found.weight[0], x, sigma=0.3)
        np.testing.assert_allclose(curve.y, expected, rtol=1e-9, atol=1e-300)
    assert [one.line.dash for one in curves] == ["solid", "solid", "dot"]
    assert curves[2].name == "ε 0.01 (noise)"
    (apart,) = roles(figure, "distance")
    expected = distances(ds).relative_distance.values
    np.testing.assert_allclose(np.delete(apart.y, 1), np.delete(expected, 1))
    assert np.isnan(apart.y[1])
    (error,) = roles(figure, "product_error")
    np.testing.assert_allclose(error.y, [0.01, 0.001, 0.9])
    assert figure.layout.xaxis2.type == "log"
    assert figure.layout.shapes[0].x0 == 1e-3


def test_parts_of_the_data_are_held_against_the_whole(settings):
    ds = settings(FractionSweep(fractions=(0.25, 0.5, 1.0), steps=STEPS))
    figure = views.VIEWS["fraction_sweep"](ds)
    assert "reference part 1 ·" in figure.layout.title.subtitle.text
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
