import numpy as np
import pytest
from scipy.linalg import eigh_tridiagonal

from helpers.emulated import OUTLIERS, by_hand, dataset
from hessview import views
from hessview.analysis.ritz import convergence as settled
from hessview.analysis.summary import summary
from hessview.errors import InputError, RecordError
from hessview.views.convergence import convergence


def trace(figure, role):
    (found,) = [trace for trace in figure.data if trace.meta["role"] == role]
    return found


def test_every_step_is_scipys_eigenvalues_of_the_leading_matrix():
    ds = dataset(probes=2, steps=12)
    found = settled(ds, probe=1, extremes=4)
    assert found.value.dims == ("end", "rank", "step")
    for step in range(1, 13):
        alpha, beta = (ds[name].values[1, :step] for name in ("alpha", "beta"))
        nodes, vectors = eigh_tridiagonal(alpha, beta[:-1])
        bounds = np.abs(beta[-1] * vectors[-1])
        there = min(4, max(step // 2, 1))
        one = found.sel(step=step)
        np.testing.assert_allclose(one.value.sel(end="largest")[:there], nodes[::-1][:there])
        np.testing.assert_allclose(one.value.sel(end="smallest")[:there], nodes[:there])
        np.testing.assert_allclose(
            one.residual.sel(end="largest")[:there], bounds[::-1][:there], rtol=1e-6, atol=1e-12
        )
        assert np.isnan(one.value.values[:, there:]).all()


def test_the_largest_grow_and_the_smallest_fall_to_the_eigenvalues():
    found = settled(dataset(probes=1, steps=48), extremes=3)
    for end, sign, outermost in (("largest", 1, OUTLIERS[:3]), ("smallest", -1, [-1.9, -1.1])):
        values = sign * found.value.sel(end=end).values
        grows = np.diff(values, axis=1)
        assert np.nanmin(grows) > -1e-12 * 41.3
        np.testing.assert_allclose(
            values[: len(outermost), -1], sign * np.array(outermost), rtol=1e-6
        )


def test_points_are_filled_once_an_eigenvalue_is_located():
    ds = dataset(probes=1, steps=30)
    figure = convergence(ds, extremes=2)
    for role in ("largest", "smallest", "largest_residual", "smallest_residual"):
        drawn = trace(figure, role)
        bound, value = drawn.customdata[:, 1], drawn.customdata[:, 2]
        filled = np.array(drawn.marker.symbol) == "circle"
        np.testing.assert_array_equal(filled, bound <= 1e-2 * np.abs(value))
        assert 0 < filled.sum() < len(filled)
    found = settled(ds, extremes=2)
    rows = trace(figure, "largest").y.reshape(2, 31)
    np.testing.assert_array_equal(rows[:, :30], found.value.sel(end="largest"))
    assert np.isnan(rows[:, 30]).all()  # no line from one rank to the next


def test_bounds_end_at_the_rounding_of_float64_and_a_breakdown_is_drawn_there():
    ds = by_hand(dataset(probes=1, steps=5))
    ds["beta"][0, 2] = 0.0
    figure = convergence(ds, extremes=1)
    drawn = trace(figure, "largest_residual")
    assert len(drawn.x) == 3 + 1
    top = np.nanmax(np.abs([trace(figure, end).y for end in ("largest", "smallest")]))
    assert drawn.y[2] == pytest.approx(np.finfo(float).eps * top)
    assert drawn.customdata[2, 1] == 0


@pytest.mark.parametrize("reorthogonalize", ["full", "none"])
@pytest.mark.parametrize("end", ["largest", "smallest"])
def test_the_bound_with_the_products_errors_is_the_one_that_the_summary_states(
    end, reorthogonalize
):
    ds = dataset(probes=1, steps=30, reorthogonalize=reorthogonalize)
    line = trace(convergence(ds), f"{end}_bound")
    stated = float(summary(ds).uncertainty.sel(quantity=end))
    np.testing.assert_array_equal(line.y, [stated, stated])
    assert line.x[0] < 1  # a line also after one step
    assert line.x[1] > 30
    assert line.showlegend
    last = trace(convergence(ds, extremes=1), f"{end}_residual").y[29]
    assert stated > last  # what Lanczos left is a part of it


def test_of_several_probes_each_has_its_own_bound_and_one_is_the_summarys():
    ds = dataset(probes=3, steps=30)
    drawn = [float(trace(convergence(ds, probe=k), "largest_bound").y[0]) for k in range(3)]
    assert float(summary(ds).uncertainty.sel(quantity="largest")) in drawn
    assert len(set(drawn)) == 3


def test_there_is_no_bound_where_the_number_is_withheld():
    ds = by_hand(dataset(probes=1, steps=20))
    ds["error"][:] = 0.9
    assert np.isnan(summary(ds).value.sel(quantity="largest"))
    for end in ("largest", "smallest"):
        line = trace(convergence(ds), f"{end}_bound")
        assert not len(line.x)
        assert not line.showlegend


def test_the_probe_that_got_furthest_is_shown():
    ds = dataset(probes=3, steps=20, stop=27, end="cancelled")
    assert (
        convergence(ds)
        .layout.title.subtitle.text.split("<br>")[-1]
        .startswith("Probe 1 · 20 steps")
    )
    figure = convergence(ds, probe=1)
    assert figure.layout.title.subtitle.text.split("<br>")[-1].startswith("Probe 2 · 7 steps")
    ds["alpha"][0, 5] = np.nan
    assert (
        convergence(ds).layout.title.subtitle.text.split("<br>")[-1].startswith("Probe 2 · 7 steps")
    )


def test_bad_input_is_refused():
    ds = dataset(probes=2, steps=8, stop=5, end="")
    with pytest.raises(InputError, match=r"probe=7 is not allowed; use one of \[0, 1\], or None"):
        convergence(ds, probe=7)
    with pytest.raises(InputError, match=r"extremes=0 is not allowed; use a whole number >= 1"):
        convergence(ds, extremes=0)
    with pytest.raises(RecordError, match=r"no Lanczos step of probe=1 is measured yet.*\[0\]"):
        convergence(ds, probe=1)
    with pytest.raises(RecordError, match="no Lanczos step is measured yet"):
        convergence(dataset(stop=0, end=""))


def test_it_is_public():
    assert views.convergence is convergence
