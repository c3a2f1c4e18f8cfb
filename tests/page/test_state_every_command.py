"""State and report of every command's runs: what was measured is what is shown."""

import csv
import json

import numpy as np
import pytest

from helpers.emulated import dataset
from helpers.every_command import EPSILONS, SIZES, dataset_of
from helpers.overlaps import OVERLAPS
from hessview.analysis.benchmark import benchmark, format_benchmark
from hessview.analysis.coupling import coupling_summary
from hessview.analysis.sweep import distances
from hessview.page.state import page_state
from hessview.page.static_html import fallback
from hessview.page.status import status
from hessview.page.widget import View

FIGURES = ["accuracy", "epsilon_sweep", "fraction_sweep", "coupling"]
EVERY = [*FIGURES, "benchmark"]
HOSTILE = (
    "<b>bold</b>",
    '<a href="https://evil.example/">click</a>',
    "</script><img src=x onerror=alert(1)><extra>",
    "a & b &lt; $x^2$ %{x}",
)


def section(name, **options):
    (only,) = page_state([dataset_of(name, **options)])["sections"]
    return only


def tiles(found):
    return {tile["label"]: tile for tile in found["tiles"]}


def traces(figure, role):
    return [trace for trace in figure["data"] if trace["meta"]["role"] == role]


@pytest.mark.parametrize("end", ["", "done", "failed"])
@pytest.mark.parametrize("name", EVERY)
def test_every_stage_of_every_command_is_valid(name, end):
    for stop in (0, 1, 2, 3, 7, 13, 25, 50, None):
        ds = dataset_of(name, stop=stop, end=end)
        state = page_state([ds], final=True)
        json.dumps(state, allow_nan=False)
        (panel,) = state["sections"][0]["panels"]
        assert bool(panel["message"]) == ("figure" not in panel and "text" not in panel)
        assert fallback([ds], state)
    assert not panel["message"]


@pytest.mark.parametrize(
    ("name", "stop", "done", "unit", "left"),
    [
        ("accuracy", 1, (1, 36), "products", 2 * 9.0),  # of other products nothing is known
        ("accuracy", 4, (4, 36), "products", 2 * 9.0 + 30 * 1.5),
        ("coupling", 3, (3, 12), "columns", 9.0),
        ("epsilon_sweep", 30, (30, 192), "steps", 162.0),
    ],
)
def test_progress_counts_what_the_command_measures(name, stop, done, unit, left):
    found = status(dataset_of(name, stop=stop, end=""))
    assert (found["done"], found["total"]) == done
    assert found["unit"] == unit
    minutes, seconds = divmod(int(left), 60)
    words = f"{minutes} min {seconds:02d} s" if minutes else f"{seconds} s"
    assert found["left"] == f"about {words} left"


def test_nothing_measured_says_what_is_awaited():
    waiting = {name: section(name, stop=0, end="")["panels"][0]["message"] for name in EVERY}
    assert waiting["accuracy"] == "No product is measured yet."
    assert waiting["coupling"] == "No column is measured yet."
    assert waiting["epsilon_sweep"] == "No finished probe is measured yet."
    ended = section("coupling", stop=0, end="failed")["panels"][0]["message"]
    assert ended == "The run ended before its first column."


def test_accuracy_tiles_tell_the_automatic_steps_error_and_its_reference():
    ds = dataset_of("accuracy")
    found = tiles(section("accuracy"))
    top = found["Automatic ε, top"]
    assert top["value"] == "3.6×10⁻⁵"
    assert float(ds.auto_relative_error.sel(direction="top")) == pytest.approx(3.6e-5, rel=0.02)
    assert "against double backward in float64" in top["basis"]
    assert found["Reference"]["value"] == "double backward"
    poor = tiles(section("accuracy", exact=False))
    assert poor["Automatic ε, top"]["value"].startswith("≲ ")
    assert "against products extrapolated" in poor["Automatic ε, top"]["basis"]
    assert poor["Reference"]["note"] == "good to 8×10⁻⁴"


def test_sweep_tiles_tell_the_largest_distance_with_and_without_noise():
    found = tiles(section("epsilon_sweep"))
    apart = distances(dataset_of("epsilon_sweep")).relative_distance
    largest = found["Largest distance"]
    assert float(largest["value"].split()[0]) == pytest.approx(100 * apart.values[0], rel=0.05)
    assert largest["verdict"] == "dominated by noise"
    quiet = found["Largest without noise"]
    assert quiet["note"].endswith("at ε 1.0×10⁻⁴")
    assert not quiet["verdict"]
    assert found["Reference"]["value"] == "ε 0.0010"
    assert found["Settings"]["note"] == "of 4 finished, 1 of them noise"


