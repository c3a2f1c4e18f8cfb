"""What runs say in a few numbers, of every command: with errors, and ready to be read.

`summary` takes whatever holds runs, has the command's own room calculate (`headline`, `coupling`,
`accuracy`, `sweep`, `benchmark`, `training`), and gives a `Summary`: an `xarray.Dataset` that
prints itself as text and as HTML. Of several runs it gives `Summaries`.
"""

import html
import math
import shutil
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from hessview.analysis.accuracy import theory
from hessview.analysis.benchmark import benchmark, say_spread
from hessview.analysis.coupling import coupling_summary
from hessview.analysis.headline import RESOLUTION, ends_of, headline, warn_of_rounding
from hessview.analysis.sweep import SETTINGS, apart_by, measured_settings, setting_of
from hessview.analysis.training import history
from hessview.errors import InputError, NotMeasuredError
from hessview.extensions import named
from hessview.record.datasets import as_dataset
from hessview.record.measurements import MEASUREMENTS, command_in, measurement_in
from hessview.record.validation import one_line
from hessview.spectral.bounds import NOT_A_DERIVATIVE
from hessview.wording import NOT_NEGATIVE, alone, limits_of, measured, written

NARROWEST, WIDEST = 60, 110  # characters of a line of text, whatever the terminal says
_LONGEST = 2_000  # characters of a title, or of a remark
MOST_ROWS = 40  # of a table that has a row for each block, setting or training step


