"""starting.json: what a job that is not ready yet is doing."""

import dataclasses
import json
import pathlib
import time
from typing import ClassVar

from hessview.checked import check_time, checked, one_line
from hessview.files import read_text
from hessview.transport.process import Process

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
        """What a run directory says of this, None where it says nothing that can be believed.

        Args:
            run_dir: The run directory.
        """
        try:
            return checked(cls, json.loads(read_text(run_dir / cls.FILENAME, _MOST_BYTES)))
        except (OSError, ValueError, RecursionError, MemoryError):  # ready meanwhile, or damaged
            return None

    def __str__(self) -> str:
        return f"{self.phase}, for {max(0.0, time.time() - self.began):.0f} s now"
