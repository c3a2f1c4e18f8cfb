"""The report in Chromium, from a file, with the network off."""

import csv
import html
import json
import re

import numpy as np
import pytest
import xarray as xr

from helpers.emulated import LiveRun, dataset
from helpers.overlaps import OVERLAPS
from helpers.report_page import drawn, move
from hessview.analysis.ritz import ritz
from hessview.errors import InputError
from hessview.page.module import report_script
from hessview.page.report import report
from hessview.spectral import quadrature
from hessview.views.density import density


def mean_density(ds, x, sigma):
    found = ritz(ds)
    return np.mean(
        [
            quadrature.density(node, weight, x, sigma=sigma)
            for node, weight in zip(found.node.values, found.weight.values, strict=True)
        ],
        axis=0,
    )


@pytest.mark.browser
def test_the_slider_moves_the_curve_to_numpys_numbers(open_report, shots):
    ds = dataset(probes=4, steps=40)
    page = open_report(ds)
    sigma = quadrature.default_sigma(ritz(ds).node.values, 40)
    for position in (0, 0.6, -0.4):
        move(page, "Kernel width σ", position)
        mean = drawn(page)["mean"]
        expected = mean_density(ds, mean["x"], sigma * 10**position)
        seen = mean["y"] > mean["y"].min() * 1.001
        assert seen.sum() > 100
        np.testing.assert_allclose(mean["y"][seen], expected[seen], rtol=1e-6)
    page.screenshot(path=shots / "report_light.png", full_page=True)


@pytest.mark.browser
def test_keys_move_the_slider_and_the_button_brings_it_back(open_report):
    page = open_report(dataset(probes=2, steps=20))
    slider = page.get_by_role("slider", name="Kernel width σ")
    before = page.locator("output").first.text_content()
    slider.press("ArrowRight")
    page.wait_for_function("(b) => document.querySelector('output').textContent !== b", arg=before)
    assert (
        slider.get_attribute("aria-valuetext")
        == f"σ = {page.locator('output').first.text_content()}"
    )
    page.get_by_role("button", name="auto").first.click()
    page.wait_for_function("(b) => document.querySelector('output').textContent === b", arg=before)


