import numpy as np
import pytest

from helpers.emulated import OUTLIERS, by_hand, dataset
from hessview import views
from hessview.analysis.ritz import ritz
from hessview.analysis.summary import summary
from hessview.errors import InputError, RecordError
from hessview.spectral import quadrature
from hessview.views import broadening, theme
from hessview.views.density import density


def trace(figure, role):
    (found,) = [trace for trace in figure.data if trace.meta["role"] == role]
    return found


def per_probe(ds, x, sigma):
    found = ritz(ds)
    rows = []
    for probe in range(found.sizes["probe"]):
        node = found.node.values[probe]
        there = np.isfinite(node)
        weight = found.weight.values[probe]
        rows.append(quadrature.density(node[there], weight[there], x, sigma=sigma))
    return np.array(rows)


def test_the_curve_is_the_mean_of_the_quadratures_and_the_band_their_extremes():
    ds = dataset(probes=3, steps=30)
    figure = density(ds, sigma=0.4)
    mean = trace(figure, "mean")
    rows = per_probe(ds, mean.x, 0.4)
    floor = 10 ** figure.layout.yaxis.range[0] / 1e3
    np.testing.assert_allclose(mean.y, np.maximum(rows.mean(axis=0), floor), rtol=1e-12)
    np.testing.assert_allclose(trace(figure, "low").y, np.maximum(rows.min(axis=0), floor))
    np.testing.assert_allclose(trace(figure, "high").y, np.maximum(rows.max(axis=0), floor))
    assert mean.name == "mean of 3 probes"
    assert trace(figure, "high").name == "lowest to highest probe"


@pytest.mark.parametrize("axis", ["linear", "symlog"])
def test_the_curve_integrates_to_one_over_the_eigenvalue(axis):
    figure = density(dataset(probes=2, steps=30), axis=axis)
    mean = trace(figure, "mean")
    eigenvalues = np.asarray(mean.customdata, dtype=float)
    assert np.all(np.diff(eigenvalues) >= 0)
    assert np.trapezoid(mean.y, eigenvalues) == pytest.approx(1, abs=2e-3)


def test_symlog_divides_by_the_jacobian():
    ds = dataset(probes=2, steps=30)
    figure = density(ds, sigma=0.05, axis="symlog")
    scale = figure.layout.meta["scale"]
    assert scale == pytest.approx(1e-2 * np.nanmax(np.abs(ritz(ds).node)))
    mean = trace(figure, "mean")
    expected = np.zeros_like(mean.x)
    found = ritz(ds)
    for probe in range(2):  # the chain rule, written out
        u = np.arcsinh(found.node.values[probe] / scale)
        along = quadrature.density(u, found.weight.values[probe], mean.x, sigma=0.05 / scale)
        expected += along / np.sqrt(scale**2 + np.asarray(mean.customdata, dtype=float) ** 2) / 2
    seen = mean.y > 10 ** figure.layout.yaxis.range[0]
    np.testing.assert_allclose(mean.y[seen], expected[seen], rtol=1e-10)


def test_one_probe_has_no_band_and_says_so():
    figure = density(dataset(probes=1, steps=20))
    assert not trace(figure, "low").y.size
    assert not trace(figure, "high").showlegend
    assert trace(figure, "mean").name == "1 probe"
    assert "1 probe × 20 steps · no spread to show" in figure.layout.title.subtitle.text


def test_a_probe_in_progress_is_drawn_apart_from_the_mean():
    whole = density(dataset(probes=3, steps=20, stop=20, end=""), sigma=0.5)
    begun = density(dataset(probes=3, steps=20, stop=27, end=""), sigma=0.5)
    unfinished = trace(begun, "unfinished")
    assert unfinished.name == "probe 2, at step 7"
    assert unfinished.line.dash == "dot"
    where = np.isin(trace(begun, "mean").x, trace(whole, "mean").x)
    before = dict(zip(trace(whole, "mean").x, trace(whole, "mean").y, strict=True))
    for x, y in zip(trace(begun, "mean").x[where], trace(begun, "mean").y[where], strict=True):
        assert y == pytest.approx(before[x], rel=1e-9) or y < 10 ** begun.layout.yaxis.range[0]


def test_the_first_probe_in_progress_has_a_curve_but_no_mean():
    figure = density(dataset(probes=3, steps=20, stop=1, end=""))
    assert not trace(figure, "mean").y.size
    assert trace(figure, "unfinished").y.size
    assert "no whole probe yet" in figure.layout.title.subtitle.text


