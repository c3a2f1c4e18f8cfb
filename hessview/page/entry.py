"""A run as a line of the dashboard's list."""

import datetime
import json
from collections.abc import Sequence
from typing import Any

import xarray as xr

from hessview.counted import counted
from hessview.data.unite import unite
from hessview.page.status import status
from hessview.page.wording import number

Json = dict[str, Any]

KINDS = {
    "density": "Density",
    "accuracy": "Accuracy",
    "epsilon_sweep": "Sweep",
    "fraction_sweep": "Sweep",
    "coupling": "Coupling",
    "benchmark": "Benchmark",
}
"""Kinds of runs in the order in which they are listed, by command; others come last."""


def entry(group: Sequence[xr.Dataset]) -> Json:
    """What tells a run from the others of its kind.

    Args:
        group: Dataset of the run, or of several that measured the same thing at other steps
            (`data.siblings`).

    Returns:
        A dict of plain text: kind, place (of the kind among kinds), label (how much was asked
        for), detail (of what, and when), and status as in the run's section.
    """
    ds = unite(group)
    command = str(ds.attrs.get("command", "density"))
    kind = KINDS.get(command, command.replace("_", " ").capitalize())
    kinds = list(dict.fromkeys(KINDS.values()))
    return {
        "kind": kind,
        "place": kinds.index(kind) if kind in kinds else len(kinds),
        "label": _label(command, ds),
        "detail": " · ".join(filter(None, details(ds))),
        "status": status(ds, parts=group),
    }


def _label(command: str, ds: xr.Dataset) -> str:
    """Sizes of what was asked for."""
    sizes = ds.sizes
    probes = counted(sizes.get("probe", 1), "probe")
    lanczos = f"{counted(sizes.get('step', 0), 'step')} × {probes}"
    match command:
        case "density":
            return lanczos
        case "accuracy":
            return f"{sizes['epsilon']} ε in {counted(sizes['direction'], 'direction')}"
        case "epsilon_sweep":
            return f"{sizes['epsilon']} ε, {lanczos}"
        case "fraction_sweep":
            return f"{counted(sizes['fraction'], 'part')} of the data, {lanczos}"
        case "coupling":
            return f"{counted(sizes['block'], 'block')}, {probes}"
        case "benchmark":
            return counted(sizes["repetition"], "repetition")
    return ", ".join(counted(size, str(dim)) for dim, size in sizes.items())


def details(ds: xr.Dataset) -> list[str]:
    """Of what and when a run is, as far as its attrs say; some may be ""."""
    attrs = ds.attrs
    found = []
    if (operator := str(attrs.get("operator", "hessian"))) != "hessian":
        found.append(operator.replace("_", " "))
    patterns = json.loads(attrs.get("subset", '["*"]'))
    if patterns != ["*"]:
        found.append("only " + ", ".join(patterns))
    epsilon = attrs.get("epsilon", "auto")
    if isinstance(epsilon, float | int) and "epsilon" not in ds.dims:
        found.append(f"ε {number(float(epsilon), 2)}")
    if "training_step" in attrs:
        found.append(f"training step {attrs['training_step']:,}")
    if "started" in attrs:
        moment = datetime.datetime.fromisoformat(str(attrs["started"])).astimezone()
        found.append(f"{moment:%Y-%m-%d %H:%M:%S}")
    return [*found, str(attrs.get("run", ""))]
