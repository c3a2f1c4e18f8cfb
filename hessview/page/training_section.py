"""The section of a page that tells of a whole training: spectra at two or more of its steps."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from hessview.data.training import each_run, history
from hessview.data.training import training as join
from hessview.errors import RecordError
from hessview.messages import ENDED
from hessview.page.density_panel import density_panel
from hessview.page.plain import plain
from hessview.page.runs import DETACHED
from hessview.page.tiles.tile import Tile, missing, tile
from hessview.page.wording import measured
from hessview.views.training import describe, training
from hessview.views.training_spectra import spectra

Json = dict[str, Any]

LABELS = {"largest": "Largest eigenvalue", "smallest": "Smallest eigenvalue", "trace": "Trace"}
COMPUTED = ("y", "z", "customdata")  # of the heatmap, in the page


def training_section(runs: Sequence[xr.Dataset]) -> Json:
    """The section of a training of which there are densities at two or more steps.

    Args:
        runs: Datasets of its density runs, half-done ones too, as `data.trainings` groups them.

    Returns:
        A section as of `page.state.page_state`, but without record and provenance, which stand
        with the runs. The panel holds the figure of `views.training` without what the page
        computes, steps (of the training, ascending), density (what all spectra have in
        common), and spectra (at each step, the rest of a density's panel, or a message).

    Raises:
        RecordError: No run carries a training step, or no probe is whole yet.
    """
    ds = join(runs)
    figure = training(ds)
    steps = ds.training_step.values.tolist()
    there = int(np.isfinite(np.asarray(figure.data[0].z, dtype=float)).any(axis=0).sum())
    states = set(ds.state.values)
    state = str(ds.attrs["state"])
    if DETACHED in states and states <= ENDED | {DETACHED}:
        state = DETACHED
    status = {"state": state, "label": {"running": "streaming"}.get(state, state), "message": ""}
    counts = {"done": there, "total": len(steps), "unit": "training steps", "left": ""}
    return {
        "id": "",
        "title": f"{ds.attrs.get('model', 'hessview')}, in training",
        "subtitle": f"{len(steps)} training steps, {steps[0]} to {steps[-1]}",
        "status": {**status, **counts},
        "tiles": _tiles(ds),
        "panels": [_panel(ds, figure)],
        "provenance": [],
    }


def _panel(ds: xr.Dataset, figure: Any) -> Json:
    below = [_spectrum(run) for run in each_run(ds)]
    traces = [
        {key: value for key, value in trace._props.items() if key not in COMPUTED}
        if trace.type == "heatmap"
        else trace._props
        for trace in figure.data
    ]
    layout = figure.layout.to_plotly_json()
    shared = next(one["figure"] for one in below if "figure" in one)
    return {
        "kind": "training",
        "title": "Curvature during training",
        "subtitle": describe(ds, spectra(ds)),
        "message": "",
        "again": None,
        "figure": {
            "data": plain(traces),
            "layout": plain({k: v for k, v in layout.items() if k not in ("title", "meta")}),
        },
        "steps": ds.training_step.values.tolist(),
        "density": {"figure": shared},
        "spectra": [{k: v for k, v in one.items() if k != "figure"} for one in below],
    }


def _spectrum(run: xr.Dataset) -> Json:
    try:
        return {"message": "", **density_panel(run)}
    except RecordError:
        return {"message": "Nothing is measured at this training step yet.", "subtitle": ""}


def _tiles(ds: xr.Dataset) -> list[Tile]:
    """Extremes and trace at the last step at which they are known, and at the first."""
    found = history(ds)
    made = []
    for name, label in LABELS.items():
        one = found.sel(quantity=name)
        known = np.flatnonzero(np.isfinite(one.value.values))
        if not len(known):
            made.append(missing(label))
            continue
        first, last = one.isel(training_step=int(known[0])), one.isel(training_step=int(known[-1]))
        value, note = measured(float(last.value), float(last.uncertainty))
        before, _ = measured(float(first.value), float(first.uncertainty))
        at = f"at step {int(last.training_step)}; {before} at step {int(first.training_step)}"
        if str(one.basis.values[-1]).startswith("withheld"):
            at += "; withheld since, as products are no derivatives"
        made.append(tile(label, value, f"{note} {at}".strip(), str(last.basis.item())))
    return made