def test_a_sweep_under_way_is_compared_with_the_best_that_is_there():
    found = section("fraction_sweep", stop=100, end="")
    assert "reference part 0.5" in found["panels"][0]["subtitle"]
    assert tiles(found)["Settings"]["note"] == "of 3 finished"
    assert [
        trace["meta"]["setting"] for trace in traces(found["panels"][0]["figure"], "density")
    ] == [
        0.25,
        0.5,
    ]


@pytest.mark.parametrize(
    ("noise", "verdict", "tone"),
    [
        (1e-3, "trustworthy", "good"),
        (0.1, "blurred by noise", "warn"),
        (1.0, "dominated by noise", "bad"),
    ],
)
def test_coupling_tiles_tell_what_they_are_worth(noise, verdict, tone):
    found = section("coupling", noise=noise, probes=12)
    numbers = coupling_summary(dataset_of("coupling", noise=noise, probes=12))
    shown = tiles(found)
    for label, name in (
        ("Block-diagonal error", "block_error"),
        ("Cosine", "cosine"),
        ("Scale κ", "kappa"),
    ):
        row = numbers.sel(quantity=name)
        digits = max(float(row.uncertainty), 5e-4)
        assert float(shown[label]["value"]) == pytest.approx(float(row.value), abs=digits)
        assert (shown[label]["verdict"], shown[label]["tone"]) == (verdict, tone)
    assert bool(found["panels"][0]["warning"]) == (noise > 1e-2)


def test_three_probes_of_good_products_are_called_too_few_to_tell_kappa():
    found = section("coupling", probes=3)
    shown = tiles(found)
    assert shown["Block-diagonal error"]["verdict"] == "trustworthy"
    kappa = shown["Scale κ"]
    assert (kappa["verdict"], kappa["tone"]) == ("too few probes", "warn")
    assert "Student's t over 3 probes" in kappa["basis"]
    warning = found["panels"][0]["warning"]
    assert warning.startswith("Too few probes to tell kappa: the 95 % intervals reach further")


def test_a_benchmark_is_a_table():
    ds = dataset_of("benchmark")
    found = section("benchmark")
    assert found["panels"][0]["text"] == format_benchmark(benchmark(ds))
    assert tiles(found)["Product, hessian"]["value"] == "2.081"


@pytest.mark.parametrize("name", EVERY)
def test_without_scripts_there_is_a_table(name):
    ds = dataset_of(name)
    html = fallback([ds], page_state([ds]))
    needles = {
        "accuracy": ["3.16×10⁻⁶", "top"],
        "epsilon_sweep": ["largest Ritz value", "distance / range"],
        "fraction_sweep": ["0.250", "product error D"],
        "coupling": ["layers.1", "most coupled to"],
        "benchmark": ["time / gradient", "2.081 ± 0.041"],
    }
    assert all(needle in html for needle in needles[name])
    assert status(ds)["unit"] in html


@pytest.mark.parametrize("name", EVERY)
def test_a_notebook_shows_the_view_and_keeps_a_table(name):
    view = View(dataset_of(name, stop=30, end=""))
    stored, _ = view._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in stored
    assert status(dataset_of(name))["unit"] in stored["text/html"]
    json.dumps(view.state, allow_nan=False)
    view.close()


def test_hostile_names_are_escaped_without_scripts():
    ds = dataset_of("coupling", names=HOSTILE)
    html = fallback([ds], page_state([ds]))
    assert "<img" not in html
    assert "<a " not in html


DRAWN = """() => [...document.querySelectorAll(".hess-plot")]
  .filter((plot) => !plot.hidden).map((plot) =>
  (plot._fullData ?? []).map((trace) => ({ meta: trace.meta, x: Array.from(trace.x ?? []),
    y: Array.from(trace.y ?? []), z: (trace.z ?? []).map((row) => Array.from(row)) })))"""


def numbers(values):
    return np.array([np.nan if value is None else value for value in values], dtype=float)


