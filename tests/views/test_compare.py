import numpy as np
import pytest
import xarray as xr
from scipy.stats import wasserstein_distance

from helpers.emulated import by_hand, dataset
from helpers.every_command import dataset_of
from hessview import views
from hessview.analysis.compare import comparison, labels
from hessview.analysis.ritz import ritz
from hessview.analysis.summary import summary
from hessview.errors import InputError, RecordError
from hessview.spectral import quadrature
from hessview.views import broadening, theme
from hessview.views.compare import compare


def test_curves_are_means_with_one_width_at_one_grid():
    runs = [dataset("a", probes=2, steps=20), dataset("b", probes=3, steps=30, seed=1)]
    figure = compare(runs)
    sigma = figure.layout.meta["sigma"]
    widths = [quadrature.default_sigma(ritz(ds).node.values, ds.sizes["step"]) for ds in runs]
    assert sigma == pytest.approx(max(widths))
    floor = 10 ** figure.layout.yaxis.range[0] / 1e3
    for trace, ds in zip(figure.data, runs, strict=True):
        found = ritz(ds)
        rows = [
            quadrature.density(node, weight, trace.x, sigma=sigma)
            for node, weight in zip(found.node.values, found.weight.values, strict=True)
        ]
        np.testing.assert_allclose(trace.y, np.maximum(np.mean(rows, axis=0), floor), rtol=1e-9)
    assert [trace.name for trace in figure.data] == ["seed 0", "seed 1"]
    assert {*figure.data[0].x[5:-5]} & {*figure.data[1].x}  # of one grid
    assert "2 runs" in figure.layout.title.subtitle.text


def test_distances_are_scipys_paired_where_the_probes_are_the_same():
    one = dataset("a", probes=3, steps=20)
    other = by_hand(one.assign_attrs(run="b", operator="gauss_newton"))
    other["alpha"] = one.alpha * 1.1
    _, apart = comparison([one, other])
    each = [
        wasserstein_distance(
            ritz(one).node.values[p], ritz(other).node.values[p],
            ritz(one).weight.values[p], ritz(other).weight.values[p],
        )
        for p in range(3)
    ]  # fmt: skip
    flat = [(ritz(ds).node.values.ravel(), ritz(ds).weight.values.ravel()) for ds in (one, other)]
    whole = wasserstein_distance(flat[0][0], flat[1][0], flat[0][1], flat[1][1])
    # Below the distance of the means, and not below half of it, which is the other number's least.
    assert whole / 2 <= float(apart.distance[1]) <= whole < np.mean(each)
    assert float(apart.distance_low[1]) < float(apart.distance[1]) < float(apart.distance_high[1])
    assert float(apart.distance[0]) == float(apart.distance_high[0]) == 0
    assert apart.run.values.tolist() == ["hessian", "gauss_newton"]
    top = summary(other).sel(quantity="largest")
    assert float(apart.largest[1]) == float(top.value)
    assert float(apart.largest_uncertainty[1]) == float(top.uncertainty)
    assert apart.attrs["level"] == 0.95


def test_other_probes_are_compared_by_their_means():
    runs = [dataset("a", probes=2, steps=20), dataset("b", probes=3, steps=25, seed=4)]
    _, apart = comparison(runs)
    parts = [runs[0], runs[1].isel(probe=slice(2))]  # as many as both have
    flat = [(ritz(ds).node.values.ravel(), ritz(ds).weight.values.ravel()) for ds in parts]
    whole = wasserstein_distance(flat[0][0], flat[1][0], flat[0][1], flat[1][1])
    assert whole / 2 <= float(apart.distance[1]) <= whole
    assert np.isfinite(apart.distance_high[1])
    _, apart = comparison([ds.isel(probe=[0]) for ds in runs])
    assert np.isnan(apart.distance_high[1])  # one probe each


def test_a_coarse_run_is_set_apart_and_rules_neither_width_nor_reference():
    coarse = dataset("a", probes=1, steps=3)
    fine = [dataset(name, probes=2, steps=24) for name in ("b", "c")]
    figure, alone = compare([coarse, *fine]), compare(fine)
    assert figure.layout.meta["sigma"] == pytest.approx(alone.layout.meta["sigma"], rel=0.05)
    assert [trace.line.dash for trace in figure.data] == ["dot", "solid", "solid"]
    assert figure.data[0].name == "run a (coarse, own σ)"
    assert "1 of too few steps for this width" in figure.layout.title.subtitle.text
    _, apart = comparison([coarse, *fine])
    assert apart.attrs["reference"] == "run b"
    assert apart.coarse.values.tolist() == [True, False, False]
    assert float(apart.distance[1]) == 0
    _, apart = comparison([coarse, *fine], reference="a")
    assert apart.attrs["reference"] == "run a"
    assert float(apart.distance[0]) == 0
    with pytest.raises(InputError, match=r"reference='d' is none of the runs; use one of \['run a"):
        comparison([coarse, *fine], reference="d")


