"""Without scripts, training, convergence and comparison are tables of numbers and their errors."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest

from helpers.emulated import dataset
from helpers.trained import eigenvalues, run_of
from hessview.page.state import page_state
from hessview.page.static_html import fallback
from hessview.page.tiles import density_tiles


class Tables(HTMLParser):
    """Cells of the tables of a page, as rows of text, by caption."""

    def __init__(self, text):
        super().__init__()
        self.found, self._rows, self._cell = {}, [], None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag == "table":
            self._rows = []
        if tag == "tr":
            self._rows.append([])
        if tag in ("td", "th", "caption"):
            self._cell = ""

    def handle_data(self, data):
        if self._cell is not None:
            self._cell += data

    def handle_endtag(self, tag):
        if tag == "caption":
            self.found[self._cell] = self._rows
        elif tag in ("td", "th"):
            self._rows[-1].append(self._cell)
        if tag in ("td", "th", "caption"):
            self._cell = None


def tables(runs):
    return Tables(str(fallback(runs, page_state(runs, final=True)))).found


def numbers(cell):
    """Value and error, if there is one."""
    text = cell.replace("\N{MINUS SIGN}", "-").replace(",", "")
    raised = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")
    text = re.sub("×10([⁻⁰-⁹¹²³]+)", lambda power: f"e{power[1].translate(raised)}", text)
    return [float(part) for part in text.split(" ± ")]


def test_a_training_tells_its_extremes_and_trace_at_each_step():
    found = tables([run_of(step) for step in (0, 10, 50)])["Curvature during training"]
    assert found[0] == ["training step", "largest eigenvalue", "smallest eigenvalue", "trace"]
    assert [row[0] for row in found[1:]] == ["0", "10", "50"]
    for row, step in zip(found[1:], (0, 10, 50), strict=True):
        expected = eigenvalues(step)
        for cell, value in zip(row[1:3], expected[[-1, 0]], strict=True):
            got, error = numbers(cell)
            assert got == pytest.approx(value, abs=2 * error)
        trace, spread = numbers(row[3])
        assert trace == pytest.approx(expected.sum(), abs=5 * spread)


def test_steps_of_a_training_that_are_not_measured_are_dashes():
    nothing = run_of(20, stop=1, end="")
    for name in nothing.data_vars:
        nothing[name][:] = np.nan
    found = tables([run_of(0), run_of(10, probes=1), nothing])["Curvature during training"]
    assert found[3] == ["20", "–", "–", "–"]
    assert "±" not in found[2][3]  # 1 probe has no spread


def test_a_density_tells_how_far_its_extremes_have_settled():
    ds = run_of(0, probes=1)
    found = tables([ds])
    (caption,) = [one for one in found if one.startswith("Convergence of the extremes")]
    largest, smallest = density_tiles(ds)[:2]
    assert caption.endswith(
        "Probe 1 · 20 steps · ± residual bound; with the products' errors, "
        f"largest {largest['value']} {largest['note']} and smallest {smallest['value']} "
        f"{smallest['note']}"
    )
    head, *rows = found[caption]
    assert head == ["number", "largest λ", "smallest λ"]
    largest, bound = numbers(rows[0][1])
    assert largest == pytest.approx(eigenvalues(0)[-1], abs=1e-4)
    assert bound < 1e-3
    first = tables([run_of(0, stop=1, end="")])
    (caption,) = [one for one in first if one.startswith("Convergence")]
    assert len(first[caption]) == 2  # one Ritz value, not three


def test_several_densities_are_compared_as_on_the_page():
    runs = [dataset("a"), dataset("b").assign_attrs(operator="gauss_newton", model="<b>&")]
    found = tables(runs)["Spectra over each other"]
    panel = page_state(runs)["comparisons"][0]["panels"][0]
    assert found == [panel["head"], *panel["rows"]]
    assert "<b>&" in found[2][0]
