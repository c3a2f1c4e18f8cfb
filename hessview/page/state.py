"""What a page shows of runs and of what made them, as one JSON-safe value that all shells read."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, cast

import xarray as xr

from hessview.analysis.grouping import siblings, unite
from hessview.analysis.training import trainings
from hessview.page.contract import Page, Readings, Section
from hessview.page.looks import look_of
from hessview.page.looks import panels as panels_of
from hessview.page.panel_contract import Panel
from hessview.page.sections import comparison_sections, training_section
from hessview.page.status import status
from hessview.views import theme
from hessview.wording import count, counted, number

_LABELS = {
    "model": "Model",
    "revision": "Revision",
    "parameters": "Parameters",
    "blocks": "Blocks",
    "operator": "Operator",
    "about_operator": "What it is",
    "subset": "Parameters taken",
    "loss": "Loss",
    "gradient_norm": "Gradient norm",
    "training_step": "Training step",
    "weight": "Data",
    "batches": "Batches",
    "digest": "Digest of the batches",
    "world_size": "Ranks",
    "mesh": "Device mesh",
    "device": "Device",
    "dtype": "Parameters' dtype",
    "compute_dtype": "Computing dtype",
    "steps": "Lanczos steps",
    "probes": "Probes",
    "tolerance": "Tolerance",
    "quantity": "Quantity within tolerance",
    "seed": "Seed of the probes",
    "job_seed": "Seed of model and data",
    "epsilon": "ε asked for",
    "epsilon_convention": "Meaning of ε",
    "epsilons": "Steps ε asked for",
    "fractions": "Parts of the data",
    "top": "Top eigenvector too",
    "reference": "Reference asked for",
    "operators": "Operators timed",
    "depths": "Lanczos steps timed",
    "tau": "Gradient change ρ to start from, τ",
    "reorthogonalize": "Reorthogonalisation",
    "error_every": "Steps between error estimates",
    "run": "Run",
    "runs": "Runs joined",
    "job": "Job",
    "started": "Started",
    "host": "Host",
    "state": "State",
    "error": "Ended with",
    "note": "Note",
    "versions": "Versions",
    "hessview_version": "Read with hessview",
}
"""Order and wording of what is known to a record; attributes without a label come last."""

_NESTED = {
    *("blocks", "mesh", "versions", "subset", "epsilons", "fractions"),
    *("operators", "depths", "runs"),
}
# Part of other rows or of the page's title, or for readers of the dataset only.
_HIDDEN = {
    "weight_unit",
    "command",
    "asked",
    "readings_asked",
    "fingerprints",
    "fingerprints_count_in",
}


def provenance(ds: xr.Dataset) -> list[list[str]]:
    """Rows (name, value) of plain text for what the dataset's attrs hold.

    Args:
        ds: Dataset of a run.

    Returns:
        Rows in the order of `_LABELS`, then the rest by name; empty values are left out.
    """
    hidden = _HIDDEN if "tolerance" in ds.attrs else _HIDDEN | {"quantity"}
    attrs = {str(key): value for key, value in ds.attrs.items() if key not in hidden}
    names = [name for name in _LABELS if name in attrs] + sorted(attrs.keys() - _LABELS)
    rows = [[_LABELS.get(name, name), _text(name, attrs[name], ds.attrs)] for name in names]
    return [row for row in rows if row[1]]


def _text(name: str, value: Any, attrs: Mapping[Any, Any]) -> str:
    if name == "weight":
        return f"{value:,.0f} {attrs.get('weight_unit', '')}".strip()
    if name in _NESTED and isinstance(value, str):
        return _nested(name, value)
    if name == "top":
        return "yes" if value else "no"
    if isinstance(value, int) and "seed" not in name:
        return f"{value:,}"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _entry(value: Any) -> str:
    return number(value) if isinstance(value, float) else str(value)


def _nested(name: str, value: str) -> str:
    """Mappings and lists are kept as JSON strings; what cannot be read stays as it is."""
    try:
        entries = json.loads(value)
    except ValueError:
        return value
    if isinstance(entries, list):
        return "all" if entries == ["*"] else ", ".join(map(_entry, entries))
    if not isinstance(entries, dict):
        return value
    if name == "blocks":
        return f"{len(entries)}"
    return ", ".join(f"{key} {entry}" for key, entry in entries.items())


def page_state(
    runs: Sequence[xr.Dataset],
    *,
    among: Sequence[xr.Dataset] = (),
    final: bool = False,
    panels: bool = True,
) -> Page:
    """The state of a page over some runs.

    Args:
        runs: Datasets, as `record.collect` folds them; half-done ones too.
        among: Other runs, that are not shown but may have what a shown one refers to, such as
            spectra at the epsilons of which it tells the accuracy.
        final: Whether the page stays as it is: it then holds every reading, for downloads, and
            promises nothing of a run that was under way.
        panels: Whether it draws; a card does not.

    Returns:
        JSON values: sections of runs (or of several that measured the same thing at other epsilons,
        see `analysis.grouping`) with their panels (`page.looks`), and above them sections of
        trainings and a comparison (`page.sections`).
    """
    groups = siblings(runs)
    followed = trainings(runs) if panels else []
    # Spectra of a training stand in its own section, over the training step.
    members = {id(ds) for group in followed for ds in group}
    others = [ds for ds in runs if id(ds) not in members]
    places = {id(ds): index for index, group in enumerate(groups) for ds in group}
    titles = [str(ds.attrs.get("model", "hessview")) for ds in runs]
    return {
        "title": ", ".join(dict.fromkeys(titles)),
        "theme": {"light": theme.LIGHT, "dark": theme.DARK, "font": theme.FONT},
        "sections": [
            _section(group, [*runs, *among], final=final, panels=panels, alone=len(groups) == 1)
            for group in groups
        ],
        "trainings": [training_section(group) for group in followed],
        "comparisons": comparison_sections(others, places=places) if panels else [],
    }


def _section(
    group: Sequence[xr.Dataset],
    runs: Sequence[xr.Dataset],
    *,
    final: bool,
    panels: bool,
    alone: bool,
) -> Section:
    ds = unite(group)
    look = look_of(ds)
    run = str(ds.attrs.get("run", ""))
    section: Section = {
        "id": run,
        "title": str(ds.attrs.get("model", "hessview")),
        "subtitle": _subtitle(ds) + (f" · run {run}" if run and not alone else ""),
        "status": status(ds, parts=group, final=final),
        "tiles": look.tiles(ds),
        "panels": panels_of(ds) if panels else [],
        "provenance": provenance(ds),
    }
    if panels and look.beside is not None and not section["panels"][0]["message"]:
        more = look.beside(ds, runs) or {}
        section["panels"][0] = cast(Panel, {**section["panels"][0], **more})
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
        parts.append(counted(attrs["world_size"], "rank"))
    if "dtype" in attrs:
        compute = attrs.get("compute_dtype", attrs["dtype"])
        mixed = f", computing in {compute}" if compute != attrs["dtype"] else ""
        parts.append(f"{attrs['dtype']}{mixed}")
    if "weight" in attrs:
        parts.append(f"{count(attrs['weight'])} {attrs.get('weight_unit', 'terms')}")
    if "loss" in attrs:
        parts.append(f"loss {number(attrs['loss'], 4)}")
    return " · ".join(parts)


def _record(ds: xr.Dataset) -> Readings:
    """Every reading in full precision, with its place along the dims, and the provenance."""
    return {
        "coords": {str(dim): ds[dim].values.tolist() for dim in ds.dims},
        "variables": {
            str(name): {
                "dims": [str(dim) for dim in ds[name].dims],
                "values": [
                    None if _missing(cell) else cell for cell in ds[name].values.ravel().tolist()
                ],
            }
            for name in ds.data_vars
        },
        "attrs": {str(key): None if _missing(value) else value for key, value in ds.attrs.items()},
    }


def _missing(value: object) -> bool:
    return isinstance(value, float) and not math.isfinite(value)
