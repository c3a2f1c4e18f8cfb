"""Ratios of a benchmark from times that are given: what is possible, and what is not."""

import numpy as np
import pytest

from helpers.emulated import by_hand
from helpers.every_command import dataset_of
from hessview.analysis.benchmark import benchmark, format_benchmark
from hessview.errors import RecordError
from hessview.page.tiles import benchmark_tiles


def timed(gradient, product, work="hessian"):
    """A benchmark of so many seconds a repetition."""
    ds = by_hand(dataset_of("benchmark").isel(repetition=slice(len(gradient))).copy(deep=True))
    ds["seconds"] = ("repetition", "work"), np.column_stack([gradient, product]).astype(float)
    return ds.assign_coords(work=np.array(["gradient", work], dtype=object))


def test_the_error_reaches_to_the_farthest_repetition_and_holds_the_gradients_own():
    found = benchmark(timed([1.0, 1.1, 0.9], [2.1, 2.2, 1.89]))
    ratios = np.array([2.1, 2.0, 2.1])
    assert float(found.ratio[1]) == pytest.approx(2.1)
    own = 0.1 * 2.1  # a tenth of the gradient's median, seen in the ratio
    assert float(found.spread[1]) == pytest.approx(np.hypot(2.1 - ratios.min(), own))
    assert float(found.spread[0]) == pytest.approx(0.1)
    assert "1.00 ± 0.10" in format_benchmark(found)
    assert "median of 3 repetitions" in format_benchmark(found)
    assert "75%" in format_benchmark(found)


@pytest.mark.parametrize(
    ("work", "ratios", "least"),
    [
        ("hessian", [1.36, 1.5], 2),
        ("hessian_forward", [0.46, 0.5], 1),
        ("hessian_fourth_order", [2.1, 2.2], 4),
        ("hessian", [1.2], 2),
    ],
)
def test_less_than_its_gradients_is_impossible_and_no_result(work, ratios, least):
    ds = timed(np.ones(len(ratios)), ratios, work)
    found = benchmark(ds)
    assert np.isnan(found.ratio[1])
    assert float(found.least[1]) == least
    reason = str(found.reason.values[1])
    assert reason.startswith(f"withheld: {np.median(ratios):.2f} gradients were timed, where it ")
    assert reason in format_benchmark(found)
    tile = benchmark_tiles(ds)[0]
    assert tile["value"] == "–"
    assert tile["note"].startswith("withheld: ")
    assert "gradients were timed" in tile["note"]


@pytest.mark.parametrize(
    ("work", "ratios"),
    [
        ("hessian", [1.96, 2.1]),
        ("hessian", [1.97]),
        ("hessian_one_reduction", [1.6, 1.7]),
        ("own:product", [0.3, 0.4]),
    ],
)
def test_what_may_be_is_shown(work, ratios):
    found = benchmark(timed(np.ones(len(ratios)), ratios, work))
    assert float(found.ratio[1]) == pytest.approx(np.median(ratios))
    assert str(found.reason.values[1]) == ""


def test_scatter_that_reaches_the_possible_is_no_contradiction():
    found = benchmark(timed([1.0, 1.4, 0.9], [1.6, 2.2, 2.0]))
    assert np.isfinite(found.ratio[1])


def test_averages_and_parts_are_refused():
    ds = timed([1.0, 1.1], [2.1, 2.2])
    with pytest.raises(RecordError, match="without repetition: an average over repetition"):
        benchmark(ds.mean("repetition"))
    with pytest.raises(
        RecordError, match=r"\['hessian'\] is left of what was timed; a ratio needs"
    ):
        benchmark(ds.isel(work=[1]))
    assert np.isfinite(benchmark(ds.isel(repetition=0)).ratio[1])