@pytest.mark.browser
def test_both_axes_can_be_chosen(open_report, shots):
    ds = dataset(probes=4, steps=40)
    page = open_report(ds)
    page.get_by_role("radio", name="symlog").check()
    page.wait_for_function(
        "() => document.querySelector('.hess-plot')._fullLayout?.xaxis.tickmode === 'array'"
    )
    mean = drawn(page)["mean"]
    expected = density(ds, axis="symlog").data[2]
    np.testing.assert_allclose(mean["x"], expected.x, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(mean["y"], expected.y, rtol=1e-6)
    assert "at λ = 0" in page.locator("output").first.text_content()
    page.screenshot(path=shots / "report_symlog.png", full_page=True)
    page.get_by_role("group", name="Density axis").get_by_role("radio", name="linear").check()
    page.wait_for_function(
        "() => document.querySelector('.hess-plot')._fullLayout.yaxis.type === 'linear'"
    )


@pytest.mark.browser
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_nothing_overlaps_on_a_narrow_page(open_report, shots, dark):
    page = open_report(dataset(probes=3, steps=30, stop=70, end=""), width=480, dark=dark)
    drawn(page)
    assert page.evaluate(OVERLAPS) == []
    page.screenshot(path=shots / f"report_narrow_{'dark' if dark else 'light'}.png", full_page=True)
    page.get_by_role("radio", name="symlog").check()
    page.wait_for_timeout(200)
    assert page.evaluate(OVERLAPS) == []


@pytest.mark.browser
def test_dark_and_light_follow_the_system_and_the_button(open_report, shots):
    page = open_report(dataset(probes=2, steps=20), dark=True)
    colour = "() => document.querySelector('.hess-plot')._fullData[2].line.color"
    drawn(page)
    assert page.locator(".hessview").get_attribute("data-theme") == "dark"
    assert page.evaluate(colour) == "#7fabff"
    page.screenshot(path=shots / "report_dark.png", full_page=True)
    page.get_by_role("button", name="Switch to light colours").click()
    page.wait_for_function(f"() => ({colour})() === '#2155d6'")
    assert page.evaluate("() => getComputedStyle(document.body).backgroundColor") == (
        "rgb(244, 246, 251)"
    )


@pytest.mark.browser
def test_paper_is_white(open_report):
    page = open_report(dataset(probes=1, steps=10), dark=True)
    drawn(page)
    theme = page.locator(".hessview")
    page.evaluate("() => dispatchEvent(new Event('beforeprint'))")
    assert theme.get_attribute("data-theme") == "light"
    page.evaluate("() => dispatchEvent(new Event('afterprint'))")
    assert theme.get_attribute("data-theme") == "dark"


@pytest.mark.browser
def test_a_hostile_name_stays_a_name(open_report, tmp_path):
    name = "</script><script>document.title='owned'</script><img src=x onerror=alert(1)>\u2028&amp;"
    page = open_report(dataset(probes=1, steps=10, model=name, error=name, end="failed"))
    drawn(page)
    assert page.locator(".hessview h2").text_content() == name
    assert page.locator(".hess-message").text_content() == name
    assert page.locator("img").count() == 0
    assert page.title() != "owned"


@pytest.mark.browser
def test_without_scripts_a_drawing_and_tables_remain(open_report, shots):
    page = open_report(dataset(probes=2, steps=20, end="cancelled", stop=25), scripts=False)
    page.screenshot(path=shots / "report_no_script.png", full_page=True)
    assert page.locator("svg polyline").count() == 2
    assert page.get_by_text("cancelled, 25 of 40 steps").is_visible()
    assert page.get_by_role("rowheader", name="Largest eigenvalue").is_visible()


@pytest.mark.browser
def test_the_readings_can_be_downloaded(open_report, tmp_path):
    ds = dataset(probes=2, steps=6)
    page = open_report(ds)
    files = {}
    for kind in ("CSV", "JSON"):
        with page.expect_download() as waiting:
            page.get_by_role("link", name=kind).click()
        files[kind] = tmp_path / waiting.value.suggested_filename
        waiting.value.save_as(files[kind])
    assert files["CSV"].name == "hessview-density-1.csv"
    rows = list(csv.DictReader(files["CSV"].read_text().splitlines()))
    assert [float(row["alpha"]) for row in rows] == ds.alpha.values.ravel().tolist()
    assert rows[1]["error"] == ""
    record = json.loads(files["JSON"].read_text())
    assert record["attrs"]["digest"] == ds.attrs["digest"]
    assert record["variables"]["alpha"]["values"] == ds.alpha.values.ravel().tolist()


@pytest.mark.browser
def test_readings_of_pairs_are_a_table_of_their_own_once_there_are_some(open_report):
    links = open_report(dataset(probes=2, steps=6)).locator(".hess-downloads a")
    assert links.all_text_contents() == ["CSV", "JSON"]
    ds = dataset(probes=2, steps=6)
    ds.pair_value[1, 0] = 41.0
    links = open_report(ds).locator(".hess-downloads a")
    assert links.all_text_contents() == ["CSV by probe, step", "CSV by probe, end", "JSON"]


@pytest.mark.browser
def test_several_runs_stand_below_each_other(open_report, shots):
    runs = [
        dataset("one", probes=1, steps=20),
        dataset("two", probes=2, steps=20, stop=30, end="failed", error="rank 1 was killed"),
        dataset("three", stop=-1, end=""),
    ]
    page = open_report(runs, title="Three runs")
    drawn(page)
    assert page.get_by_role("heading", level=1).text_content() == "Three runs"
    assert page.locator(".hess-pill:visible").all_text_contents() == [
        "done",
        "failed",
        "unfinished",
    ]
    assert page.get_by_text("No Lanczos step is measured yet.").is_visible()
    page.screenshot(path=shots / "report_three.png", full_page=True)


def test_the_file_is_small_and_carries_its_policy(tmp_path):
    path = report(dataset(probes=4, steps=64), tmp_path / "new" / "report.html")
    text = path.read_text(encoding="utf-8")
    assert path.is_absolute()
    assert len(text.encode()) < 2_000_000
    assert "default-src 'none'; script-src 'sha256-" in html.unescape(text)
    assert not re.search(r"(src|href)=.?https?:", text.replace(report_script(), ""))
    assert "<title>Curvature of SmolLM2-135M-Instruct</title>" in text


def test_runs_and_trees_are_accepted(tmp_path):
    run = LiveRun(probes=1, steps=4, seconds=0)
    run.start().join()
    tree = xr.DataTree.from_dict({"a": dataset("a", probes=1, steps=4)})
    assert "density-1" in report(run, tmp_path / "run.html").read_text()
    assert report(tree, str(tmp_path / "tree.html")).exists()


def test_no_run_is_refused(tmp_path):
    with pytest.raises(
        InputError, match=r"there is no run to show; pass a session that has some, runs"
    ):
        report([], tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()


def test_a_path_that_cannot_be_written_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"cannot be written \(.*\); choose another path"):
        report(dataset(probes=1, steps=4), tmp_path)


def test_a_sessions_report_is_of_all_its_runs(session, tmp_path):
    with pytest.raises(InputError, match="there is no run to show; pass a session that has some"):
        report(session, tmp_path / "none.html")
    runs = [session.density(steps=3, probes=1), session.coupling(probes=1)]
    for run in runs:
        run.wait()
    path = report(session, tmp_path / "session.html")
    assert path.read_bytes() == report(session.runs, tmp_path / "runs.html").read_bytes()
    text = re.search(r'id="state">(.*?)</script>', path.read_text(), re.DOTALL).group(1)
    assert [section["id"] for section in json.loads(text)["sections"]] == [run.id for run in runs]
    session.close()
    assert report([session], tmp_path / "closed.html").read_bytes() == path.read_bytes()
