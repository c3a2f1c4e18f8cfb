"""What kernel and job say to each other: `commands` go up, events come down.

Every message is a frozen dataclass that validates itself when it is made, and
crosses the wire and lies on disk as JSON. NaN means "not measured" and is null
in JSON.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from hessview.errors import RecordError

PROTOCOL = 1
"""Version of the messages; kernel and job must hold the same."""

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


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunQueued:
    """A command was accepted.

    Attributes:
        command: The command as JSON, with its name under "command".
    """

    kind: ClassVar[str] = "run_queued"
    command: dict[str, Any]


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


def event_to_json(event: Event) -> dict[str, Any]:
    """Event as a JSON object; NaN and infinities become null."""
    return {
        "seq": event.seq,
        "time": event.time,
        "job": event.job,
        "run": event.run,
        "kind": event.payload.kind,
        **{key: _finite(value) for key, value in dataclasses.asdict(event.payload).items()},
    }


def event_from_json(data: Mapping[str, Any]) -> Event:
    """Event from its JSON object; null where a number belongs becomes NaN.

    Raises:
        RecordError: A kind or a set of fields that this version does not know.
    """
    fields = dict(data)
    try:
        head = {key: fields.pop(key) for key in ("seq", "time", "job", "run")}
        cls = PAYLOADS[fields.pop("kind")]
        for field in dataclasses.fields(cls):
            if field.type is float and fields.get(field.name, 0.0) is None:
                fields[field.name] = math.nan
        if cls is Reading:
            fields["values"] = {key: _numbers(value) for key, value in fields["values"].items()}
        return Event(payload=cls(**fields), **head)
    except (KeyError, TypeError, AttributeError) as error:
        raise RecordError(
            f"an event of kind {data.get('kind')!r} cannot be read ({error}); it was written by "
            "another version of hessview: read it with that version."
        ) from error


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_finite(entry) for entry in value]
    return value


def _numbers(value: Any) -> Any:
    if isinstance(value, list):
        return [_numbers(entry) for entry in value]
    return math.nan if value is None else value
