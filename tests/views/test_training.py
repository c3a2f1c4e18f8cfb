import numpy as np
import pytest

from helpers.emulated import by_hand
from helpers.trained import eigenvalues, run_of
from hessview.analysis.ritz import ritz
from hessview.analysis.training import history, run_at
from hessview.analysis.training import join_training as join
from hessview.errors import InputError, RecordError
from hessview.spectral import quadrature
from hessview.views.training import training

STEPS = (0, 10, 50, 200)


@pytest.fixture(scope="module")
def joined():
    return join(run_of(step) for step in STEPS)


def trace(figure, role):
    (found,) = [trace for trace in figure.data if trace.meta["role"] == role]
    return found


@pytest.mark.parametrize("sigma", [None, 0.05])
def test_a_column_is_the_mean_density_at_its_step(joined, sigma):
    figure = training(joined, sigma=sigma, axis="linear")
    heat = trace(figure, "spectra")
    width = figure.layout.meta["sigma"]
    assert sigma in (None, width)
    for index, column in enumerate(np.asarray(heat.z).T):
        found = ritz(run_at(joined, index))
        expected = np.mean(
            [
                quadrature.density(node, weight, heat.y, sigma=width)
                for node, weight in zip(found.node.values, found.weight.values, strict=True)
            ],
            axis=0,
        )
        seen = column > heat.zmin
        assert seen.sum() > 20
        np.testing.assert_allclose(10 ** column[seen], expected[seen], rtol=1e-9)
        assert (expected[~seen] <= 10**heat.zmin).all()
    assert list(heat.x) == list(STEPS)


def test_on_a_symlog_axis_a_column_still_integrates_to_one(joined):
    figure = training(joined, sigma=0.02, axis="symlog")
    heat = trace(figure, "spectra")
    scale = figure.layout.meta["scale"]
    assert scale == pytest.approx(0.01 * 21, rel=1e-3)
    np.testing.assert_allclose(np.asarray(heat.customdata)[:, 0], scale * np.sinh(heat.y))
    z = np.asarray(heat.z)
    inside = np.where(z > heat.zmin, 10**z, 0)
    np.testing.assert_allclose(
        np.trapezoid(inside, np.asarray(heat.customdata)[:, 0], axis=0), 1, atol=5e-3
    )


def test_the_brightest_outlier_is_where_the_largest_eigenvalue_is(joined):
    heat = trace(training(joined, axis="linear", sigma=0.01), "spectra")
    for step, column in zip(STEPS, np.asarray(heat.z).T, strict=True):
        largest = eigenvalues(step)[-1]
        seen = np.asarray(heat.y)[column > heat.zmin]
        assert seen.max() == pytest.approx(largest, abs=0.1)


def test_extremes_and_trace_stand_with_their_uncertainties(joined):
    found = history(joined)
    figure = training(joined)
    for name in ("largest", "smallest", "trace"):
        drawn, row = trace(figure, name), found.sel(quantity=name)
        np.testing.assert_array_equal(drawn.x, STEPS)
        np.testing.assert_array_equal(drawn.y, row.value)
        np.testing.assert_array_equal(drawn.error_y.array, row.uncertainty)
        assert drawn.error_y.visible
        assert set(drawn.marker.symbol) == {"circle"}


def test_steps_that_are_noise_are_crosses():
    figure = training(join([run_of(0), run_of(10, error=0.9)]))
    for name in ("largest", "smallest", "trace"):  # withheld, and counted
        assert list(trace(figure, name).x) == [0]
        assert trace(figure, name).name.endswith(" (1 withheld: no derivative)")
    later = by_hand(run_of(10))
    later.error[:, 1] = 0.9  # where neither trace nor extremes hang on it
    figure = training(join([run_of(0), later]))
    assert list(trace(figure, "trace").marker.symbol) == ["circle", "x"]


def test_one_probe_has_no_error_bar_on_the_trace():
    figure = training(join([run_of(0, probes=1), run_of(10, probes=1)]))
    assert not trace(figure, "trace").error_y.visible
    assert "1 probe at each" in figure.layout.title.subtitle.text


def test_a_step_without_a_finished_probe_is_a_gap():
    figure = training(join([run_of(0), run_of(10, stop=5, end=""), run_of(20)]))
    column = np.asarray(trace(figure, "spectra").z, dtype=float)[:, 1]
    assert np.isnan(column).all()
    assert len(trace(figure, "largest").x) == 3  # the first steps tell an extreme already
    assert "2 training steps · 3 probes at each · 1 not measured yet" in (
        figure.layout.title.subtitle.text
    )


def test_faint_outliers_are_visible_but_not_below_some_decades(joined):
    heat = trace(training(joined), "spectra")
    assert heat.zmax - heat.zmin <= 8
    assert np.nanmax(heat.z) == pytest.approx(heat.zmax)


def test_bad_input_is_refused(joined):
    with pytest.raises(InputError, match=r"sigma=-1 is not allowed; use a finite number > 0"):
        training(joined, sigma=-1)
    with pytest.raises(InputError, match=r"axis='log' is not allowed; use one of"):
        training(joined, axis="log")
    with pytest.raises(RecordError, match=r"join runs with hessview\.join_training first"):
        training(run_of(0))
    with pytest.raises(RecordError, match=r"no probe is finished yet at any training step"):
        training(join([run_of(0, stop=3, end="")]))