class Summary(xr.Dataset):  # type: ignore[no-untyped-call]  # xarray leaves its hook untyped
    """A run in a few numbers: a dataset that prints itself.

    What it holds stands at `hessview.summary`; selecting, exporting and calculating work as with
    any other `xarray.Dataset`.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        tables = _tables(self, written)
        if not tables and "reason" not in self.attrs:  # a part that is no summary any more
            return super().__repr__()
        lines = [_title(self.attrs), *_remarks(self.attrs), *(_as_text(table) for table in tables)]
        return "\n".join(filter(None, lines))

    def _repr_html_(self) -> str:
        tables = _tables(self, _read)
        if not tables and "reason" not in self.attrs:
            return super()._repr_html_()
        remarks = "".join(f"<div>{_unbroken(text)}</div>" for text in _remarks(self.attrs))
        head = f"<strong>{html.escape(_title(self.attrs))}</strong>{remarks}"
        return f'<div style="overflow-x:auto">{head}{"".join(map(_as_html, tables))}</div>'


class Summaries(Mapping[str, Summary]):
    """Summaries of several runs, by the run: a mapping that prints itself.

    Args:
        summaries: The summary of each run by its identity, or its path in a tree.
    """

    def __init__(self, summaries: Mapping[str, Summary]) -> None:
        self._summaries = dict(summaries)

    def __getitem__(self, run: str) -> Summary:
        return self._summaries[run]

    def __iter__(self) -> Iterator[str]:
        return iter(self._summaries)

    def __len__(self) -> int:
        return len(self._summaries)

    def __repr__(self) -> str:
        return "\n\n".join(map(repr, self._summaries.values()))

    def _repr_html_(self) -> str:
        return "<br>".join(entry._repr_html_() for entry in self._summaries.values())


def summary(runs: Any, *, resolution: float = RESOLUTION) -> Any:
    """The numbers that matter of a run, or of several, each with its uncertainty; prints itself.

    Args:
        runs: A dataset of any command, whole or still running; a `Run`; a leaf of the tree of
            `hessview.open_runs`; what `hessview.join_training` gave; a summary from a file; or
            several of these: the tree, a session, or an iterable.
            `tree.map_over_datasets(hessview.summary)` gives a tree of summaries.
        resolution: Of densities: mass nearer to zero than this share of the largest |node| is
            unresolved; between 0 and 1.

    Returns:
        A `Summary`, which is an `xarray.Dataset`; of several runs `Summaries`, a mapping from
        each run's identity (its path in a tree) to its `Summary`. It holds, by command:

        density: over quantity: value; low and high, between which the truth lies; level, how
            often such intervals hold it (1 for bounds that do as long as what they are made of is
            right); uncertainty, the farther end's distance, so that value ± uncertainty holds the
            interval; and basis, how the interval was obtained, in words. The quantities are
            largest and smallest (extreme Ritz values over all probes), trace and frobenius_norm
            (every probe with a first step), negative_mass and unresolved_mass (whole probes only;
            shares of the spectrum). NaN where there is nothing to tell from, such as a spread
            over 1 probe; a number that is withheld is NaN, and its basis the reason.
            attrs["comment"] says what the intervals do not hold.
        coupling: see `analysis.coupling.coupling_summary`: numbers of the block-diagonal product
            over quantity with noise and verdict, norms and coefficients over (block, column).
        accuracy: see `analysis.accuracy.theory`; besides, over direction, what was measured with
            the automatic epsilon: auto_relative_error, auto_epsilon, reference_error and exact.
        epsilon_sweep, fraction_sweep: see `analysis.sweep.distances`, of the settings that have a
            finished probe.
        benchmark: see `analysis.benchmark.benchmark`: ratios to a gradient of the same run.
        Another package's measurement: what its `Measurement.summary` gives, or else how many
            numbers there are of each variable, between which ends.
        A joined training: see `analysis.training.history`: value and the others of a density over
            (quantity, training_step).

        Of a run of which nothing is measured yet the `Summaries`, or the tree, hold an empty
        summary, whose attrs["reason"] says so.

    Raises:
        InputError: resolution is not between 0 and 1, or there is no run in what was given.
        RecordError: Not the dataset of a run, or one that was averaged, masked or altered.
        NotMeasuredError: A run alone was given, and nothing of it is measured yet.

    Warns:
        AccuracyWarning: The parameters' data type rounds the displacements of a density off.

    Reference: `analysis.trace.hutchinson` and `analysis.masses.masses`, where the formulas of a
    density stand; those of the others stand where this names them.
    """
    if not 0 < resolution < 1:
        raise InputError(f"resolution={resolution!r} is not allowed; use a number between 0 and 1.")
    several = _several(runs)
    if several is not None:
        return Summaries({name: _or_reason(ds, resolution) for name, ds in several.items()})
    if isinstance(runs, _VIEW):  # a node that `map_over_datasets` goes through
        if not runs.variables:
            return Summary()
        return _or_reason(as_dataset(runs), resolution)
    ds = as_dataset(runs)
    if _kind(ds) == "density":
        warn_of_rounding(ds)
    return _summary(ds, resolution)


_VIEW: type[xr.Dataset] = type(xr.DataTree().dataset)
"""What a tree hands out as the dataset of a node."""


def _several(source: Any) -> dict[str, xr.Dataset] | None:
    """Datasets by run; None where one run alone was given."""
    if isinstance(source, xr.DataTree):
        nodes = [node for node in source.subtree if node.data_vars]
        if len(nodes) == 1 and nodes[0] is source:
            return None
        datasets = {node.relative_to(source): as_dataset(node) for node in nodes}
    elif isinstance(source, str | xr.Dataset) or hasattr(source, "dataset"):
        return None
    else:
        runs = getattr(source, "runs", source)
        if isinstance(runs, Mapping):
            datasets = {str(name): as_dataset(run) for name, run in runs.items()}
        elif isinstance(runs, Iterable):
            datasets = {}
            for index, ds in enumerate(map(as_dataset, runs)):
                name = str(ds.attrs.get("run", index))
                datasets[name if name not in datasets else f"{name} ({index})"] = ds
        else:
            return None
    if not datasets:
        raise InputError("there is no run in what was given; ask for one, such as with density().")
    return datasets


def _or_reason(ds: xr.Dataset, resolution: float) -> Summary:
    """One summary of several: a run without a number costs that run only."""
    try:
        if _kind(ds) == "density":
            warn_of_rounding(ds)
        return _summary(ds, resolution)
    except NotMeasuredError as error:
        return Summary(attrs={**ds.attrs, "reason": str(error)})


def _kind(ds: xr.Dataset) -> str:
    """Which room calculates, by what the dataset holds: attributes may have been dropped."""
    variables = set(ds)
    if "alpha" not in variables and _tables(ds, written):
        return "summary"
    if {"response_norm", "disagreement"} <= variables:
        return "coupling"
    if "orthogonalise_seconds" in variables:
        return "benchmark"
    if {"relative_error", "noise", "bend"} <= variables:
        return "accuracy"
    if "alpha" in variables and "training_step" in ds.alpha.dims:
        return "training"
    if "alpha" in variables and any(setting in ds.alpha.dims for setting in SETTINGS):
        return "sweep"
    command = command_in(ds.attrs)
    return "other" if command in MEASUREMENTS and command not in MEASUREMENTS.own else "density"


def _summary(ds: xr.Dataset, resolution: float) -> Summary:
    calculate: dict[str, Callable[[xr.Dataset], xr.Dataset]] = {
        "accuracy": _accuracy,
        "benchmark": benchmark,
        "coupling": coupling_summary,
        "density": lambda ds: headline(ds, resolution=resolution),
        "other": _other,
        "summary": lambda ds: ds,  # such as one that comes from a file, and prints itself again
        "sweep": _sweep,
        "training": history,
    }
    numbers = calculate[_kind(ds)](ds)
    return Summary(numbers.data_vars, numbers.coords, numbers.attrs)


def _other(ds: xr.Dataset) -> xr.Dataset:
    """Another package's: what it makes of its numbers, or else which there are."""
    if name := measurement_in(ds.attrs).summary:
        numbers: xr.Dataset = named("summary", name, {})(ds)
        return numbers
    names = [name for name in ds.data_vars if ds[name].dtype.kind in "fiu"]
    bases = [_extent(ds[name]) for name in names]
    return xr.Dataset(
        {
            "value": ("quantity", np.full(len(names), np.nan)),
            "uncertainty": ("quantity", np.full(len(names), np.nan)),
            "basis": ("quantity", np.array(bases, dtype=object)),
        },
        {"quantity": np.array(list(map(str, names)), dtype=object)},
        ds.attrs,
    )