def test_matrices_that_differ_are_said():
    a = dataset("a", probes=2, steps=12)
    others = [
        a.assign_attrs(run="b", subset='["*up*"]', parameters=15_600),
        a.assign_attrs(run="c", operator="gauss_newton"),
        a.assign_attrs(run="d", digest="another"),
        a.assign_attrs(run="e", compute_dtype="bfloat16", epsilon=1e-4),
        a.assign_attrs(run="f", loss=1.5),
        a.assign_attrs(run="g", seed=7),
    ]
    _, apart = comparison([a, *others])
    assert apart.matrix.values.tolist() == [
        "", "subset, size", "operator", "data", "precision, ε", "weights", ""
    ]  # fmt: skip
    told = compare([a, *others]).layout.title.subtitle.text.replace("<br>", " ")
    for word in ("5 differ from", "subset", "operator", "data", "precision", "weights"):
        assert word in told
    assert "differs in subset, size" in compare([a, others[0]]).data[1].hovertemplate
    assert "differ" not in compare([a, others[-1]]).layout.title.subtitle.text


def test_a_curve_ends_where_the_spectrum_was_seen_to_end():
    runs = [dataset("a", probes=2, steps=20), dataset("b", probes=3, steps=30, seed=1)]
    for trace, ds in zip(compare(runs).data, runs, strict=True):
        found = summary(ds)
        for name, end in (("smallest", trace.customdata[0]), ("largest", trace.customdata[-1])):
            one = found.sel(quantity=name)
            assert float(one.low) - 1e-9 <= end <= float(one.high) + 1e-9


def test_runs_without_a_step_are_left_out_and_it_says_so():
    runs = [
        dataset("a", probes=1, steps=20),
        dataset("b", probes=2, steps=20, stop=0, end="failed"),
        dataset("c", probes=2, steps=20, stop=7, end=""),
        dataset_of("epsilon_sweep"),
    ]
    figure = compare(runs)
    assert len(figure.data) == 2
    assert "1 left out, nothing measured" in figure.layout.title.subtitle.text
    assert figure.data[1].line.dash == "dot"
    assert figure.data[1].name == "run c (no whole probe yet)"
    with pytest.raises(RecordError, match="of 1 density run none has a measured step; pass"):
        compare(runs[1:2])


def test_labels_tell_what_differs_and_else_the_run():
    a = dataset("a", probes=1, steps=4)
    step = [a.assign_attrs(training_step=n) for n in (0, 100)]
    assert labels(step) == ["training step 0", "training step 100"]
    models = [a.assign_attrs(model="one", epsilon=1e-3), a.assign_attrs(model="two")]
    assert labels(models) == ["one, ε 0.001", "two, ε auto"]
    assert labels([a, a.assign_attrs(run="b")]) == ["run a", "run b"]
    assert len(set(labels([a, a]))) == 2
    mixed = labels([a.assign_attrs(seed=1), a.assign_attrs(run="b"), a.assign_attrs(run="c")])
    assert mixed == ["seed 1, run a", "seed 0, run b", "seed 0, run c"]


def test_a_hostile_name_stays_a_name():
    a = dataset("a", probes=1, steps=4)
    figure = compare([a, a.assign_attrs(model="<b>x</b>")])
    assert figure.data[1].name == "&lt;b&gt;x&lt;/b&gt;"


@pytest.mark.parametrize("axis", broadening.AXES)
def test_each_curve_integrates_to_one(axis):
    tree = xr.DataTree.from_dict(
        {n: dataset(n, probes=2, steps=20, seed=i) for i, n in enumerate("ab")}
    )
    for trace in compare(tree, axis=axis).data:
        # Half a kernel at either end is cut off, where single nodes weigh little.
        assert np.trapezoid(trace.y, trace.customdata) == pytest.approx(1, abs=5e-3)


def test_bad_widths_are_refused_and_the_view_is_public():
    with pytest.raises(InputError, match=r"sigma=0 is not allowed; use a finite number > 0"):
        compare([dataset(probes=1, steps=4)], sigma=0)
    assert views.compare is compare


def test_series_are_told_apart_in_both_themes():
    assert len(set(theme.SERIES)) == len(theme.SERIES) == len(set(theme.DARK_SERIES))
    assert not {*theme.SERIES} & {*theme.LIGHT.values()}