def test_a_cancelled_probe_says_where_it_ended():
    figure = density(dataset(probes=3, steps=20, stop=27, end="cancelled"))
    assert trace(figure, "unfinished").name == "probe 2, ended at step 7"


def test_stems_stand_on_the_outliers_and_tell_located_from_not():
    figure = density(dataset(probes=2, steps=48))
    located = trace(figure, "located")
    for outlier in OUTLIERS:
        assert np.min(np.abs(located.customdata[:, 0] - outlier)) < 1e-6 * abs(outlier)
    assert np.all(np.abs(located.customdata[:, 0]) > figure.layout.meta["scale"])
    mean = trace(figure, "mean")
    np.testing.assert_allclose(located.y, np.interp(located.x, mean.x, mean.y))
    early = density(dataset(probes=2, steps=48, stop=8, end=""))
    assert len(trace(early, "unlocated").x)
    residual = trace(early, "unlocated").customdata[:, 2]
    assert np.all(residual > 1e-2 * np.abs(trace(early, "unlocated").customdata[:, 0]))
    assert trace(early, "unlocated").marker.color == theme.LIGHT["card"]


def test_every_stem_is_within_the_visible_range():
    figure = density(dataset(probes=4, steps=48))
    low, high = figure.layout.yaxis.range
    heads = np.concatenate([trace(figure, role).y for role in ("located", "unlocated")])
    assert low < np.log10(heads).min()
    assert np.log10(heads).max() < high


def test_the_unresolved_strip_is_marked():
    figure = density(dataset(probes=2, steps=30))
    (strip,) = figure.layout.shapes
    assert strip.x1 == -strip.x0 == pytest.approx(figure.layout.meta["scale"])
    assert strip.name.startswith("not resolved: |λ| < 0.41")


def test_steps_limits_what_is_used():
    short = density(dataset(probes=2, steps=30), steps=10, sigma=0.5)
    same = density(dataset(probes=2, steps=10), sigma=0.5)
    # Of a part the product error of the extremes is not known: its curve may end elsewhere.
    one, other = (
        dict(zip(t.x, t.y, strict=True)) for t in map(lambda f: trace(f, "mean"), (short, same))
    )
    assert len(one.keys() & other.keys()) > 400
    for x in one.keys() & other.keys():
        assert one[x] == pytest.approx(other[x], rel=1e-6)


@pytest.mark.parametrize("sigma", [0, -0.1, float("nan"), float("inf")])
def test_a_width_that_is_none_is_refused(sigma):
    with pytest.raises(InputError, match=r"sigma=.* is not allowed; use a finite number > 0"):
        density(dataset(probes=1, steps=5), sigma=sigma)


def test_an_unknown_axis_is_refused():
    with pytest.raises(InputError, match=r"axis='log' is not allowed; use one of \['linear'"):
        density(dataset(probes=1, steps=5), axis="log")


def test_nothing_measured_is_said():
    with pytest.raises(RecordError, match="no Lanczos step is measured yet"):
        density(dataset(stop=0, end=""))


@pytest.mark.parametrize("sigma", [1e-6, 1e-2, 1.0, 100.0])
def test_no_peak_is_missed_whatever_the_width(sigma):
    nodes = np.array([-1.0, 0.0, 0.1234567, 40.0])
    on = broadening.axis("linear", nodes)
    at = broadening.grid(on, nodes, sigma)
    assert np.abs(nodes[:, None] - at).min(axis=1).max() <= quadrature.LEAST_APART * sigma
    assert np.isin(nodes, at).all() or sigma == 100
    assert len(at) <= quadrature.MOST_POINTS + len(nodes)


def test_an_operator_of_zeros_still_has_a_figure():
    ds = by_hand(dataset(probes=1, steps=1))
    ds["alpha"][:] = 0.0
    ds["beta"][:] = 0.0
    figure = density(ds)
    assert np.isfinite(trace(figure, "mean").y).all()
    density(ds, axis="symlog")


def test_light_and_dark_give_every_meaning_its_own_colour():
    assert theme.LIGHT.keys() == theme.DARK.keys()
    assert len(set(theme.LIGHT.values())) == len(theme.LIGHT)


