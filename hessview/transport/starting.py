"""starting.json: what a job that is not ready yet is doing."""

import dataclasses
import json
import pathlib
import time
from typing import ClassVar

from hessview.transport.process import Process


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

    def to_json(self) -> str:
        """The file's text."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Starting":
        """From the file's text.

        Raises:
            ValueError: It is damaged.
        """
        try:
            data = json.loads(text)
            return cls(
                process=Process.from_json(data["process"]),
                phase=str(data["phase"]),
                began=float(data["began"]),
            )
        except (KeyError, TypeError, RecursionError) as error:
            raise ValueError(f"damaged: {error!r}") from error

    @classmethod
    def read(cls, run_dir: pathlib.Path) -> "Starting | None":
        """What a run directory says of this, None where it says nothing that can be believed.

        Args:
            run_dir: The run directory.
        """
        try:
            return cls.from_json((run_dir / cls.FILENAME).read_text())
        except (OSError, ValueError):  # ready meanwhile, or damaged
            return None

    def __str__(self) -> str:
        return f"{self.phase}, for {max(0.0, time.time() - self.began):.0f} s now"
