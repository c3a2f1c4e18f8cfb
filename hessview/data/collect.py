"""The fold of events into datasets, the same for a live job and for a record on disk."""

import dataclasses
import datetime
import json
import math
import threading
import warnings
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from hessview import __version__
from hessview.commands import Command, command_from_json, command_to_json
from hessview.data.schema import SCHEMAS, Coordinates, Schema
from hessview.errors import InputError, RecordError, RecordWarning
from hessview.messages import (
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

EPSILON_CONVENTION = "step along a unit-norm vector"


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
            match event.payload:
                case Reading() as reading:
                    if run := self._known(event):
                        run.read(event.run, reading)
                case RunQueued() as queued:
                    self._queue(event, queued)
                case RunStarted() as started:
                    if run := self._known(event):
                        run.start(event, started)
                case RunEnded() as ended:
                    if run := self._known(event):
                        run.state, run.error, run.note = ended.state, ended.error, ended.note
                case JobStarted() as job:
                    self._end_runs("another job took the record over")
                    self._jobs[event.job] = job
                case JobEnded() as over:
                    self._end_runs(f"the job ended: {over.reason}")

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
            strings and numbers that JSON, netCDF and Zarr can hold (mappings as JSON strings).
            An attribute that is not known is absent.

        Raises:
            RecordError: No such run.
        """
        with self._lock:
            found = self._find(run)
            return found.dataset({"run": run, **_provenance(found, self._jobs.get(found.job))})

    def _find(self, run: str) -> "_Run":
        if run not in self._runs:
            raise RecordError(f"run {run!r} is not in the record; its runs are {list(self._runs)}.")
        return self._runs[run]

    def _known(self, event: Event) -> "_Run | None":
        if event.run not in self._runs:
            _warn(f"events of run {event.run!r} are left out: the record lacks its command.")
        return self._runs.get(event.run)

    def _queue(self, event: Event, queued: RunQueued) -> None:
        if event.run in self._runs:
            return
        try:
            command = command_from_json(queued.command)
        except (InputError, TypeError) as error:
            _warn(f"run {event.run!r} is left out: its command cannot be read ({error}).")
            return
        if command.name not in SCHEMAS:
            _warn(f"run {event.run!r} is left out: there is no schema for {command.name!r}.")
            return
        self._runs[event.run] = _Run(command, event.job, self._jobs.get(event.job))

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
    """One run's arrays and state."""

    def __init__(self, command: Command, job: str, description: JobStarted | None) -> None:
        self.command = command
        self.job = job
        self.state: State = "queued"
        self.error = ""
        self.note = ""
        self.started: RunStarted | None = None
        self.time = math.nan
        self._schema: Schema = SCHEMAS[command.name]
        self._coordinates: Coordinates = self._schema.coordinates(command, description)
        self._sizes = {dim: len(self._coordinates[dim]) for dim in self._schema.dims}
        self._dims = {
            name: variable.dims or self._schema.dims
            for name, variable in self._schema.variables.items()
        }
        self._arrays: dict[str, NDArray[np.float64]] = {
            name: np.full([self._sizes[dim] for dim in dims], math.nan)
            for name, dims in self._dims.items()
        }

    def start(self, event: Event, started: RunStarted) -> None:
        self.state, self.error = "running", ""
        self.job, self.started, self.time = event.job, started, event.time

    def read(self, name: str, reading: Reading) -> None:
        index = reading.index
        if not all(0 <= at < self._sizes.get(dim, 0) for dim, at in index.items()):
            _warn(f"a reading of run {name!r} at {index} is left out: outside {self._sizes}.")
            return
        for variable, value in reading.values.items():
            dims = self._dims.get(variable, ())
            place = tuple(index.get(dim, slice(None)) for dim in dims)
            if not dims:
                _warn(f"variable {variable!r} of run {name!r} is left out: not in its schema.")
            elif not set(index) <= set(dims) or self._arrays[variable][place].shape != np.shape(
                value
            ):
                _warn(
                    f"variable {variable!r} of run {name!r} at {index} is left out: its shape does "
                    f"not fit {dict(zip(dims, self._arrays[variable].shape, strict=True))}."
                )
            else:
                self._arrays[variable][place] = value

    def dataset(self, attrs: dict[str, Any]) -> xr.Dataset:
        schema = self._schema
        if self._dims.get("alpha") == ("probe", "step"):
            # By these a reader knows the run's own coefficients from averages of them.
            first = np.stack([self._arrays[name][:, 0] for name in ("alpha", "beta")], axis=1)
            known = [[v if math.isfinite(v) else None for v in row] for row in first.tolist()]
            attrs = {**attrs, "first_coefficients": json.dumps(known)}
        return xr.Dataset(
            {
                name: (self._dims[name], self._arrays[name].copy(), variable.attrs)
                for name, variable in schema.variables.items()
            },
            {
                name: (name, values, schema.descriptions[name].attrs)
                for name, values in self._coordinates.items()
            },
            attrs,
        )


def _provenance(run: _Run, job: JobStarted | None) -> dict[str, Any]:
    """Where the numbers come from; the run's own word counts before the job's."""
    known: dict[str, Any] = {
        "state": run.state,
        "error": run.error,
        **({"note": run.note} if run.note else {}),
        **command_to_json(run.command),
        "asked": command_to_json(run.command),  # whole: the job's own words may cover some of it
        "epsilon_convention": EPSILON_CONVENTION,
        "hessview_version": __version__,
        "job": run.job,
    }
    if job is not None:
        fields = dataclasses.asdict(job)
        known |= {"job_seed": fields.pop("seed"), **fields}
    if run.started is not None:
        started = datetime.datetime.fromtimestamp(run.time, datetime.UTC)
        fields = dataclasses.asdict(run.started)
        known |= {"started": started.isoformat(), **fields.pop("notes")}
        known |= {key: value for key, value in fields.items() if value is not None}
    return {key: _plain(value) for key, value in known.items() if not _missing(value)}


def _missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and not math.isfinite(value))


def _plain(value: Any) -> str | int | float:
    if isinstance(value, Mapping | list):
        return json.dumps(value)
    if isinstance(value, bool):
        return int(value)  # netCDF holds none
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return str(value)  # netCDF and Zarr hold no larger integer
    return value if isinstance(value, str | int | float) else str(value)


def _warn(text: str) -> None:
    warnings.warn(text, RecordWarning, stacklevel=4)