def _extent(variable: xr.DataArray) -> str:
    finite = variable.values[np.isfinite(variable.values)]
    if not finite.size:
        return "not measured yet"
    ends = f"from {alone(float(finite.min()), 4)} to {alone(float(finite.max()), 4)}"
    units = variable.attrs.get("units", "1")
    return f"{finite.size} of {variable.size} measured, {ends}{f' {units}' * (units != '1')}"


def _accuracy(ds: xr.Dataset) -> xr.Dataset:
    predictions = theory(ds)
    names = ("auto_relative_error", "auto_epsilon", "reference_error", "exact")
    return predictions.assign({name: ds[name] for name in names})


def _sweep(ds: xr.Dataset) -> xr.Dataset:
    return measured_settings(ds)[1].assign_attrs(settings_asked=ds.sizes[setting_of(ds)])


class _Table(NamedTuple):
    """A table of plain text; its last column is prose, which may be broken between words."""

    head: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    notes: tuple[str, ...] = ()


_Say = Callable[..., str]
"""How a number and its uncertainty are written, such as `wording.written`."""


def _read(value: float, uncertainty: float, **within: Any) -> str:
    """As `wording.written`, in the signs of print: "2.10×10⁻⁴ ± 0.13×10⁻⁴"."""
    return " ".join(measured(value, uncertainty, **within)).strip()


def _tables(ds: xr.Dataset, say: _Say) -> list[_Table]:
    """What a summary prints; [] for a part of one that lacks what its tables need."""
    variables = set(ds)
    kinds: list[tuple[set[str], str, Callable[[xr.Dataset, _Say], _Table]]] = [
        ({"value", "uncertainty", "basis"}, "quantity", _of_quantities),
        ({"row_error", "row_uncertainty", "verdict_of_row"}, "block", _of_blocks),
        ({"auto_relative_error", "reference_error", "floor"}, "direction", _of_directions),
        ({"relative_distance", "product_error"}, "epsilon", _of_settings),
        ({"relative_distance", "product_error"}, "fraction", _of_settings),
        ({"ratio", "spread", "reason", "peak_memory", "collectives"}, "work", _of_work),
    ]
    tables = []
    for needed, dim, make in kinds:
        if needed <= variables and dim in ds.coords:
            tables.append(make(ds if dim in ds.dims else ds.expand_dims(dim), say))
    return tables


def _of_quantities(ds: xr.Dataset, say: _Say) -> _Table:
    if "training_step" in ds.dims:
        return _of_training(ds, say)
    rows = [
        _row(ds.isel(quantity=index), str(name), say)
        for index, name in enumerate(ds["quantity"].values)
    ]
    return _Table(("", "", ""), rows)


def _of_training(ds: xr.Dataset, say: _Say) -> _Table:
    names = [str(name) for name in ds["quantity"].values]
    steps = ds.training_step.values.tolist()
    rows = []
    for index, step in enumerate(steps[:MOST_ROWS]):
        cells = [ds.isel(training_step=index, quantity=position) for position in range(len(names))]
        texts = [_row(cell, name, say) for cell, name in zip(cells, names, strict=True)]
        rows.append((str(step), *(text[1] for text in texts)))
    return _Table(("training step", *names), rows, _left_out(len(steps)))


