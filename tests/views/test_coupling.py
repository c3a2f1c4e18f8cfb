import re

import numpy as np
import pytest

from helpers.coupled import NAMES, dataset, operator
from helpers.emulated import by_hand
from helpers.emulated import dataset as density_dataset
from hessview import views
from hessview.analysis.coupling import coupling_summary
from hessview.errors import InputError, RecordError
from hessview.views.coupling import coupling, headline
from hessview.views.theme import LIGHT
from hessview.wording import written

SIZES = (40, 60, 60, 30)


@pytest.fixture(scope="module")
def ds():
    return dataset(operator(SIZES), SIZES)


@pytest.fixture(scope="module")
def noisy():
    return dataset(operator(SIZES), SIZES, noise=1.0)


def trace(figure, role):
    (found,) = [trace for trace in figure.data if trace.meta["role"] == role]
    return found


@pytest.mark.parametrize(("normalised", "name"), [(True, "coefficient"), (False, "frobenius")])
def test_colours_are_the_logarithm_of_the_numbers(ds, normalised, name):
    figure = coupling(ds, normalised=normalised)
    values = coupling_summary(ds)[name].values
    np.testing.assert_allclose(trace(figure, "matrix").z, np.log10(values))
    assert trace(figure, "matrix").zmax == pytest.approx(np.log10(values.max()))


def test_linear_colours_are_the_numbers_from_zero_on(ds):
    found = trace(coupling(ds, scale="linear"), "matrix")
    np.testing.assert_allclose(found.z, coupling_summary(ds).coefficient)
    assert found.zmin == 0


def test_a_log_scale_ends_where_differences_can_be_seen():
    found = trace(coupling(dataset(operator(SIZES, strength=0.0), SIZES)), "matrix")
    assert found.zmax - found.zmin <= 4
    assert np.isfinite(found.z).all()  # also where there is no coupling at all


def test_the_perturbed_block_runs_along_x_and_hovering_gives_the_numbers():
    matrix = operator(SIZES)
    ds = by_hand(dataset(matrix, SIZES))
    ds.response_norm[:, 3, 1] *= 10  # head responds to layers.0
    figure = coupling(ds)
    found, cells = coupling_summary(ds), trace(figure, "matrix").customdata
    assert list(cells[3][1][:2]) == ["head", "layers.0"]
    assert cells[3][1][2] == float(found.coefficient[3, 1]) == found.coefficient.values.max()
    assert cells[3][1][3] == float(found.frobenius[3, 1])
    assert cells[3][1][6] == "trustworthy"
    assert figure.layout.xaxis.title.text == "block that is perturbed"
    assert tuple(figure.layout.xaxis.ticktext) == tuple(figure.layout.yaxis.ticktext) == NAMES
    assert figure.layout.yaxis.range[0] > figure.layout.yaxis.range[1]  # first block on top


def test_rows_show_the_error_of_each_block_with_its_uncertainty(ds):
    found, rows = coupling_summary(ds), trace(coupling(ds), "rows")
    np.testing.assert_allclose(rows.x, found.row_error)
    np.testing.assert_allclose(rows.error_x.array, found.row_uncertainty)
    reach = 3.182446  # Student's t at 0.975 with 3 degrees of freedom
    np.testing.assert_allclose(
        found.row_uncertainty, reach * found.row_spread + found.row_noise, rtol=1e-6
    )


def test_numbers_stand_below_the_title_and_nothing_warns_of_good_ones(ds):
    figure = coupling(ds)
    found = coupling_summary(ds)
    text = figure.layout.title.subtitle.text.replace("<br>", " ")
    for name, kind in (("block_error", "mean of ratios"), ("block_error_pooled", "ratio of means")):
        one = found.sel(quantity=name)
        assert f"{written(float(one.value), float(one.uncertainty))} ({kind})" in text
    assert figure.layout.meta["warning"] == ""
    assert not trace(figure, "noisy").showlegend


def test_noise_is_warned_of_and_crosses_cells_out(noisy):
    figure = coupling(noisy)
    shown = figure.layout.title.subtitle.text
    text = re.sub(r"(</?b[^>]*>)+", " ", shown)
    noise = float(coupling_summary(noisy).noise[0])
    assert f"Dominated by noise: two computations of Hv differ by {noise:.0%} of it" in text
    assert "these numbers say nothing about the model" in text
    assert LIGHT["bad"] in shown
    crosses = trace(figure, "noisy")
    assert crosses.showlegend
    assert len(crosses.x) == (coupling_summary(noisy).verdict_of_cell == "dominated by noise").sum()
    assert set(trace(figure, "rows").marker.color) == {LIGHT["bad"]}


