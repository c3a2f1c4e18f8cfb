"""Which jobs there are under a folder, and who is attached to them."""

import dataclasses
import os
import pathlib
import time
import warnings
from collections.abc import Iterable

from hessview.errors import HessviewError, JobNotFoundError, RecordWarning, RunDirectoryError
from hessview.record.events import ENDED, JobStarted, RunEnded, RunQueued, RunStarted
from hessview.record.log import FILENAME, EventReader
from hessview.record.validation import one_line
from hessview.transport.diagnosis import living_job, still_starting
from hessview.transport.files import Starting
from hessview.transport.run_directory import RunDirectory
from hessview.wording import aligned

_COLUMNS = ("run directory", "state", "model", "ranks", "runs", "last event", "attached")
_WIDEST = 2_000  # characters of a cell
_DEPTH = 3  # folders below the given one that are looked through


@dataclasses.dataclass(frozen=True)
class JobEntry:
    """What a run directory says of its job; only files are read.

    Attributes:
        path: The run directory.
        state: "starting", "measuring", "idle", "stopped" by a signal, "ended" or "dead";
            "elsewhere" on another host, from where nobody can tell; or "unreadable".
        model: Name of the model, "" if the record does not say.
        ranks: Number of ranks, 0 if the record does not say.
        runs: How many runs the record holds.
        last: Time of the last event, in seconds since the epoch, 0 if there is none.
        attached: The kernel that holds the job, and since when; "" if none does.
        reason: Why there is no living job, or why it cannot be read.
    """

    path: pathlib.Path
    state: str
    model: str = ""
    ranks: int = 0
    runs: int = 0
    last: float = 0.0
    attached: str = ""
    reason: str = ""


def jobs(folder: str | os.PathLike[str] = "runs") -> list[JobEntry]:
    """Jobs of the run directories at and under a folder.

    Args:
        folder: A run directory, or a folder that holds some, up to three levels down.

    Returns:
        One entry for each run directory, the one that was active last first.

    Raises:
        RunDirectoryError: No such folder.
    """
    top = pathlib.Path(folder)
    if not os.path.isdir(top):
        raise RunDirectoryError(f"{top} is not a folder; name one that holds run directories.")
    below = [
        "/".join(["*"] * depth + [name])
        for depth in range(_DEPTH + 1)
        for name in (FILENAME, Starting.FILENAME)
    ]
    folders = {path.parent for pattern in below for path in top.glob(pattern)}
    return sorted((_entry(path) for path in folders), key=lambda entry: -entry.last)


def format_jobs(entries: Iterable[JobEntry]) -> str:
    """Jobs as a table for a terminal.

    Args:
        entries: What `jobs` gave.
    """
    rows = [
        (
            str(entry.path),
            entry.state,
            entry.model,
            str(entry.ranks or ""),
            str(entry.runs),
            time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(entry.last)) if entry.last else "",
            entry.attached or entry.reason,
        )
        for entry in entries
    ]
    return aligned([[one_line(cell, _WIDEST) for cell in row] for row in [_COLUMNS, *rows]])


def _entry(path: pathlib.Path) -> JobEntry:
    directory = RunDirectory(path.absolute())
    starting = still_starting(directory)
    try:
        if starting is not None and not (path / FILENAME).exists():
            return JobEntry(path, "starting", last=starting.began, reason=str(starting))
        entry, measuring = _recorded(path)
    except HessviewError as error:
        return JobEntry(path, "unreadable", reason=str(error))
    if starting is not None:
        return dataclasses.replace(entry, state="starting", reason=str(starting))
    try:
        job = living_job(directory)
    except HessviewError as error:
        state, reason = _without_job(directory, error)
        return dataclasses.replace(entry, state=state, reason=reason)
    attached = ""
    if job.state == "held":
        try:
            attached = str(directory.read_claim(job.epoch) or "")
        except HessviewError as error:
            attached = f"somebody who cannot be told: {error}"
    life = "stopped" if directory.ranks("stopped") else job.process.life()
    state = life if life in ("stopped", "elsewhere") else ("idle", "measuring")[measuring]
    reason = str(job.process) if life == "elsewhere" else ""
    return dataclasses.replace(entry, state=state, attached=attached, reason=reason)


def _recorded(path: pathlib.Path) -> tuple[JobEntry, bool]:
    """What the record says, and whether a run is under way in it."""
    started: JobStarted | None = None
    states: dict[str, str] = {}
    last = 0.0
    with warnings.catch_warnings(action="ignore", category=RecordWarning):
        for event in EventReader(path / FILENAME).read():
            last = event.time
            match event.payload:
                case JobStarted():
                    started = event.payload
                case RunQueued():
                    states[event.run] = "queued"
                case RunStarted():
                    states[event.run] = "running"
                case RunEnded(state=state):
                    states[event.run] = state
    entry = JobEntry(
        path,
        state="",
        model=started.model if started else "",
        ranks=started.world_size if started else 0,
        runs=len(states),
        last=last,
    )
    return entry, bool(set(states.values()) - ENDED)


def _without_job(directory: RunDirectory, error: HessviewError) -> tuple[str, str]:
    """State and reason where there is no job to be reached."""
    try:
        job = directory.read_job()
    except JobNotFoundError:
        return "ended", "a record without a job"
    except HessviewError:  # damaged, or of another version: nobody can tell
        return "unreadable", str(error)
    if job.state == "ended":
        return "ended", job.reason
    return "dead", str(error)