def _of_blocks(ds: xr.Dataset, say: _Say) -> _Table:
    names = [str(name) for name in ds.block.values]
    rows = []
    for index, name in enumerate(names[:MOST_ROWS]):
        block = ds.isel(block=index)
        error = say(float(block.row_error), float(block.row_uncertainty), limits=NOT_NEGATIVE)
        rows.append((name, error, str(block.verdict_of_row.item())))
    return _Table(
        ("block", "its error in the block-diagonal product", ""), rows, _left_out(len(names))
    )


def _of_directions(ds: xr.Dataset, say: _Say) -> _Table:
    rows = []
    for index in range(min(ds.sizes["direction"], MOST_ROWS)):
        row = ds.isel(direction=index)
        error, doubt = float(row.auto_relative_error), float(row.reference_error)
        exact = float(row.exact) == 1
        basis = "against double backward" if exact else "against products extrapolated to epsilon 0"
        basis += "; ± the error that it is estimated to have"
        if math.isnan(error):
            basis = "not measured yet"
        elif not bool(row.auto_resolved):
            basis += ", which may be all of it"
        epsilon, floor = alone(float(row.auto_epsilon), 2), alone(float(row.floor), 2)
        text = say(error, doubt, limits=NOT_NEGATIVE)
        rows.append((str(row.direction.item()), text, epsilon, floor, basis))
    head = ("direction", "error, automatic epsilon", "epsilon", "least by theorem 3.1", "")
    return _Table(head, rows, _left_out(ds.sizes["direction"]))


def _of_settings(ds: xr.Dataset, say: _Say) -> _Table:
    setting = next(name for name in SETTINGS if name in ds.dims)
    values, reference = ds[setting].values.tolist(), ds.attrs.get("reference")
    rows = []
    for index, value in enumerate(values[:MOST_ROWS]):
        row = ds.isel({setting: index})
        error = float(row.product_error)
        words = ["the reference"] if value == reference else []
        words += ["the products are noise"] if error >= NOT_A_DERIVATIVE else []
        distance = "0" if value == reference else apart_by(row)
        rows.append((alone(value, 4), distance, alone(error, 2), ", ".join(words)))
    notes = [
        "distance: between the mean spectra, over the range of the reference's Ritz values, and "
        f"its {100 * float(ds.attrs.get('level', math.nan)):g} % interval where it has one."
    ]
    if (settings_asked := int(ds.attrs.get("settings_asked", 0))) > len(values):
        notes.append(f"{len(values)} of {settings_asked} settings have a finished probe.")
    head = (setting, "distance", "product error D", "")
    return _Table(head, rows, (*_left_out(len(values)), *notes))


def _of_work(ds: xr.Dataset, say: _Say) -> _Table:
    rows = []
    for index in range(ds.sizes["work"]):
        row = ds.isel(work=index)
        reason = str(row.reason.item())
        ratio, spread = float(row.ratio), float(row.spread)
        time = "withheld" if reason else say(ratio, spread, limits=NOT_NEGATIVE)
        memory = float(row.peak_memory) / 2**20
        size = f"{memory:.1f}" if math.isfinite(memory) else "not measured"
        counts = [f"{n:.0f}" if np.isfinite(n) else "–" for n in row.collectives.values.ravel()]
        rows.append((str(row.work.item()), time, size, *counts, reason))
    notes = [say_spread(ds) + "."] if "repetitions" in ds.attrs else []
    for index in range(ds.sizes.get("depth", 0)):
        step = ds.isel(depth=index)
        percent = 100 * float(step.overhead), 100 * float(step.overhead_spread)
        notes.append(
            f"Lanczos step {int(step.depth)}: + ({say(*percent, limits=NOT_NEGATIVE)}) % of a "
            "product."
        )
    kinds = [str(kind) for kind in ds.collective.values.ravel()]
    return _Table(("", "time / gradient", "peak MiB", *kinds, ""), rows, tuple(notes))


def _left_out(count: int) -> tuple[str, ...]:
    return (f"and {count - MOST_ROWS} more.",) if count > MOST_ROWS else ()


def _row(row: xr.Dataset, name: str, say: _Say) -> tuple[str, str, str]:
    """What stands in the columns of the name, the number, and its basis."""
    text = say(float(row.value), float(row.uncertainty), limits=limits_of(name), ends=ends_of(row))
    return name.replace("_", " "), text, str(row.basis.item())


