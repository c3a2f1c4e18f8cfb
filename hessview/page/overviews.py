"""What a dashboard lists: each run as a line, and what several density runs tell together."""

import dataclasses
import datetime
import json
from collections.abc import Callable, Mapping, Sequence

import xarray as xr

from hessview.analysis.compare import labels, measured
from hessview.analysis.grouping import unite
from hessview.analysis.training import trainings
from hessview.page.contract import Entry, Section, Status
from hessview.page.sections import comparison_sections, training_section
from hessview.page.status import status
from hessview.record.commands import Command
from hessview.record.measurements import MEASUREMENTS, measurement_in
from hessview.record.operator_facts import facts_in
from hessview.wording import number


def entry(group: Sequence[xr.Dataset]) -> Entry:
    """What tells a run from the others of its kind.

    Args:
        group: Dataset of the run, or of several that measured the same thing at other epsilons
            (`analysis.grouping`).

    Returns:
        A dict of plain text: kind, place (of the kind among kinds), label (how much was asked
        for), detail (of what, and when), and status as in the run's section.
    """
    ds = unite(group)
    measurement = measurement_in(ds.attrs)
    kinds = list(dict.fromkeys(each.kind for each in MEASUREMENTS.values()))
    return {
        "kind": measurement.kind,
        "place": kinds.index(measurement.kind),
        "label": measurement.size(ds.sizes),
        "detail": " · ".join(filter(None, details(ds))),
        "status": status(ds, parts=group),
    }


def details(ds: xr.Dataset) -> list[str]:
    """Of what and when a run is, as far as its attrs say; some may be ""."""
    attrs = ds.attrs
    words = []
    if (operator := facts_in(attrs).name) != Command.operator:
        words.append(operator.replace("_", " "))
    patterns = json.loads(attrs.get("subset", '["*"]'))
    if patterns != ["*"]:
        words.append("only " + ", ".join(patterns))
    epsilon = attrs.get("epsilon", "auto")
    if isinstance(epsilon, float | int) and "epsilon" not in ds.dims:
        words.append(f"ε {number(float(epsilon), 2)}")
    if "training_step" in attrs:
        words.append(f"training step {attrs['training_step']:,}")
    if "started" in attrs:
        moment = datetime.datetime.fromisoformat(str(attrs["started"])).astimezone()
        words.append(f"{moment:%Y-%m-%d %H:%M:%S}")
    return [*words, str(attrs.get("run", ""))]


_PLACES = {"Comparison": -2, "Training": -1}
"""Kinds of overviews, which are listed before those of runs."""
_MOST_NAMES = 4  # of compared runs; more are summed up


@dataclasses.dataclass(frozen=True)
class Overview:
    """A line of the list that stands for several runs.

    Attributes:
        runs: Datasets that it tells of.
        entry: As of `page.overviews`, of kind "Comparison" or "Training".
        make_section: Makes its section, as of `page.state`.
    """

    runs: list[xr.Dataset]
    entry: Entry
    make_section: Callable[[], Section]

    def section(self) -> Section:
        """Its section, under the title that its line has; it takes seconds of fifty runs."""
        title = f"{self.entry['kind']} · {self.entry['label']}"
        return {**self.make_section(), "title": title, "subtitle": self.entry["detail"]}


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
    by_name = {f"training of {names[id(group[0])]}": _training(group) for group in groups}
    followed = {id(ds) for group in groups for ds in group}
    others = measured(ds for ds in runs.values() if id(ds) not in followed)
    if len(others) > 1:
        by_name["comparison of runs"] = _comparison(others)
    return by_name


def _comparison(runs: list[xr.Dataset]) -> Overview:
    names = labels(runs)
    rest = len(names) - _MOST_NAMES
    caption = ", ".join(names[:_MOST_NAMES]) + (f", and {rest} more" if rest > 0 else "")
    line = _entry("Comparison", f"{len(runs)} density runs", caption)
    return Overview(runs, line, lambda: comparison_sections(runs)[0])


def _training(runs: list[xr.Dataset]) -> Overview:
    training_steps = sorted({int(ds.attrs["training_step"]) for ds in runs})
    attrs = {key: runs[0].attrs[key] for key in ("operator", "subset") if key in runs[0].attrs}
    parts = [str(runs[0].attrs.get("model", "")), *details(xr.Dataset(attrs=attrs))]
    label = f"{len(training_steps)} steps, {training_steps[0]:,} to {training_steps[-1]:,}"
    line = _entry("Training", label, " · ".join(filter(None, parts)))
    return Overview(runs, line, lambda: training_section(runs))


def _entry(kind: str, label: str, detail: str) -> Entry:
    status: Status = {
        "state": "done",
        "label": "",
        "message": "",
        "done": 0,
        "total": 0,
        "unit": "runs",
        "left": "",
    }
    return {
        "kind": kind,
        "place": _PLACES[kind],
        "label": label,
        "detail": detail,
        "status": status,
    }