@pytest.mark.parametrize("palette", [theme.LIGHT, theme.DARK], ids=["light", "dark"])
@pytest.mark.parametrize("ground", ["page", "card"])
@pytest.mark.parametrize(
    "text", ["ink", "muted", "accent", "running", "ritz", "good", "warn", "bad"]
)
def test_text_colours_reach_wcag_aa(palette, ground, text):
    def luminance(colour):
        channels = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
        linear = np.where(
            channels <= 0.03928, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4
        )
        return linear @ [0.2126, 0.7152, 0.0722]

    light, dark = sorted((luminance(palette[ground]), luminance(palette[text])), reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= 4.5


def test_density_is_the_view_of_its_command():
    assert views.VIEWS["density"] is views.density is density


@pytest.mark.parametrize("axis", broadening.AXES)
@pytest.mark.parametrize(("steps", "probes"), [(9, [1, 3]), (None, [2]), (5, None), (1, [0])])
def test_a_part_is_drawn_as_the_dataset_of_that_part(axis, steps, probes):
    ds = dataset(probes=4, steps=24, stop=60, end="")
    part = ds.isel(step=slice(steps)).sel(probe=ds.probe.values if probes is None else probes)
    drawn = density(ds, steps=steps, probes=probes, axis=axis)
    expected = density(part, axis=axis)
    for one, other in zip(drawn.data, expected.data, strict=True):
        np.testing.assert_array_equal(one.x, other.x)
        np.testing.assert_array_equal(one.y, other.y)
        if one.meta["role"] != "extremes":  # of a part only the residual bound is known
            assert one.name == other.name
    assert drawn.layout.meta == expected.layout.meta


def test_probes_keep_their_numbers_when_others_are_left_out():
    ds = dataset(probes=3, steps=20, stop=47, end="")
    figure = density(ds, probes=[1, 2])
    assert trace(figure, "mean").name == "1 probe"
    assert trace(figure, "unfinished").name == "probe 3, at step 7"
    assert set(trace(figure, "located").customdata[:, 3]) <= {2, 3}
    np.testing.assert_array_equal(
        trace(density(ds, probes=[2, 1]), "mean").y, trace(figure, "mean").y
    )


def test_a_kernel_beyond_all_eigenvalues_has_no_place_on_a_symlog_axis():
    ds = dataset(probes=1, steps=8)
    with pytest.raises(InputError, match=r"sigma=99 is more than the largest .*, 41\.3; use less"):
        density(ds, sigma=99, axis="symlog")
    assert density(ds, sigma=99)


@pytest.mark.parametrize("probes", [[], [3], [0, -1]])
def test_probes_that_are_none_of_the_runs_are_refused(probes):
    with pytest.raises(InputError, match=r"probes=\[.*\] is not allowed; use some of \[0, 1\], or"):
        density(dataset(probes=2, steps=5), probes=probes)


@pytest.mark.parametrize(
    ("operator", "name"),
    [
        ("hessian_one_reduction", "Hessian"),
        ("gauss_newton", "Gauss-Newton matrix"),
        ("fisher", "empirical Fisher"),
        ("my_package:mine", "operator"),
    ],
)
def test_the_axis_names_the_matrix(operator, name):
    figure = density(dataset(probes=1, steps=5).assign_attrs(operator=operator))
    assert figure.layout.xaxis.title.text == f"eigenvalue λ of the {name}"


@pytest.mark.parametrize("axis", broadening.AXES)
def test_the_curve_ends_where_the_tiles_say_and_the_extremes_are_marked(axis):
    """Beyond, it would be the kernel's tail: a negative bulk of a Gaussian's making."""
    ds = dataset(probes=3, steps=16)
    found = summary(ds)
    for sigma in (None, 2.0):
        figure = density(ds, axis=axis, sigma=sigma)
        least, most = (found.sel(quantity=name) for name in ("smallest", "largest"))
        for role in ("mean", "low", "high"):
            at = trace(figure, role).customdata
            assert float(least.low) - 1e-9 <= at[0] <= float(least.high)
            assert float(most.low) <= at[-1] <= float(most.high) + 1e-9
        marks = trace(figure, "extremes")
        np.testing.assert_allclose(marks.customdata[:, 0], [float(least.value), float(most.value)])
        ends = [float(least.uncertainty), float(most.uncertainty)]
        np.testing.assert_allclose(marks.customdata[:, 1], ends)
        if axis == "linear":
            np.testing.assert_allclose(marks.error_x.array, ends, rtol=1e-6, atol=1e-9)
            np.testing.assert_allclose(marks.error_x.arrayminus, ends, rtol=1e-6, atol=1e-9)


def test_a_node_at_the_edge_of_the_unresolved_strip_is_no_head():
    """A hundredth of the largest is the strip's edge: what lies there is not told from zero."""
    ds = by_hand(dataset(probes=2, steps=1))
    ds["alpha"][:] = [[100.0], [1.0]]
    ds["beta"][:] = 0.0
    figure = density(ds)
    drawn = [row[0] for role in ("located", "unlocated") for row in trace(figure, role).customdata]
    assert drawn == [100.0]
