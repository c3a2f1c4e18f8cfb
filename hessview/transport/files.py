"""Small files of a run directory: who runs the job, who holds it, how it starts and fails."""

import dataclasses
import json
import pathlib
import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from hessview._version import __version__
from hessview.errors import JobError
from hessview.record.events import PROTOCOL
from hessview.record.files import read_text
from hessview.record.validation import check_name, check_time, checked, one_line, shown, told
from hessview.transport.liveness import Process


@dataclasses.dataclass(frozen=True, kw_only=True)
class Claim:
    """A kernel's wish to be served, and its right to be once it lies in the run directory.

    Attributes:
        identity: Unique name of this claim.
        process: The kernel.
        since: Seconds since the epoch.
    """

    identity: str
    process: Process
    since: float

    def __post_init__(self) -> None:
        check_name("identity", self.identity)
        check_time("since", self.since)

    @classmethod
    def new(cls) -> "Claim":
        """A claim of this process, from now on."""
        return cls(identity=uuid.uuid4().hex, process=Process.current(), since=time.time())

    def to_json(self) -> str:
        """The claim file's text."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, data: object) -> "Claim":
        """Claim from the JSON object of its file.

        Raises:
            ValueError: Not such an object.
        """
        return checked(cls, data)

    def __str__(self) -> str:
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.since))
        return f"the kernel with {self.process} (since {since})"


# Texts by which gloo and NCCL say that the rank at the other end has gone.
_LOST_PEER = (
    "Connection closed by peer",
    "Connection reset by peer",
    "Broken pipe",
    "remote process exited",
    "Connection refused",
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Failure:
    """The error that ended a rank.

    Attributes:
        rank: The rank.
        error: Kind and text of its error.
        time: Seconds since the epoch.
    """

    rank: int
    error: str
    time: float

    def __post_init__(self) -> None:
        check_time("time", self.time)
        object.__setattr__(self, "error", told(self.error))

    @classmethod
    def of(cls, rank: int, error: BaseException | str) -> "Failure":
        """Failure of a rank by an error, now."""
        text = error if isinstance(error, str) else f"{type(error).__name__}: {error}"
        return cls(rank=rank, error=text, time=time.time())

    @property
    def lost_peer(self) -> bool:
        """Whether the rank only died because another one had gone."""
        return any(words in self.error for words in _LOST_PEER)


def blame(failures: Sequence[Failure], dead_ranks: Mapping[int, Process]) -> str:
    """The first cause of a job's death, in words.

    Args:
        failures: What ranks said that they died of, the earliest first.
        dead_ranks: Ranks whose process is gone.

    Returns:
        Which rank and why, as far as it can be told; "" if nothing went wrong.
    """
    for failure in failures:
        if not failure.lost_peer:
            return f"rank {failure.rank} failed: {failure.error}"
    failed_ranks = {failure.rank for failure in failures}
    silent = sorted(rank for rank in dead_ranks if rank not in failed_ranks)
    if silent:
        ranks_in_words = ", ".join(f"rank {rank} ({dead_ranks[rank]})" for rank in silent)
        return (
            f"{ranks_in_words} was killed without a word, by the system (out of memory?), by hand, "
            "or with torchrun; the end of torchrun's output says which"
        )
    if failures:
        return (
            f"another rank was killed without a word; rank {failures[0].rank}: {failures[0].error}"
        )
    return ""


_MOST_BYTES = 1 << 16


@dataclasses.dataclass(frozen=True, kw_only=True)
class Starting:
    """A job before its first event.

    Attributes:
        process: Rank 0.
        phase: What it is doing, such as "loading smollm2".
        began: When it began to do so, in seconds since the epoch.
        FILENAME: Where it says so, in the run directory.
    """

    FILENAME: ClassVar[str] = "starting.json"

    process: Process
    phase: str
    began: float

    def __post_init__(self) -> None:
        check_time("began", self.began)
        object.__setattr__(self, "phase", one_line(self.phase))

    def to_json(self) -> str:
        """The file's text."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def read(cls, run_dir: pathlib.Path) -> "Starting | None":
        """The starting job of a run directory, None where its file is missing or damaged.

        Args:
            run_dir: The run directory.
        """
        try:
            return checked(cls, json.loads(read_text(run_dir / cls.FILENAME, _MOST_BYTES)))
        except (OSError, ValueError, RecursionError, MemoryError):  # ready meanwhile, or damaged
            return None

    def __str__(self) -> str:
        return f"{self.phase}, for {max(0.0, time.time() - self.began):.0f} s now"


JobState = Literal["waiting", "held", "ended"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class JobFile:
    """The state of a job, as rank 0 last wrote it.

    Attributes:
        job: Identity of the job.
        process: Rank 0.
        epoch: Counts the times at which the job became free to be claimed; it never goes back.
        token: Secret of this epoch, shown with every call.
        state: "waiting" for a kernel, "held" by the kernel that claimed this epoch, "ended".
        listen: Address at which kernels on other hosts reach it, with its interface; "" if none
            may.
        talk: Name of the talk for which the job's end of the link is open, "" if it is closed.
        reason: Why the job ended, "" while it lives.
        left: Identity of the claim that was served last, "" if none was.
        left_reason: Why that claim is no longer served.
        protocol: Version of the messages.
        version: Version of hessview.
    """

    job: str
    process: Process
    epoch: int
    token: str = dataclasses.field(repr=False)
    state: JobState = "waiting"
    listen: str = ""
    talk: str = ""
    reason: str = ""
    left: str = ""
    left_reason: str = ""
    protocol: int = PROTOCOL
    version: str = __version__

    def __post_init__(self) -> None:
        if self.epoch < 0:
            raise ValueError(f"epoch: {self.epoch} is not a whole number >= 0")
        for name in ("job", "listen", "reason", "left_reason"):
            object.__setattr__(self, name, told(getattr(self, name)))

    def to_json(self) -> str:
        """The file's text."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "JobFile":
        """Job file from its JSON object.

        Raises:
            JobError: It is of another protocol version.
            ValueError: It is damaged.
        """
        protocol, version = data.get("protocol"), data.get("version")
        if type(protocol) is not int or not isinstance(version, str):
            raise ValueError(f"protocol {shown(protocol)}, version {shown(version)}")
        if protocol != PROTOCOL:
            raise JobError(
                f"the job speaks protocol {shown(protocol)} (hessview {shown(version)[1:-1]}), "
                f"this process speaks protocol {PROTOCOL} (hessview {__version__}); "
                "install the same hessview on both sides."
            )
        return checked(cls, data)