def test_blurred_numbers_are_marked_as_such():
    figure = coupling(dataset(operator(SIZES), SIZES, noise=0.15))
    assert figure.layout.meta["warning"].startswith("Blurred by noise: the spread over probes")


def test_one_column_is_enough_to_draw_and_none_is_not():
    figure = coupling(dataset(operator(SIZES), SIZES, stop=1, end=""))
    assert "no probe is finished yet" in figure.layout.title.subtitle.text
    assert np.isnan(np.array(trace(figure, "matrix").z, dtype=float)[:, 1:]).all()
    with pytest.raises(RecordError, match="no column is measured yet; wait for the first probe's"):
        coupling(dataset(operator(SIZES), SIZES, stop=0, end=""))


def test_many_long_names_are_cut_and_thinned():
    names = [f"model.decoder.layers.{index}.attention" for index in range(80)]
    sizes = (2,) * 80
    figure = coupling(dataset(operator(sizes), sizes, probes=1, names=names))
    assert len(figure.layout.xaxis.ticktext) <= 32
    assert all(len(text) <= 22 for text in figure.layout.xaxis.ticktext)
    assert figure.layout.xaxis.ticktext[1].endswith("layers.3.attention")


def test_one_probe_has_no_spread_to_show():
    assert "±" not in headline(coupling_summary(dataset(operator(SIZES), SIZES, probes=1)))


def test_an_unknown_scale_and_other_datasets_are_refused(ds):
    with pytest.raises(InputError, match=r"scale='cubic' is not allowed; use one of \['log', 'lin"):
        coupling(ds, scale="cubic")
    with pytest.raises(RecordError, match="pass the dataset of a coupling run"):
        coupling(density_dataset(probes=1, steps=2))


def test_coupling_is_the_view_of_its_command():
    assert views.VIEWS["coupling"] is views.coupling is coupling


def test_a_diagonal_block_of_exactly_zero_leaves_a_gap(ds):
    lost = by_hand(ds.copy(deep=True))
    lost.response_norm[:, 1, 1] = 0.0  # a step so short that nothing changed
    assert np.isinf(coupling_summary(lost).coefficient).any()
    z = np.asarray(trace(coupling(lost), "matrix").z, dtype=float)
    assert np.isnan(z).any()
    assert np.isfinite(z[0, 0])


def test_a_row_is_that_of_the_matrix_with_its_spread_over_probes(ds):
    found = coupling_summary(ds)
    for normalised, name in ((True, "coefficient"), (False, "frobenius")):
        figure = coupling(ds, row="layers.0", normalised=normalised, scale="linear")
        heights = np.nansum([bars.y for bars in figure.data], axis=0)
        np.testing.assert_allclose(heights, found[name][1])
        for bars in figure.data:
            np.testing.assert_allclose(bars.error_y.array, found[f"{name}_spread"][1])
        assert figure.layout.yaxis.range[1] > heights.max()
    text = written(float(found.row_error[1]), float(found.row_uncertainty[1]))
    assert f"error of this block {text} (mean of ratios)" in figure.layout.title.subtitle.text


def test_bars_of_a_row_stand_by_what_noise_leaves_of_them(noisy):
    found = coupling_summary(noisy)
    for bars in coupling(noisy, row="head").data:
        expected = found.verdict_of_cell.values[3] == bars.meta["verdict"]
        np.testing.assert_array_equal(np.isfinite(bars.y.astype(float)), expected)
        assert bars.showlegend == expected.any()


def test_the_row_of_no_block_is_refused(ds):
    with pytest.raises(InputError, match=r"row='tail' is no block; use one of 'embedding', 'lay"):
        coupling(ds, row="tail")


def test_cells_of_many_noisy_blocks_are_tinted():
    sizes = (2,) * 61
    names = [f"b{index}" for index in range(61)]
    ds = dataset(operator(sizes), sizes, probes=1, noise=1.0, names=names)
    tint = trace(coupling(ds), "noisy")
    worthless = coupling_summary(ds).verdict_of_cell.values == "dominated by noise"
    np.testing.assert_array_equal(np.asarray(tint.z, dtype=float) == 1, worthless)
