"""What the page needs to draw a coupling, and any row of it, in either unit and on either scale."""

from typing import Any

import numpy as np
import plotly.graph_objects as go
import xarray as xr

from hessview.data.coupling import coupling_summary
from hessview.page.plain import plain
from hessview.views.coupling import coupling
from hessview.views.coupling_row import COLOURS, row_error
from hessview.views.coupling_scale import SCALES, shown

Json = dict[str, Any]

_ARRAYS = ("frobenius", "frobenius_spread", "frobenius_noise", "coefficient_spread")


def coupling_panel(ds: xr.Dataset) -> Json:
    """The numbers of all pairs of blocks, and the figures without what is made of these.

    Args:
        ds: Dataset of a coupling run, also a half-done one.

    Returns:
        A dict of JSON values: subtitle, warning, blocks (their names), matrix (norms, their
        spread and noise, the spread of coefficients, each as rows), words (the verdicts) and
        verdict (of each cell, its place among the words), views (by "normalised log" and so on:
        zmin, zmax and colorbar of the matrix, axis of a row), figure (the matrix, without the
        arrays that the page makes), row (a row's figure, likewise), and errors (of each block,
        what is said beside its row).

    Raises:
        RecordError: Not a coupling, or nothing measured yet.
    """
    found = coupling_summary(ds)
    figure = coupling(ds)
    names = [str(name) for name in found.block.values]
    words = list(COLOURS)
    return {
        "subtitle": "coefficient: norm of a block over the geometric mean of those of its two "
        "diagonal blocks",
        "warning": figure.layout.meta["warning"],
        "blocks": names,
        "matrix": {name: _compact(found[name].values) for name in _ARRAYS},
        "words": words,
        "verdict": [[words.index(word) for word in line] for line in found.verdict_of_cell.values],
        "views": {
            f"{unit} {scale}": _view(found, normalised=unit == "normalised", scale=scale)
            for unit in ("normalised", "raw")
            for scale in SCALES
        },
        "figure": _bare(figure, {"matrix": ("z", "customdata")}),
        "row": _bare(coupling(ds, row=names[0]), {"row": ("y", "customdata")}),
        "errors": row_error(found),
    }


def _view(found: xr.Dataset, *, normalised: bool, scale: str) -> Json:
    on = shown(found, normalised=normalised, scale=scale)
    ends = dict(zip(("zmin", "zmax"), on.ends, strict=True))
    made: Json = plain({**ends, "colorbar": on.colour_bar, "axis": on.axis})
    return made


def _compact(values: Any) -> Any:
    """Rows of numbers in 7 digits: of hundreds of blocks there are many."""
    return [[float(f"{x:.7g}") if np.isfinite(x) else None for x in line] for line in values]


def _bare(figure: go.Figure, left_out: dict[str, tuple[str, ...]]) -> Json:
    """A figure without title, and without some arrays of the traces of a role."""
    traces = []
    for trace in figure.data:
        without = left_out.get(trace.meta["role"], ())
        traces.append({key: value for key, value in trace._props.items() if key not in without})
    layout = figure.layout.to_plotly_json()
    kept = {key: value for key, value in layout.items() if key not in ("title", "meta")}
    return {"data": plain(traces), "layout": plain(kept)}
