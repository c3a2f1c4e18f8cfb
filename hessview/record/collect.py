"""The fold of events into datasets, the same for a live job and for a record on disk."""

import dataclasses
import datetime
import math
import threading
import warnings
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from hessview._version import __version__
from hessview.errors import InputError, RecordError, RecordWarning
from hessview.record.commands import Accuracy, Command, command_to_json
from hessview.record.events import (
    ENDED,
    Event,
    JobEnded,
    JobStarted,
    Reading,
    RunEnded,
    RunQueued,
    RunStarted,
    State,
)
from hessview.record.fingerprints import fingerprints
from hessview.record.measurements import MEASUREMENTS, command_from_json
from hessview.record.provenance import attributes
from hessview.record.schema import Coordinates, Schema
from hessview.record.validation import MOST_NUMBERS, MOST_PROBES, MOST_STEPS, shown

_EPSILON_CONVENTION = "step along a unit-norm vector"

NUMBERS_AT_ONCE = 1 << 20
"""Of a run whose dataset has its full form from the start; a larger one grows with its readings."""
_RESERVE = 1 << 24  # numbers that the runs of a record may hold unmeasured, 134 MB
_ALL = slice(None)
_UNREADABLE = (ArithmeticError, AttributeError, LookupError, MemoryError, TypeError, ValueError)


