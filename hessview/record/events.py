"""What kernel and job say to each other: `commands` go up, events come down.

Every message is a frozen dataclass, and crosses the wire and lies on disk as JSON. What is
written is checked as it will be when it is read. NaN means "not measured" and is null in JSON.
"""

import dataclasses
import math
import re
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from hessview.errors import InputError, RecordError
from hessview.record.validation import checked, plain, shown

PROTOCOL = 1
"""Version of the messages; kernel and job must hold the same."""

_RUN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")  # a node of a tree, a group of netCDF
_LATEST = 253_370_764_800.0  # seconds; the year 9999, the last that a calendar knows
_LONGEST_TEXT = 1 << 16  # characters; an error may quote a whole tensor

State = Literal["queued", "running", "done", "cancelled", "failed"]
ENDED: frozenset[str] = frozenset({"done", "cancelled", "failed"})


@dataclasses.dataclass(frozen=True, kw_only=True)
class JobStarted:
    """A job opened its record: what is differentiated, and where.

    Attributes:
        model: Name of the model, as the user gave it.
        revision: Revision or file of the weights, "" if there is none.
        parameters: Number of differentiated parameters, over all ranks.
        blocks: Parameters per block, in the order of the model.
        world_size: Number of ranks.
        mesh: Size of each named dimension of the device mesh.
        device: Device type, such as "cpu" or "cuda".
        dtype: Data type of the parameters' shards.
        compute_dtype: Data type of forward and backward.
        loss: Mean loss per weight unit (token) at these parameters.
        gradient_norm: Euclidean norm of the gradient, over all ranks.
        weight: Sum of the loss terms' weights (tokens), over all ranks.
        weight_unit: What the weight counts, such as "tokens".
        batches: Number of batches in the fixed data set.
        digest: Digest of the batches' contents.
        seed: Seed of model and data.
        tau: Relative gradient change from which the step-size rule starts.
        versions: Versions of Python and of the packages that matter.
        host: Name of rank 0's host.
        data_ranks: Number of ranks, or of groups of ranks, that are given different batches;
            None in records that do not say.
        notes: What else holds for the job, by name.
        operators: Names of the operators that can be asked for; [] in records that do not say.
    """

    kind: ClassVar[str] = "job_started"
    model: str
    revision: str
    parameters: int
    blocks: dict[str, int]
    world_size: int
    mesh: dict[str, int]
    device: str
    dtype: str
    compute_dtype: str
    loss: float
    gradient_norm: float
    weight: float
    weight_unit: str
    batches: int
    digest: str
    seed: int
    tau: float
    versions: dict[str, str]
    host: str
    data_ranks: int | None = None
    notes: dict[str, str] = dataclasses.field(default_factory=dict)
    operators: list[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunQueued:
    """A command was accepted.

    Attributes:
        command: The command as JSON, with its name under "command".
        blocks: Names of the job's blocks where the command takes these, so that its readings
            have names whatever became of the job's own word; [] where it does not.
    """

    kind: ClassVar[str] = "run_queued"
    command: dict[str, Any]
    blocks: list[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunStarted:
    """The ranks began a run.

    Attributes:
        training_step: Step of the surrounding training loop, None outside of one.
        loss: Mean loss at the weights of this run.
        gradient_norm: Norm of the gradient at the weights of this run.
        parameters: Number of parameters that the run is restricted to, None for all of the job's.
        notes: What else holds for the whole run, by name; it goes into the dataset's attrs.
    """

    kind: ClassVar[str] = "run_started"
    training_step: int | None
    loss: float
    gradient_norm: float
    parameters: int | None = None
    notes: dict[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reading:
    """Some numbers of a run's dataset.

    Attributes:
        index: Position along dimensions, such as {"probe": 0, "step": 3}; counted from 0.
        values: Value of each variable there: a number, or a list where one of the variable's
            dimensions is not in the index.
    """

    kind: ClassVar[str] = "reading"
    index: dict[str, int]
    values: dict[str, float | list[float]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunEnded:
    """A run is over.

    Attributes:
        state: "done", "cancelled" or "failed".
        error: What happened and what to do, "" when done.
        note: What else is to be said, such as why the run ended before its last probe.
    """

    kind: ClassVar[str] = "run_ended"
    state: State
    error: str = ""
    note: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class JobEnded:
    """The job closed its record.

    Attributes:
        reason: Why, in words.
    """

    kind: ClassVar[str] = "job_ended"
    reason: str


Payload = JobStarted | RunQueued | RunStarted | Reading | RunEnded | JobEnded
PAYLOADS: dict[str, type[Payload]] = {
    cls.kind: cls for cls in (JobStarted, RunQueued, RunStarted, Reading, RunEnded, JobEnded)
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Event:
    """One line of the record.

    Attributes:
        seq: Position in the event log, counted from 1, without gaps.
        time: Seconds since the epoch.
        job: Identity of the job that wrote it; a restarted job has another.
        run: Identity of the run it belongs to, "" for the job's own events.
        payload: What happened.
    """

    seq: int
    time: float
    job: str
    run: str
    payload: Payload


def check_run(run: object) -> str:
    """The identity of a run, if it may be one.

    Args:
        run: What was given.

    Raises:
        InputError: Anything but up to 64 letters, digits, "_", "-" and ".", the first no "." or
            "-": it names a node of a tree, and a group of a file.
    """
    if not isinstance(run, str) or not _RUN.fullmatch(run):
        raise InputError(
            f"run {shown(run)} is not allowed; use up to 64 letters, digits, '_', '-' and '.', "
            "beginning with a letter, a digit or '_'."
        )
    return run


def event_to_json(event: Event) -> dict[str, Any]:
    """Event as a JSON object; NaN and infinities become null, texts of 65,536 characters end."""
    return {
        "seq": event.seq,
        "time": event.time,
        "job": event.job,
        "run": event.run,
        "kind": event.payload.kind,
        **{key: _written(value) for key, value in dataclasses.asdict(event.payload).items()},
    }


def event_from_json(data: object) -> Event:
    """Event from its JSON object; null where a number belongs becomes NaN.

    Fields that this version does not know are passed over; within one `PROTOCOL` they only add.

    Args:
        data: What was read.

    Raises:
        RecordError: A kind that this version does not know, a field that is missing, or one that
            holds what it may not.
    """
    kind = data.get("kind") if isinstance(data, Mapping) else None
    try:
        if not isinstance(data, Mapping):
            raise ValueError(f"{shown(data)} is not an object")
        if not isinstance(kind, str) or kind not in PAYLOADS:
            raise ValueError("there is no such kind")
        payload = checked(PAYLOADS[kind], data)
        return Event(payload=payload, **_head(data))
    except (ValueError, OverflowError, RecursionError, MemoryError) as error:
        raise RecordError(
            f"an event of kind {shown(kind)} cannot be read ({error}); it was altered, or written "
            "by another version of hessview: read it with that version."
        ) from error


def _head(data: Mapping[str, Any]) -> dict[str, Any]:
    seq, time, job, run = (data.get(key) for key in ("seq", "time", "job", "run"))
    if type(seq) is not int or not 0 < seq < 2**63:
        raise ValueError(f"seq: {shown(seq)} is not a whole number >= 1")
    if type(time) not in (int, float) or not 0 <= time < _LATEST:  # type: ignore[operator]
        raise ValueError(f"time: {shown(time)} is not a time")
    if not isinstance(job, str):
        raise ValueError(f"job: {shown(job)} is not a text")
    if run != "":
        check_run(run)
    return {"seq": seq, "time": float(time), "job": plain(job), "run": run}  # type: ignore[arg-type]


def _written(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, str):
        return plain(value if len(value) <= _LONGEST_TEXT else f"{value[:_LONGEST_TEXT]}...")
    if isinstance(value, dict):
        return {key: _written(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_written(entry) for entry in value]
    return value
