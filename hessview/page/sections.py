"""Sections that tell of several runs: spectra over each other, and a whole training."""

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr

from hessview.analysis.compare import comparison
from hessview.analysis.ritz import ritz, say_copies
from hessview.analysis.training import each_run, history
from hessview.analysis.training import join_training as join
from hessview.errors import RecordError
from hessview.page.contract import Section, Status, Tile
from hessview.page.live import DETACHED
from hessview.page.panel_contract import (
    ComparedRun,
    ComparisonPanel,
    DensityBody,
    NoSpectrum,
    SpectrumOfRun,
    TrainingPanel,
)
from hessview.page.panels import coefficients, density_panel, without_figure
from hessview.page.tiles import missing, tile
from hessview.page.wire import plain
from hessview.record.commands import Density
from hessview.record.events import ENDED
from hessview.record.measurements import command_in
from hessview.views import theme
from hessview.views.compare import ends, say_mixed
from hessview.views.compare import recipe as comparison_recipe
from hessview.views.training import Spectrum, describe, spectra
from hessview.views.training import recipe as training_recipe
from hessview.wording import measured, number

_HEAD = [
    "run",
    "distance to the reference",
    "largest eigenvalue",
    "smallest eigenvalue",
    "whole probes",
    "its matrix",
]


def comparison_sections(
    runs: Sequence[xr.Dataset], *, places: Mapping[int, int] | None = None
) -> list[Section]:
    """The section, if there are two or more density runs and something is measured.

    Args:
        runs: Datasets of runs of any command, half-done ones too.
        places: Where on the page the section of each of them stands, by the identity (`id`) of
            the dataset; None if their sections are not there.

    Returns:
        One section, without record and provenance, or none.
    """
    densities = [ds for ds in runs if command_in(ds.attrs) == Density.name]
    if len(densities) < 2:
        return []
    try:
        measured_runs, differences = comparison(densities)
    except RecordError:  # nothing measured
        return []
    left = int(differences.attrs["left_out"])
    note = f"{left} of them left out: nothing is measured" if left else ""
    parts = [f"{len(densities)} density runs", note, say_mixed(differences)]
    subtitle = " · ".join(filter(None, parts))
    status: Status = {
        "state": "done",
        "label": "",
        "message": "",
        "done": len(measured_runs),
        "total": len(densities),
        "unit": "runs",
        "left": "",
    }
    return [
        {
            "id": "",
            "title": "Comparison",
            "subtitle": subtitle,
            "status": status,
            "tiles": [],
            "panels": [_comparison_panel(measured_runs, differences, places)],
            "provenance": [],
        }
    ]


def _comparison_panel(
    measured_runs: list[xr.Dataset], differences: xr.Dataset, places: Mapping[int, int] | None
) -> ComparisonPanel:
    figure = comparison_recipe(differences)
    # The page writes title and legend as text, which needs no room within the figure.
    written = ("title", "margin", "height")
    layout = {key: value for key, value in figure["layout"].items() if key not in written}
    labels = [str(label) for label in differences.run.values]
    return {
        "kind": "comparison",
        "title": "Spectra over each other",
        "subtitle": "Mean over whole probes of each run, drawn as far as its eigenvalues reach; "
        "one kernel width for all but runs of too few steps for it",
        "message": "",
        "again": None,
        "figure": plain({"data": figure["data"], "layout": layout}),
        "dark": dict(zip(theme.SERIES, theme.DARK_SERIES, strict=True)),
        "runs": [
            _compared(ds, differences.isel(run=index), None if places is None else places[id(ds)])
            for index, ds in enumerate(measured_runs)
        ],
        "head": _HEAD,
        "rows": [
            _row(label, differences.isel(run=index), str(differences.attrs["reference"]))
            for index, label in enumerate(labels)
        ],
    }


def _compared(ds: xr.Dataset, row: xr.Dataset, index: int | None) -> ComparedRun:
    entry: ComparedRun = {
        "label": str(row.run.item()),
        "coarse": bool(row.coarse),
        "ends": list(ends(row, ritz(ds))),
    }
    if index is None:
        return {**entry, **coefficients(ds)}
    return {**entry, "at": index}


