"""What kernel and job say to each other: commands go up, events come down.

Every message is a frozen dataclass that validates itself when it is made, and
crosses the wire and lies on disk as JSON. NaN means "not measured" and is null
in JSON.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from hessview.errors import InputError, RecordError

PROTOCOL = 1
"""Version of the messages; kernel and job must hold the same."""

State = Literal["queued", "running", "done", "cancelled", "failed"]
ENDED: frozenset[str] = frozenset({"done", "cancelled", "failed"})


def _whole(name: str, value: object, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise InputError(f"{name}={value!r} is not allowed; use a whole number >= {least}.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Density:
    """Ask for a spectral density by stochastic Lanczos quadrature.

    Attributes:
        steps: Lanczos steps per probe, at most the number of parameters.
        probes: Random probe vectors; with one there is no spread to report.
        epsilon: Step along a unit-norm vector, or "auto" for the rule of `operators.step_size`.
        seed: Seed of the probes; the same seed draws the same vectors on any number of ranks.
        reorthogonalize: "full" (against all earlier vectors), "none", or how many of the
            latest vectors (a window).
        error_every: A second product at twice the step measures D, the error of the first, at
            Lanczos steps 1, 2, 2 + error_every, 2 + 2 error_every, ...; 0 measures none.
        operator: Name in `operators.OPERATORS`, or "package.module:name".
    """

    name: ClassVar[str] = "density"
    steps: int = 64
    probes: int = 4
    epsilon: float | Literal["auto"] = "auto"
    seed: int = 0
    reorthogonalize: int | Literal["full", "none"] = "full"
    error_every: int = 16
    operator: str = "hessian"

    def __post_init__(self) -> None:
        _whole("steps", self.steps, 1)
        _whole("probes", self.probes, 1)
        _whole("error_every", self.error_every, 0)
        _whole("seed", self.seed, 0)
        if self.epsilon != "auto":
            given: object = self.epsilon
            number = isinstance(given, int | float) and not isinstance(given, bool)
            if not number or not math.isfinite(self.epsilon) or self.epsilon <= 0:
                raise InputError(
                    f"epsilon={given!r} is not allowed; use a finite number > 0, the step along "
                    'a unit-norm vector, or "auto".'
                )
        if self.reorthogonalize not in ("full", "none"):
            window: object = self.reorthogonalize
            if isinstance(window, bool) or not isinstance(window, int) or window < 1:
                raise InputError(
                    f'reorthogonalize={window!r} is not allowed; use "full", "none", or the '
                    "number of latest vectors (>= 1)."
                )
        if not isinstance(self.operator, str) or not self.operator:
            raise InputError(f"operator={self.operator!r} is not allowed; use a name.")

    def check(self, parameters: int) -> None:
        """Refuse what a model of this size cannot give.

        Args:
            parameters: Number of parameters that the objective differentiates.

        Raises:
            InputError: More steps than parameters.
        """
        if self.steps > parameters:
            raise InputError(
                f"steps={self.steps} exceeds the {parameters:,} parameters; "
                f"use steps <= {parameters}."
            )

    @property
    def total(self) -> int:
        """Number of readings that a full run gives."""
        return self.steps * self.probes


Command = Density
COMMANDS: dict[str, type[Command]] = {Density.name: Density}


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
        tau: Target relative gradient change of the step-size rule.
        versions: Versions of Python and of the packages that matter.
        host: Name of rank 0's host.
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
    """

    kind: ClassVar[str] = "run_started"
    training_step: int | None
    loss: float
    gradient_norm: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reading:
    """One row of a run's dataset.

    Attributes:
        index: Position along each dimension, such as {"probe": 0, "step": 3}; counted from 0.
        values: Value of each variable there.
    """

    kind: ClassVar[str] = "reading"
    index: dict[str, int]
    values: dict[str, float]


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunEnded:
    """A run is over.

    Attributes:
        state: "done", "cancelled" or "failed".
        error: What happened and what to do, "" when done.
    """

    kind: ClassVar[str] = "run_ended"
    state: State
    error: str = ""


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


def command_to_json(command: Command) -> dict[str, Any]:
    """Command as a JSON object, with its name under "command"."""
    return {"command": command.name, **dataclasses.asdict(command)}


def command_from_json(data: Mapping[str, Any]) -> Command:
    """Command from its JSON object.

    Raises:
        InputError: Unknown command or field, or a value outside what is allowed.
    """
    fields = dict(data)
    name = fields.pop("command", None)
    if name not in COMMANDS:
        raise InputError(f"command {name!r} is unknown; use one of {sorted(COMMANDS)}.")
    cls = COMMANDS[name]
    known = {field.name for field in dataclasses.fields(cls)}
    if unknown := sorted(set(fields) - known):
        raise InputError(f"{name} has no {unknown}; its fields are {sorted(known)}.")
    return cls(**fields)


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
            fields["values"] = {
                key: math.nan if value is None else value for key, value in fields["values"].items()
            }
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
    return value
