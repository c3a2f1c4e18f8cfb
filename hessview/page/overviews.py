"""What a dashboard lists besides runs: what several density runs tell together."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import xarray as xr

from hessview.data.comparison import labels, measured
from hessview.data.trainings import trainings
from hessview.page.comparison_section import comparison_sections
from hessview.page.entry import details
from hessview.page.training_section import training_section

Json = dict[str, Any]

PLACES = {"Comparison": -2, "Training": -1}
"""Kinds of overviews, which are listed before those of runs."""
MOST_NAMES = 4  # of compared runs; more are summed up


@dataclasses.dataclass(frozen=True)
class Overview:
    """A line of the list that stands for several runs.

    Attributes:
        runs: Datasets that it tells of.
        entry: As of `page.entry`, of kind "Comparison" or "Training".
        made: Makes its section, as of `page.state`.
    """

    runs: list[xr.Dataset]
    entry: Json
    made: Callable[[], Json]

    def section(self) -> Json:
        """Its section, under the title that its line has; it takes seconds of fifty runs."""
        title = f"{self.entry['kind']} · {self.entry['label']}"
        return {**self.made(), "title": title, "subtitle": self.entry["detail"]}


def overviews(runs: Mapping[str, xr.Dataset]) -> dict[str, Overview]:
    """The overviews over some runs: each training, and the comparison of all other densities.

    Args:
        runs: Datasets of runs of any command by name. Those under way are better left out: an
            overview says nothing of how far they are.

    Returns:
        Overviews by a name that no run has and that later runs do not change.
    """
    names = {id(ds): name for name, ds in runs.items()}
    groups = trainings(runs.values())
    found = {f"training of {names[id(group[0])]}": _training(group) for group in groups}
    followed = {id(ds) for group in groups for ds in group}
    others = measured(ds for ds in runs.values() if id(ds) not in followed)
    if len(others) > 1:
        found["comparison of runs"] = _comparison(others)
    return found


def _comparison(runs: list[xr.Dataset]) -> Overview:
    names = labels(runs)
    rest = len(names) - MOST_NAMES
    told = ", ".join(names[:MOST_NAMES]) + (f", and {rest} more" if rest > 0 else "")
    line = _entry("Comparison", f"{len(runs)} density runs", told)
    return Overview(runs, line, lambda: comparison_sections(runs)[0])


def _training(runs: list[xr.Dataset]) -> Overview:
    steps = sorted({int(ds.attrs["training_step"]) for ds in runs})
    attrs = {key: runs[0].attrs[key] for key in ("operator", "subset") if key in runs[0].attrs}
    told = [str(runs[0].attrs.get("model", "")), *details(xr.Dataset(attrs=attrs))]
    label = f"{len(steps)} steps, {steps[0]:,} to {steps[-1]:,}"
    line = _entry("Training", label, " · ".join(filter(None, told)))
    return Overview(runs, line, lambda: training_section(runs))


def _entry(kind: str, label: str, detail: str) -> Json:
    status = {"state": "done", "label": "", "message": "", "done": 0, "total": 0}
    return {
        "kind": kind,
        "place": PLACES[kind],
        "label": label,
        "detail": detail,
        "status": status | {"unit": "runs", "left": ""},
    }