def format_summary(summary: xr.Dataset) -> str:
    """One line per quantity: name, value ± uncertainty, and how the uncertainty was obtained.

    Args:
        summary: What `hessview.summary` gave of a density or a coupling.

    Returns:
        Aligned lines without a trailing newline, as long as they are; values are rounded to their
        uncertainty, and this is rounded up. Where a number is withheld, the reason stands in its
        place.
    """
    rows = _of_quantities(summary, written).rows
    has_value = np.isfinite(summary.value.values)
    rows = [
        row if is_finite else (row[0], row[2], "")
        for row, is_finite in zip(rows, has_value, strict=True)
    ]
    return _as_text(_Table(("", "", ""), rows), width=0)


def _title(attrs: Mapping[Any, Any]) -> str:
    """What was measured of what, such as "density of gpt, operator hessian, done"."""
    command = str(attrs.get("command", "summary")).replace("_", " ")
    of_model = f" of {attrs['model']}" if attrs.get("model") else ""
    operator = f", operator {attrs['operator']}" if "operator" in attrs else ""
    run = f", run {attrs['run']}" if "run" in attrs else ""
    state = f", {attrs['state']}" if "state" in attrs else ""
    return one_line(f"{command}{of_model}{operator}{run}{state}", _LONGEST)


def _remarks(attrs: Mapping[Any, Any]) -> list[str]:
    """What is to be known besides: why there is nothing, why it ended, what the job noted."""
    texts = (attrs.get(name) for name in ("reason", "error", "note"))
    return [one_line(str(text), _LONGEST) for text in texts if text]


def _as_text(table: _Table, width: int | None = None) -> str:
    """Aligned columns; prose is broken between words and goes on below itself.

    Args:
        table: What is written.
        width: Characters of a line; None takes the terminal's, 0 breaks nothing.
    """
    if width is None:
        width = min(max(shutil.get_terminal_size().columns, NARROWEST), WIDEST)
    printed = [
        [one_line(cell, _LONGEST) for cell in row]
        for row in [*([table.head] if any(table.head) else []), *table.rows]
    ]
    widths = [max(len(row[column]) for row in printed) for column in range(len(table.head) - 1)]
    lines = []
    for *cells, prose in printed:
        padded = [cell.ljust(size) for cell, size in zip(cells, widths, strict=True)]
        start = "  ".join(padded) + "  "
        lines.append(_broken(prose, start, width))
    return "\n".join([*lines, *(_broken(note, "", width) for note in table.notes)])


def _broken(prose: str, start: str, width: int) -> str:
    """Prose behind a start, and below its own beginning where a line is full."""
    if not width or len(start) + len(prose) <= width:
        return (start + prose).rstrip()
    indent = start if len(start) <= width - NARROWEST // 2 else "    "
    lines = textwrap.wrap(
        prose, width - len(indent), break_long_words=False, break_on_hyphens=False
    )
    rest = [" " * len(indent) + line for line in lines]
    return "\n".join([start + lines[0], *rest[1:]] if indent is start else [start.rstrip(), *rest])


_CELL = "text-align:left;vertical-align:top;padding:2px 1em 2px 0"


def _as_html(table: _Table) -> str:
    """A table whose numbers are never broken; every text in it is escaped."""
    fixed = f'style="{_CELL};white-space:nowrap"'
    rows = []
    for *cells, prose in table.rows:
        name, *numbers = (html.escape(cell) for cell in cells)
        row = f'<th scope="row" {fixed}>{name}</th>'
        row += "".join(f"<td {fixed}>{cell}</td>" for cell in numbers)
        rows.append(f'<tr>{row}<td style="{_CELL}">{_unbroken(prose)}</td></tr>')
    header_cells = "".join(
        f'<th scope="col" {fixed}>{html.escape(cell)}</th>' for cell in table.head
    )
    head = f"<thead><tr>{header_cells}</tr></thead>" if any(table.head) else ""
    notes = "".join(f"<div>{_unbroken(note)}</div>" for note in table.notes)
    return f"<table>{head}<tbody>{''.join(rows)}</tbody></table>{notes}"


def _unbroken(prose: str) -> str:
    """Prose as HTML, in which no number is broken."""
    return " ".join(
        f'<span style="white-space:nowrap">{html.escape(word)}</span>'
        if any(character.isdigit() for character in word)
        else html.escape(word)
        for word in prose.split(" ")
    )
