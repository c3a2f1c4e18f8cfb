"""job.json: what a run directory says about its job."""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any, Literal

import hessview
from hessview.checked import checked, shown, told
from hessview.errors import JobError
from hessview.messages import PROTOCOL
from hessview.transport.process import Process

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
    version: str = hessview.__version__

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
                f"this process speaks protocol {PROTOCOL} (hessview {hessview.__version__}); "
                "install the same hessview on both sides."
            )
        return checked(cls, data)
