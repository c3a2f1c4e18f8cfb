"""A kernel's claim on a job."""

import dataclasses
import json
import time
import uuid

from hessview.checked import check_name, check_time, checked
from hessview.transport.process import Process


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
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.since))
        return f"the kernel with {self.process} (since {when})"
