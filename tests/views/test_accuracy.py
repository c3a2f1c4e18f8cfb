"""The V as a figure: its traces are the dataset's and the theory's numbers."""

import numpy as np
import pytest
import xarray as xr

from hessview import views
from hessview.analysis.accuracy import theory
from hessview.errors import RecordError
from hessview.record.collect import collect
from hessview.record.commands import Accuracy, command_to_json
from hessview.record.events import Event, Reading, RunQueued
from hessview.views.accuracy import accuracy

EPSILONS = np.logspace(-6, 0, 7)
NOISE, BEND, NORM = 1e-7, (0.1, 40.0), (0.5, 8.0)


def errors(direction, epsilon):
    return (NOISE / epsilon + BEND[direction] * epsilon**2) / NORM[direction]


def dataset(*, exact=1.0, reference_error=1e-15, directions=2):
    """A run whose errors are those of the theory."""
    command = Accuracy(probes=1, epsilons=tuple(EPSILONS))
    payloads = [RunQueued(command=command_to_json(command))]
    for direction in range(directions):
        best = (NOISE / (2 * BEND[direction])) ** (1 / 3)
        own = {
            "auto_epsilon": best,
            "auto_relative_error": errors(direction, best),
            "auto_error": 2 * errors(direction, best),
            "norm": NORM[direction],
            "noise": NOISE,
            "bend": BEND[direction],
            "order": 2.0,
            "exact": exact,
            "reference_error": reference_error,
        }
        payloads.append(Reading(index={"direction": direction}, values=own))
        for place, epsilon in enumerate(EPSILONS):
            values = {"relative_error": errors(direction, epsilon), "error": 0.1, "rho": 0.1}
            payloads.append(
                Reading(index={"direction": direction, "epsilon": place}, values=values)
            )
    events = [
        Event(seq=n, time=0.0, job="job", run="a", payload=p) for n, p in enumerate(payloads, 1)
    ]
    return collect(events).dataset("a")


def trace(figure, role, direction):
    (found,) = [one for one in figure.data if one.meta == {"role": role, "direction": direction}]
    return found


def test_the_theory_gives_the_optimum_and_the_floor():
    found = theory(dataset())
    np.testing.assert_allclose(found.predicted, dataset().relative_error)
    for place in range(2):
        dense = np.geomspace(1e-6, 1, 100_001)
        least = errors(place, dense).argmin()
        assert float(found.optimum[place]) == pytest.approx(dense[least], rel=1e-3)
        assert float(found.floor[place]) == pytest.approx(errors(place, dense[least]))
    elsewhere = theory(dataset(), epsilons=[1e-3])
    assert float(elsewhere.predicted[1, 0]) == pytest.approx(errors(1, 1e-3))
    assert found.resolved.all()


def test_points_below_twice_the_references_error_are_not_resolved():
    ds = dataset(exact=0.0, reference_error=1e-3)
    found = theory(ds)
    np.testing.assert_array_equal(found.resolved, ds.relative_error > 2e-3)
    assert found.resolved.any()
    assert not found.resolved.all()
    figure = accuracy(ds)
    for name in ("random 1", "top"):
        hollow = np.array(trace(figure, "measured", name).marker.symbol) == "circle-open"
        np.testing.assert_array_equal(hollow, ~found.resolved.sel(direction=name))
        assert trace(figure, "reference", name).y == (1e-3, 1e-3)
    assert "against extrapolated products, themselves good to 0.001" in (
        figure.layout.title.subtitle.text
    )


def test_the_figure_shows_what_was_measured_and_what_was_foretold():
    ds = dataset()
    figure = views.figure_of(ds)
    assert figure.layout.xaxis.type == figure.layout.yaxis.type == "log"
    assert "against double backward in float64" in figure.layout.title.subtitle.text
    for place, name in enumerate(("random 1", "top")):
        measured = trace(figure, "measured", name)
        np.testing.assert_array_equal(measured.x, EPSILONS)
        np.testing.assert_array_equal(measured.y, ds.relative_error[place])
        predicted = trace(figure, "predicted", name)
        np.testing.assert_allclose(predicted.y, errors(place, np.array(predicted.x)))
        automatic = trace(figure, "automatic", name)
        assert automatic.x == (float(ds.auto_epsilon[place]),)
        assert automatic.y == (float(ds.auto_relative_error[place]),)
        assert trace(figure, "optimum", name).y == pytest.approx([float(theory(ds).floor[place])])
        assert trace(figure, "reference", name).y == ()
    named = [one.name for one in figure.data if one.showlegend is not False]
    assert named == ["predicted (theorem 3.1)", "random 1", "top"]


def test_a_half_done_run_shows_what_is_there():
    figure = accuracy(dataset(directions=1))
    assert {one.meta["direction"] for one in figure.data} == {"random 1"}


def test_where_noise_or_bend_could_not_be_told_nothing_is_foretold():
    ds = dataset()
    ds["bend"] = ds.bend * np.nan
    figure = accuracy(ds)
    assert trace(figure, "optimum", "top").x == ()
    assert np.isnan(trace(figure, "predicted", "top").y).all()


def test_nothing_measured_and_other_datasets_are_refused():
    with pytest.raises(RecordError, match="no product is measured yet; wait for the first"):
        accuracy(dataset(directions=0))
    with pytest.raises(RecordError, match=r"holds \['alpha'\], not relative_error, noise and bend"):
        accuracy(xr.Dataset({"alpha": ("step", [1.0])}))