@pytest.mark.browser
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_report_of_all_kinds_draws_the_datasets_numbers(open_report, shots, tmp_path, dark):
    sets = [dataset_of(name) for name in FIGURES]
    page = open_report([dataset(probes=2, steps=20), *sets, dataset_of("benchmark")], dark=dark)
    assert page.evaluate("() => 'Plotly' in window") is False
    drawn = [{"data": data} for data in page.evaluate(DRAWN)]
    _, _, accuracy, epsilons, fractions, coupling, row = drawn
    for place, trace in enumerate(traces(accuracy, "measured")):
        np.testing.assert_allclose(numbers(trace["x"]), EPSILONS, rtol=1e-9)
        np.testing.assert_allclose(numbers(trace["y"]), sets[0].relative_error[place], rtol=1e-9)
    automatic = [trace["y"][0] for trace in traces(accuracy, "automatic")]
    np.testing.assert_allclose(automatic, sets[0].auto_relative_error, rtol=1e-9)
    for drawn, ds in ((epsilons, sets[1]), (fractions, sets[2])):
        apart = distances(ds)
        distance = apart.relative_distance.values
        (trace,) = traces(drawn, "distance")
        np.testing.assert_allclose(
            numbers(trace["y"]), np.where(distance > 0, distance, np.nan), rtol=1e-9
        )
        (trace,) = traces(drawn, "product_error")
        np.testing.assert_allclose(numbers(trace["y"]), apart.product_error, rtol=1e-9)
    (matrix,) = traces(coupling, "matrix")
    expected = np.log10(coupling_summary(sets[3]).coefficient.values)
    np.testing.assert_allclose(matrix["z"], expected, rtol=1e-6, atol=1e-9)
    assert {trace["meta"]["role"] for trace in row["data"]} == {"row"}
    assert "time / gradient" in page.locator("pre").text_content()
    page.screenshot(path=shots / f"every_{'dark' if dark else 'light'}.png", full_page=True)


@pytest.mark.browser
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_nothing_overlaps_on_a_narrow_page(open_report, shots, dark):
    page = open_report([dataset_of(name) for name in EVERY], width=480, dark=dark)
    assert page.locator(".hess-plot .xtick text, .hess-plot .x2tick text").count() > 10
    page.screenshot(path=shots / f"every_narrow_{'dark' if dark else 'light'}.png", full_page=True)
    assert page.evaluate(OVERLAPS) == []


@pytest.mark.browser
@pytest.mark.parametrize("width", [1180, 480])
def test_hostile_block_names_stay_names(open_report, shots, width):
    page = open_report(dataset_of("coupling", names=HOSTILE), width=width)
    plot = page.locator(".hess-plot")
    assert plot.locator("a, b, img").count() == 0
    labels = plot.first.locator(".ytick text").all_text_contents()
    assert page.locator("select option").all_text_contents() == list(HOSTILE)
    assert labels[0] == HOSTILE[0]
    assert labels[1].startswith("…")
    assert HOSTILE[1].endswith(labels[1][1:])
    box = plot.locator(".plot .hm image, .heatmaplayer image").first.bounding_box()
    for row, name in enumerate(HOSTILE):
        page.mouse.move(box["x"] + box["width"] * 0.4, box["y"] + box["height"] * (row + 0.5) / 4)
        page.wait_for_function(
            "(name) => document.querySelector('.hoverlayer')?.textContent.includes(name)",
            arg=f"{name} responds to {HOSTILE[1]}",
        )
        assert page.locator(".hoverlayer a").count() == 0
        assert page.locator(".hoverlayer [style*=bold]").count() == 0
    page.screenshot(path=shots / f"hostile_{width}.png", full_page=True)


@pytest.mark.browser
def test_readings_are_downloaded_by_what_they_run_over(open_report, tmp_path):
    ds = dataset_of("coupling", names=HOSTILE, stop=6, end="failed")
    page = open_report(ds)
    assert page.locator(".hess-downloads a").all_text_contents() == [
        "CSV by probe, block, column",
        "CSV by probe, column",
        "CSV by probe",
        "CSV by probe, block",
        "JSON",
    ]
    with page.expect_download() as waiting:
        page.get_by_role("link", name="CSV by probe, block, column").click()
    assert waiting.value.suggested_filename == "hessview-coupling-1-probe-block-column.csv"
    waiting.value.save_as(tmp_path / "coupling.csv")
    with (tmp_path / "coupling.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    measured = ds.response_norm.values[np.isfinite(ds.response_norm.values)]
    assert [float(row["response_norm"]) for row in rows] == measured.tolist()
    assert rows[0]["block"] == HOSTILE[0]
    assert len(rows) == 5 * len(SIZES)  # the sixth reading is a whole probe's


def test_cells_that_a_spreadsheet_would_compute_are_defused(node):
    cells = node.evaluate("""() => ["=1+1", "plain", 'a "b", c', -1.5, null].map(page.csvCell)""")
    assert cells == ["'=1+1", "plain", '"a ""b"", c"', -1.5, ""]
