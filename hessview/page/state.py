"""What a page shows, as one JSON-safe value: the widget, the report and tests read the same."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
import xarray as xr

from hessview.data.summary import ritz
from hessview.errors import RecordError
from hessview.messages import ENDED
from hessview.page.provenance import provenance
from hessview.page.status import status
from hessview.page.tiles import tiles
from hessview.page.wording import count, number
from hessview.views import broadening, theme
from hessview.views.density import density, describe, whole_and_partial

Json = dict[str, Any]

PRECISION = 10  # significant digits that cross to the page; it must agree with numpy to 1e-6


def page_state(runs: Sequence[xr.Dataset], *, final: bool = False) -> Json:
    """The state of a page over some runs.

    Args:
        runs: Datasets, as `data.collect` folds them; half-done ones too.
        final: Whether the page stays as it is: it then holds every reading, for downloads, and
            promises nothing of a run that was under way.

    Returns:
        A dict of JSON values (NaN is None):
        title: Name of the model.
        theme: The two palettes and the font.
        sections: One per run: id, title, subtitle, status (state, label, message, done, total,
            left), tiles, panels, provenance, and record if final. A panel has a kind, by
            which `view.js` knows how to draw it, a title, a subtitle, a message where there is
            nothing to draw, a bare figure, and the numbers from which its curves are computed.
    """
    titles = [str(ds.attrs.get("model", "hessview")) for ds in runs]
    return {
        "title": ", ".join(dict.fromkeys(titles)),
        "theme": {"light": theme.LIGHT, "dark": theme.DARK, "font": theme.FONT},
        "sections": [_section(ds, final=final, alone=len(runs) == 1) for ds in runs],
    }


def _section(ds: xr.Dataset, *, final: bool, alone: bool) -> Json:
    command = str(ds.attrs.get("command", "density"))
    run = str(ds.attrs.get("run", ""))
    section: Json = {
        "id": run,
        "title": str(ds.attrs.get("model", "hessview")),
        "subtitle": _subtitle(ds) + (f" · run {run}" if run and not alone else ""),
        "status": status(ds, final=final),
        "tiles": tiles(ds) if command == "density" else [],
        "panels": [PANELS[command](ds)] if command in PANELS else [],
        "provenance": provenance(ds),
    }
    if final:
        section["record"] = _record(ds)
    return section


def _subtitle(ds: xr.Dataset) -> str:
    """Parameters, ranks, precision, data and loss: what the numbers are about."""
    attrs = ds.attrs
    parts = []
    if "parameters" in attrs:
        parts.append(f"{count(attrs['parameters'])} parameters")
    if "world_size" in attrs:
        parts.append(f"{attrs['world_size']} rank{'s' * (attrs['world_size'] != 1)}")
    if "dtype" in attrs:
        compute = attrs.get("compute_dtype", attrs["dtype"])
        mixed = f", computing in {compute}" if compute != attrs["dtype"] else ""
        parts.append(f"{attrs['dtype']}{mixed}")
    if "weight" in attrs:
        parts.append(f"{count(attrs['weight'])} {attrs.get('weight_unit', 'terms')}")
    if "loss" in attrs:
        parts.append(f"loss {number(attrs['loss'], 4)}")
    return " · ".join(parts)


def _density_panel(ds: xr.Dataset) -> Json:
    panel: Json = {"kind": "density", "title": "Spectral density", "subtitle": "", "message": ""}
    try:
        found = ritz(ds)
    except RecordError:
        ended = ds.attrs.get("state") in ENDED
        panel["message"] = (
            "The run ended before its first Lanczos step."
            if ended
            else "No Lanczos step is measured yet."
        )
        return panel
    node, weight = found.node.values, found.weight.values
    whole, partial = whole_and_partial(found)
    steps = found.sizes["node"]
    axes = [broadening.axis(name, node) for name in broadening.AXES]
    return panel | {
        "subtitle": describe(found),
        "figure": _bare(density(ds)),
        "scale": _plain(axes[0].scale),
        "sigma": {on.name: _plain(broadening.default_sigma(on, node, steps)) for on in axes},
        "probes": [
            {"whole": probe in whole, "nodes": nodes, "weights": weights}
            for probe in whole + partial
            for there in [np.isfinite(node[probe])]
            for nodes, weights in [(_plain(node[probe][there]), _plain(weight[probe][there]))]
        ],
    }


PANELS: dict[str, Callable[[xr.Dataset], Json]] = {"density": _density_panel}
"""How each command's dataset becomes a panel."""


def _bare(figure: go.Figure) -> Json:
    """The figure without the arrays that the page computes; what its markers stand for stays."""
    plain = figure.to_plotly_json()
    traces = []
    for trace, made in zip(figure.data, plain["data"], strict=True):
        bare = {key: value for key, value in made.items() if key not in ("x", "y", "customdata")}
        if trace.mode == "markers":
            bare["customdata"] = _plain(trace.customdata)
        traces.append(bare)
    layout = {key: value for key, value in plain["layout"].items() if key != "title"}
    return {"data": traces, "layout": _plain(layout)}


def _record(ds: xr.Dataset) -> Json:
    """Every reading as a row, in full precision, with the provenance."""
    names = [str(name) for name in ds.data_vars]
    dims = [str(dim) for dim in ds[names[0]].dims]
    columns = [ds[name].broadcast_like(ds[names[0]]).values.ravel() for name in dims + names]
    measured = np.isfinite(np.array(columns[len(dims) :], dtype=float)).any(axis=0)
    rows = zip(*(column[measured].tolist() for column in columns), strict=True)
    return {
        "columns": dims + names,
        "rows": [[None if _missing(cell) else cell for cell in row] for row in rows],
        "attrs": {str(key): None if _missing(value) else value for key, value in ds.attrs.items()},
    }


def _missing(value: object) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


def _plain(value: Any) -> Any:
    """Arrays as lists and numbers rounded to `PRECISION`, whatever they are nested in."""
    if isinstance(value, np.ndarray):
        return [_plain(entry) for entry in value.tolist()]
    if isinstance(value, float | np.floating):
        return float(f"{value:.{PRECISION}g}") if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return value