def _row(label: str, row: xr.Dataset, reference: str) -> list[str]:
    extremes = [
        " ".join(measured(float(row[name]), float(row[f"{name}_uncertainty"]))).strip()
        for name in ("largest", "smallest")
    ]
    own = "the reference" if reference == label else "the same"
    words = f"differs in {row.matrix.item()}" if row.matrix.item() else own
    if row.coarse:
        words += "; too few steps for the others' kernel width"
    words = "; ".join(filter(None, [words, say_copies(int(row.copies))]))
    return [label, _distance(row, reference == label), *extremes, str(int(row.whole)), words]


def _distance(row: xr.Dataset, is_reference: bool) -> str:
    if is_reference:
        return "0"
    text = number(float(row.distance), 2)
    if not np.isfinite(row.distance_high):
        return text
    low, high = (number(float(row[f"distance_{end}"]), 2) for end in ("low", "high"))
    return f"{text} ({low} – {high})"


_LABELS = {"largest": "Largest eigenvalue", "smallest": "Smallest eigenvalue", "trace": "Trace"}


def training_section(runs: Sequence[xr.Dataset]) -> Section:
    """The section of a training of which there are densities at two or more training steps.

    Args:
        runs: Datasets of its density runs, half-done ones too, as `analysis.training` groups them.

    Returns:
        A section without record and provenance, which stand with the runs.

    Raises:
        RecordError: No run carries a training step, or no probe is whole yet.
    """
    ds = join(runs)
    nodes_and_weights = spectra(ds)
    training_steps = ds.training_step.values.tolist()
    measured_count = sum(spectrum is not None for spectrum in nodes_and_weights)
    states = set(ds.state.values)
    state = str(ds.attrs["state"])
    if DETACHED in states and states <= ENDED | {DETACHED}:
        state = DETACHED
    status: Status = {
        "state": state,
        "label": {"running": "streaming"}.get(state, state),
        "message": "",
        "done": measured_count,
        "total": len(training_steps),
        "unit": "training steps",
        "left": "",
    }
    return {
        "id": "",
        "title": f"{ds.attrs.get('model', 'hessview')}, in training",
        "subtitle": f"{len(training_steps)} training steps, {training_steps[0]} to "
        f"{training_steps[-1]}",
        "status": status,
        "tiles": _tiles(ds),
        "panels": [_training_panel(ds, nodes_and_weights)],
        "provenance": [],
    }


def _training_panel(ds: xr.Dataset, nodes_and_weights: list[Spectrum | None]) -> TrainingPanel:
    bodies = [_density(run) for run in each_run(ds)]
    shared = next(body["figure"] for body in bodies if body is not None)
    return {
        "kind": "training",
        "title": "Curvature during training",
        "subtitle": describe(ds, nodes_and_weights),
        "message": "",
        "again": None,
        "figure": plain(training_recipe(ds)),
        "steps": ds.training_step.values.tolist(),
        "density": {"figure": shared},
        "spectra": [_spectrum(body) for body in bodies],
    }


def _density(run: xr.Dataset) -> DensityBody | None:
    try:
        return density_panel(run)
    except RecordError:
        return None


def _spectrum(body: DensityBody | None) -> SpectrumOfRun | NoSpectrum:
    if body is None:
        return {"message": "Nothing is measured at this training step yet.", "subtitle": ""}
    return {"message": "", **without_figure(body)}


def _tiles(ds: xr.Dataset) -> list[Tile]:
    """Extremes and trace at the last training step at which they are known, and at the first."""
    quantities = history(ds)
    tiles = []
    for name, label in _LABELS.items():
        quantity = quantities.sel(quantity=name)
        indices = np.flatnonzero(np.isfinite(quantity.value.values))
        if not len(indices):
            tiles.append(missing(label))
            continue
        first, last = (
            quantity.isel(training_step=int(indices[0])),
            quantity.isel(training_step=int(indices[-1])),
        )
        value, note = measured(float(last.value), float(last.uncertainty))
        before, _ = measured(float(first.value), float(first.uncertainty))
        when = (
            f"at training step {int(last.training_step)}; {before} at training step "
            f"{int(first.training_step)}"
        )
        if str(quantity.basis.values[-1]).startswith("withheld"):
            when += "; withheld since, as products are no derivatives"
        tiles.append(tile(label, value, f"{note} {when}".strip(), str(last.basis.item())))
    return tiles
