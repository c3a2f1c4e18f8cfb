"""Where a run's numbers come from, as rows of a table."""

import json
from collections.abc import Mapping
from typing import Any

import xarray as xr

from hessview.page.wording import number

LABELS = {
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
    "epsilon": "Step ε asked for",
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

NESTED = {
    *("blocks", "mesh", "versions", "subset", "epsilons", "fractions"),
    *("operators", "depths", "runs"),
}
# Part of other rows or of the page's title, or for readers of the dataset only.
HIDDEN = {
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
        Rows in the order of `LABELS`, then the rest by name; empty values are left out.
    """
    hidden = HIDDEN if "tolerance" in ds.attrs else HIDDEN | {"quantity"}
    attrs = {str(key): value for key, value in ds.attrs.items() if key not in hidden}
    names = [name for name in LABELS if name in attrs] + sorted(attrs.keys() - LABELS)
    rows = [[LABELS.get(name, name), _text(name, attrs[name], ds.attrs)] for name in names]
    return [row for row in rows if row[1]]


def _text(name: str, value: Any, attrs: Mapping[Any, Any]) -> str:
    if name == "weight":
        return f"{value:,.0f} {attrs.get('weight_unit', '')}".strip()
    if name in NESTED and isinstance(value, str):
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
