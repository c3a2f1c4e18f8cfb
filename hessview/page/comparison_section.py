"""The section of a page that lays the spectra of its density runs over each other."""

from collections.abc import Sequence
from typing import Any

import xarray as xr

from hessview.data.comparison import comparison
from hessview.errors import RecordError
from hessview.page.density_panel import density_panel
from hessview.page.plain import plain
from hessview.page.wording import measured, number
from hessview.views import theme
from hessview.views.compare import compare

Json = dict[str, Any]

HEAD = ["run", "distance to the first", "largest eigenvalue", "smallest eigenvalue", "whole probes"]
NEEDED = ("steps", "over", "probes")  # of a density's panel, from which the page draws a curve


def comparison_sections(runs: Sequence[xr.Dataset]) -> list[Json]:
    """The section, if there are two or more density runs and something is measured.

    Args:
        runs: Datasets of runs of any command, half-done ones too.

    Returns:
        One section as of `page.state.page_state`, without record and provenance, or none. Its
        panel holds the figure of `views.compare` without arrays, runs (label, and what a
        density's panel needs to draw its curve), head and rows of a table, and dark (what the
        curves' colours become on a dark ground).
    """
    densities = [ds for ds in runs if ds.attrs.get("command", "density") == "density"]
    if len(densities) < 2:
        return []
    try:
        there, apart = comparison(densities)
        figure = compare(densities)
    except RecordError:  # nothing measured
        return []
    left = int(apart.attrs["left_out"])
    note = f"{left} of them left out: nothing is measured" if left else ""
    subtitle = " · ".join(filter(None, [f"{len(densities)} density runs", note]))
    counts = {"done": len(there), "total": len(densities), "unit": "runs", "left": ""}
    return [
        {
            "id": "",
            "title": "Comparison",
            "subtitle": subtitle,
            "status": {"state": "done", "label": "", "message": "", **counts},
            "tiles": [],
            "panels": [_panel(there, apart, figure)],
            "provenance": [],
        }
    ]


def _panel(there: list[xr.Dataset], apart: xr.Dataset, figure: Any) -> Json:
    made = figure.to_plotly_json()
    arrays = ("x", "y", "customdata")
    layout = {key: value for key, value in made["layout"].items() if key not in ("title", "meta")}
    labels = [str(label) for label in apart.run.values]
    return {
        "kind": "comparison",
        "title": "Spectra over each other",
        "subtitle": "Mean over whole probes of each run, one kernel width for all",
        "message": "",
        "again": None,
        "figure": {
            "data": [
                {key: value for key, value in trace.items() if key not in arrays}
                for trace in made["data"]
            ],
            "layout": plain(layout),
        },
        "dark": dict(zip(theme.SERIES, theme.DARK_SERIES, strict=True)),
        "runs": [
            {"label": label} | {key: panel[key] for key in NEEDED}
            for label, ds in zip(labels, there, strict=True)
            for panel in [density_panel(ds)]
        ],
        "head": HEAD,
        "rows": [_row(label, apart.isel(run=place)) for place, label in enumerate(labels)],
    }


def _row(label: str, one: xr.Dataset) -> list[str]:
    distance, spread = measured(float(one.distance), float(one.spread))
    apart = number(float(one.distance), 2) if not spread else f"{distance} {spread}"
    extremes = [
        " ".join(measured(float(one[name]), float(one[f"{name}_uncertainty"]))).strip()
        for name in ("largest", "smallest")
    ]
    return [label, apart, *extremes, str(int(one.whole))]