class Collector:
    """Folds events, one by one, into a labelled dataset for each run.

    One thread may add while others ask: a dataset always holds whole readings. Events that are
    already in are passed over, so a replay may overlap with them.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._runs: dict[str, _Run] = {}
        self._jobs: dict[str, JobStarted] = {}
        self._seen: dict[str, int] = {}  # a job numbers its events upwards
        self._left_out: dict[str, str] = {}  # runs, and why
        self._reserved = 0

    @property
    def runs(self) -> list[str]:
        """Identities of the runs, in the order in which they were asked for."""
        with self._lock:
            return list(self._runs)

    @property
    def job(self) -> JobStarted | None:
        """What the latest job said of itself, None if no job began yet."""
        with self._lock:
            return next(reversed(self._jobs.values()), None)

    def add(self, event: Event) -> None:
        """Take one event in; what does not fit the record is left out with a RecordWarning.

        Args:
            event: The next event.
        """
        with self._lock:
            if event.seq <= self._seen.get(event.job, 0):
                return
            self._seen[event.job] = event.seq
            try:
                self._take(event)
            except (*_UNREADABLE, RecursionError) as error:
                reason = f"{type(error).__name__}: {shown(str(error))}"
                kind = event.payload.kind
                _warn(f"a {kind} of run {event.run!r} is left out: it cannot be read ({reason}).")

    def why_left_out(self, run: str) -> str:
        """Why the record holds a run that cannot be read, "" if there is no such."""
        with self._lock:
            return self._left_out.get(run, "")

    def command(self, run: str) -> Command:
        """What a run was asked to measure.

        Raises:
            RecordError: No such run.
        """
        with self._lock:
            return self._find(run).command

    def state(self, run: str) -> State:
        """Where a run stands: queued, running, done, cancelled or failed.

        Raises:
            RecordError: No such run.
        """
        with self._lock:
            return self._find(run).state

    def error(self, run: str) -> str:
        """Why a run ended early and what to do, "" if it did not.

        Raises:
            RecordError: No such run.
        """
        with self._lock:
            return self._find(run).error

    def dataset(self, run: str) -> xr.Dataset:
        """What a run measured so far; NaN means not measured.

        Args:
            run: Identity of the run.

        Returns:
            A dataset of its own, which later events leave alone. Dims, coords, variables and
            their units are those of the command's schema; attrs hold the provenance, as
            strings and numbers that JSON, netCDF and Zarr can hold (mappings as JSON strings);
            `ds.hessview.provenance` gives them as values.
            An attribute that is not known is absent. A run of more than `NUMBERS_AT_ONCE` numbers
            ends along each dim with the last place that was begun, and says so in its note.

        Raises:
            RecordError: No such run, or one that cannot be held.
        """
        with self._lock:
            collected = self._find(run)
            try:
                attrs = _provenance(collected, self._jobs.get(collected.job))
                return collected.dataset({**attrs, "run": run})
            except (*_UNREADABLE, RecursionError) as error:
                raise RecordError(
                    f"run {run!r} cannot be made into a dataset ({type(error).__name__}: "
                    f"{shown(str(error))}); the record's other runs can be read."
                ) from error

    def _find(self, run: str) -> "_Run":
        if run not in self._runs:
            raise RecordError(f"run {run!r} is not in the record; its runs are {list(self._runs)}.")
        return self._runs[run]

    def _take(self, event: Event) -> None:
        match event.payload:
            case Reading() as reading:
                if run := self._run_of(event):
                    run.read(event.run, reading)
                    self._reserved = max(0, self._reserved - len(reading.values))
            case RunQueued() as queued:
                self._queue(event, queued)
            case RunStarted() as started:
                if run := self._run_of(event):
                    run.start(event, started)
            case RunEnded() as ended:
                if run := self._run_of(event):
                    run.state, run.error, run.note = ended.state, ended.error, ended.note
            case JobStarted() as job:
                self._end_runs("another job took the record over")
                self._jobs[event.job] = job
            case JobEnded() as over:
                self._end_runs(f"the job ended: {over.reason}")

    def _run_of(self, event: Event) -> "_Run | None":
        if event.run not in self._runs and event.run not in self._left_out:
            self._leave_out(
                event.run,
                f"events of run {event.run!r} are left out: the record lacks its command.",
            )
        return self._runs.get(event.run)

    def _leave_out(self, run: str, reason: str) -> None:
        self._left_out[run] = reason
        _warn(reason)

    def _queue(self, event: Event, queued: RunQueued) -> None:
        if event.run in self._runs:
            return
        if not event.run:
            _warn("a command is left out: it names no run.")
            return
        try:
            command = command_from_json(queued.command)
        except InputError as error:
            self._leave_out(
                event.run, f"run {event.run!r} is left out: its command cannot be read ({error})."
            )
            return
        job = self._jobs.get(event.job)
        blocks = queued.blocks or list(job.blocks if job else ())
        try:
            run = _Run(command, event.job, blocks, room=_RESERVE - self._reserved)
        except (*_UNREADABLE, RecursionError) as error:
            self._leave_out(
                event.run,
                f"run {event.run!r} is left out: what it asks for cannot be held "
                f"({type(error).__name__}: {shown(str(error))}).",
            )
            return
        self._left_out.pop(event.run, None)
        self._reserved += run.reserved
        self._runs[event.run] = run

    def _end_runs(self, why: str) -> None:
        """A run cannot outlive its job; a resumed one starts anew in the next."""
        for run in self._runs.values():
            if run.state not in ENDED:
                run.state = "failed"
                run.error = f"{why}; what was measured until then is kept: ask again for the rest."


def collect(events: Iterable[Event]) -> Collector:
    """Fold a whole record.

    Args:
        events: Events in order.

    Returns:
        The collector that took them in; it takes more.
    """
    collector = Collector()
    for event in events:
        collector.add(event)
    return collector


class _Run:
    """One run's arrays and state.

    Args:
        command: What was asked for.
        job: Identity of the job that was asked.
        blocks: Names of that job's blocks.
        room: Numbers that may be held before they are measured.
    """

    def __init__(self, command: Command, job: str, blocks: Sequence[str], *, room: int) -> None:
        self.command = command
        self.job = job
        self.state: State = "queued"
        self.error = ""
        self.note = ""
        self.started: RunStarted | None = None
        self.time = math.nan
        schema = MEASUREMENTS[command.name].schema
        self._schema: Schema = schema
        bounded = _bounded(command)
        self._is_bounded = bounded is not command
        self._coordinates: Coordinates = schema.coordinates(bounded, blocks)
        self._sizes = {dim: len(self._coordinates[dim]) for dim in schema.dims}
        self._dims = {
            name: variable.dims or schema.dims for name, variable in schema.variables.items()
        }
        self._sets = {dims: frozenset(dims) for dims in self._dims.values()}
        numbers = self._numbers(self._sizes)
        self._whole = numbers <= min(NUMBERS_AT_ONCE, room)
        self.reserved = numbers if self._whole else 0
        """Numbers that are held from the start."""
        # What is held, and what of it was begun, differ from the full form in large runs only.
        # Both ends of a spectrum, or whatever else there are two of, are there from the start.
        self._allocated = {dim: n if self._whole or n <= 2 else 1 for dim, n in self._sizes.items()}
        self._begun = dict(self._allocated)
        self._arrays = {name: self._unmeasured(dims) for name, dims in self._dims.items()}

    def start(self, event: Event, started: RunStarted) -> None:
        self.state, self.error = "running", ""
        self.job, self.started, self.time = event.job, started, event.time

    def read(self, name: str, reading: Reading) -> None:
        index = reading.index
        for dim, position in index.items():
            if not 0 <= position < self._sizes.get(dim, 0):
                _warn(f"a reading of run {name!r} at {index} is left out: outside {self._sizes}.")
                return
        if not self._whole and not self._make_room(reading):
            _warn(
                f"a reading of run {name!r} at {index} is left out: with it, the run would take "
                f"more than {MOST_NUMBERS:,} numbers."
            )
            return
        keys = index.keys()
        last: tuple[str, ...] | None = None
        for variable, value in reading.values.items():
            dims = self._dims.get(variable)
            if dims is None:
                _warn(f"variable {variable!r} of run {name!r} is left out: not in its schema.")
                continue
            if dims is not last:  # most variables of a reading share them
                last, selection = dims, tuple([index.get(dim, _ALL) for dim in dims])
                one_number, fits = keys == self._sets[dims], keys <= self._sets[dims]
            if (one_number and type(value) is float) or (fits and self._fits(value, dims, keys)):
                self._arrays[variable][selection] = value
            else:
                _warn(
                    f"variable {variable!r} of run {name!r} at {index} is left out: its shape does "
                    f"not fit { {dim: self._sizes[dim] for dim in dims} }."
                )

    def dataset(self, attrs: dict[str, Any]) -> xr.Dataset:
        schema, begun = self._schema, self._begun
        arrays = {
            name: (dims, self._arrays[name][tuple([slice(begun[dim]) for dim in dims])].copy())
            for name, dims in self._dims.items()
        }
        coordinates = {name: values[: begun[name]] for name, values in self._coordinates.items()}
        attrs = attrs | fingerprints(arrays, coordinates, attrs)
        cut = {dim: size for dim, size in self._sizes.items() if begun[dim] < size}
        if cut or self._is_bounded:
            note = (
                f"the run asks for {shown(self.command.total)} readings, too many to be held "
                f"before they are there: this dataset ends with what was begun, {dict(begun)}"
            )
            asked = min(self.command.total, 2**63 - 1)
            attrs = {
                **attrs,
                "note": f"{attrs['note']}; {note}" if "note" in attrs else note,
                "readings_asked": asked,
            }
        return xr.Dataset(
            {
                name: (dims, values, schema.variables[name].attrs)
                for name, (dims, values) in arrays.items()
            },
            {
                name: (name, values, schema.descriptions[name].attrs)
                for name, values in coordinates.items()
            },
            attrs,
        )

    def _make_room(self, reading: Reading) -> bool:
        """Let the arrays of a large run grow to a reading; whether they can hold it."""
        needed = dict(self._begun)
        for variable in reading.values:
            for dim in self._dims.get(variable, ()):
                # A list fills a dimension from one end to the other.
                needed[dim] = max(needed[dim], reading.index.get(dim, self._sizes[dim] - 1) + 1)
        if any(needed[dim] > self._allocated[dim] for dim in needed):
            # Twice as much each time, so that a number is copied only so often.
            doubled = {
                dim: min(self._sizes[dim], 2 * needed[dim]) if needed[dim] > length else length
                for dim, length in self._allocated.items()
            }
            for sizes in (
                doubled,
                {dim: max(needed[dim], length) for dim, length in self._allocated.items()},
            ):
                if self._numbers(sizes) <= MOST_NUMBERS:
                    break
            else:
                return False
            before, self._allocated = self._arrays, sizes
            self._arrays = {name: self._unmeasured(dims) for name, dims in self._dims.items()}
            for name, array in before.items():
                self._arrays[name][tuple(map(slice, array.shape))] = array
        self._begun = needed
        return True

    def _unmeasured(self, dims: tuple[str, ...]) -> NDArray[np.float64]:
        return np.full([self._allocated[dim] for dim in dims], math.nan)

    def _numbers(self, sizes: Mapping[str, int]) -> int:
        return sum(math.prod(sizes[dim] for dim in dims) for dims in self._dims.values())

    def _fits(self, value: Any, dims: tuple[str, ...], indexed: Container[str]) -> bool:
        """Whether a value is a number, or lists of them, for all dims that are not indexed."""
        try:
            shape = np.shape(value)
        except ValueError:  # ragged
            return False
        return bool(shape == tuple(self._sizes[dim] for dim in dims if dim not in indexed))


def _bounded(command: Command) -> Command:
    """The command, of which no more is kept than anybody may ask for today.

    The top direction comes after all probes, so that it falls away with the last of them.
    """
    most = {"probes": MOST_PROBES, "steps": MOST_STEPS}
    beyond: dict[str, Any] = {
        name: size for name, size in most.items() if getattr(command, name, 0) > size
    }
    if not beyond:
        return command
    if isinstance(command, Accuracy):
        beyond["top"] = False
    return dataclasses.replace(command, **beyond)


def _provenance(run: _Run, job: JobStarted | None) -> dict[str, Any]:
    """Where the numbers come from; the run's own word counts before the job's."""
    attrs: dict[str, Any] = {
        "state": run.state,
        "error": run.error,
        **({"note": run.note} if run.note else {}),
        **command_to_json(run.command),
        "asked": command_to_json(run.command),  # whole: the job's own words may cover some of it
        "epsilon_convention": _EPSILON_CONVENTION,
        "hessview_version": __version__,
        "job": run.job,
    }
    if job is not None:
        fields = dataclasses.asdict(job)
        del fields["notes"]  # a run that has started says them itself
        del fields["operators"]  # of the job's, not of a run
        attrs |= {"job_seed": fields.pop("seed"), **fields}
    if run.started is not None:
        started = datetime.datetime.fromtimestamp(run.time, datetime.UTC)
        fields = dataclasses.asdict(run.started)
        attrs = {**fields.pop("notes"), **attrs, "started": started.isoformat()}
        attrs |= {key: value for key, value in fields.items() if value is not None}
    return attributes(attrs)


def _warn(text: str) -> None:
    warnings.warn(text, RecordWarning, stacklevel=4)
