"""The section of a page that lays the spectra of its density runs over each other."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
import xarray as xr

from hessview.data.comparison import comparison
from hessview.data.ritz import ritz, say_copies
from hessview.errors import RecordError
from hessview.page.coefficients import coefficients
from hessview.page.plain import plain
from hessview.page.wording import measured, number
from hessview.views import theme
from hessview.views.compare import bare, ends, say_mixed

Json = dict[str, Any]

HEAD = [
    "run",
    "distance to the reference",
    "largest eigenvalue",
    "smallest eigenvalue",
    "whole probes",
    "its matrix",
]


def comparison_sections(
    runs: Sequence[xr.Dataset], *, places: Mapping[int, int] | None = None
) -> list[Json]:
    """The section, if there are two or more density runs and something is measured.

    Args:
        runs: Datasets of runs of any command, half-done ones too.
        places: Where on the page the section of each of them stands, by the identity (`id`) of
            the dataset; None if their sections are not there.

    Returns:
        One section as of `page.state.page_state`, without record and provenance, or none. Its
        panel holds the figure of `views.compare` without arrays, runs (label, and the place of
        the section whose first panel holds its coefficients, or else the coefficients), head and
        rows of a table, and dark (what the curves' colours become on a dark ground).
    """
    densities = [ds for ds in runs if ds.attrs.get("command", "density") == "density"]
    if len(densities) < 2:
        return []
    try:
        there, apart = comparison(densities)
    except RecordError:  # nothing measured
        return []
    left = int(apart.attrs["left_out"])
    note = f"{left} of them left out: nothing is measured" if left else ""
    parts = [f"{len(densities)} density runs", note, say_mixed(apart)]
    subtitle = " · ".join(filter(None, parts))
    counts = {"done": len(there), "total": len(densities), "unit": "runs", "left": ""}
    return [
        {
            "id": "",
            "title": "Comparison",
            "subtitle": subtitle,
            "status": {"state": "done", "label": "", "message": "", **counts},
            "tiles": [],
            "panels": [_panel(there, apart, places)],
            "provenance": [],
        }
    ]


def _panel(there: list[xr.Dataset], apart: xr.Dataset, places: Mapping[int, int] | None) -> Json:
    figure = bare(apart)
    # The page writes title and legend as text, which needs no room within the figure.
    written = ("title", "margin", "height")
    layout = {key: one for key, one in figure["layout"].items() if key not in written}
    labels = [str(label) for label in apart.run.values]
    return {
        "kind": "comparison",
        "title": "Spectra over each other",
        "subtitle": "Mean over whole probes of each run, drawn as far as its eigenvalues reach; "
        "one kernel width for all but runs of too few steps for it",
        "message": "",
        "again": None,
        "figure": {"data": figure["data"], "layout": plain(go.Layout(layout).to_plotly_json())},
        "dark": dict(zip(theme.SERIES, theme.DARK_SERIES, strict=True)),
        "runs": [
            {
                "label": label,
                "coarse": bool(apart.coarse[place]),
                "ends": ends(apart.isel(run=place), ritz(ds)),
                **(coefficients(ds) if places is None else {"at": places[id(ds)]}),
            }
            for place, (label, ds) in enumerate(zip(labels, there, strict=True))
        ],
        "head": HEAD,
        "rows": [
            _row(label, apart.isel(run=place), str(apart.attrs["reference"]))
            for place, label in enumerate(labels)
        ],
    }


def _row(label: str, one: xr.Dataset, reference: str) -> list[str]:
    extremes = [
        " ".join(measured(float(one[name]), float(one[f"{name}_uncertainty"]))).strip()
        for name in ("largest", "smallest")
    ]
    own = "the reference" if reference == label else "the same"
    words = f"differs in {one.matrix.item()}" if one.matrix.item() else own
    if one.coarse:
        words += "; too few steps for the others' kernel width"
    words = "; ".join(filter(None, [words, say_copies(int(one.copies))]))
    return [label, _distance(one, reference == label), *extremes, str(int(one.whole)), words]


def _distance(one: xr.Dataset, is_reference: bool) -> str:
    if is_reference:
        return "0"
    text = number(float(one.distance), 2)
    if not np.isfinite(one.distance_high):
        return text
    low, high = (number(float(one[f"distance_{end}"]), 2) for end in ("low", "high"))
    return f"{text} ({low} – {high})"
