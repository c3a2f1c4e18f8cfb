"""A figure's title says enough to stand alone, and its lines have the room they need."""

import pytest

from helpers.emulated import dataset
from hessview.views.compare import compare
from hessview.views.density import density
from hessview.views.theme import WIDTH, heading


def test_a_figure_tells_model_matrix_and_how_it_was_measured():
    ds = dataset(probes=2, steps=12).assign_attrs(training_step=400, subset='["*attn*"]')
    first, second = density(ds, sigma=0.5).layout.title.subtitle.text.split("<br>")
    assert first == "SmolLM2-135M-Instruct · Hessian · subset *attn* · training step 400"
    assert second == "Stochastic Lanczos quadrature · 2 probes × 12 steps · σ = 0.5"
    whole = density(ds.assign_attrs(subset='["*"]')).layout.title.subtitle.text
    assert "subset" not in whole


def test_names_stay_names_and_long_ones_keep_their_end():
    found = heading("T", {"model": "<b>" + "x" * 90 + "&1"}, "words", body=100)
    text = found["title"]["subtitle"]["text"].split("<br>")[0]
    assert text.startswith("…xxx")
    assert text.endswith("x&amp;1")
    text = heading("T", {"model": "<a href='e'>m</a>"}, "", body=1)["title"]["subtitle"]["text"]
    assert text == "&lt;a href='e'&gt;m&lt;/a&gt;"


@pytest.mark.parametrize("parts", [1, 4, 12])
def test_lines_break_between_parts_and_move_the_figure_down(parts):
    words = " · ".join(["twenty characters or"] * parts)
    found = heading("T", {}, words, body=300, warning="beware " * 20)
    lines = found["title"]["subtitle"]["text"].split("<br>")
    plain = [line for line in lines if not line.startswith("<b")]
    assert " · ".join(plain) == words
    assert max(map(len, plain)) <= WIDTH
    assert len(lines) - len(plain) == 2
    assert found["height"] - found["margin"]["t"] == 300
    assert found["margin"]["t"] >= 40 + 16 * len(lines)


def test_the_legend_lies_below_where_many_runs_do_not_cover_the_title():
    figure = compare([dataset(f"r{n}", probes=1, steps=4) for n in range(12)])
    legend = figure.layout.template.layout.legend
    assert (legend.yref, legend.yanchor, legend.y) == ("container", "bottom", 0)
