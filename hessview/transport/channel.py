"""What a kernel can ask of a job, whatever lies between them."""

from typing import Protocol

from hessview.messages import Command, Event


class Channel(Protocol):
    """A kernel's line to a job.

    Every method may raise JobLostError; the message says what happened and what to do.
    """

    def submit(self, run: str, command: Command) -> None:
        """Hand a command to the job; the same run identity twice counts once.

        Args:
            run: Identity of the run, made by the kernel.
            command: What to measure.
        """
        ...

    def events(self, after: int, wait: float) -> list[Event]:
        """Events with a sequence number above `after`.

        Args:
            after: Last sequence number that the caller has; 0 replays all.
            wait: Seconds to wait for an event if there is none yet.

        Returns:
            Events in order; empty if none came in time.
        """
        ...

    def cancel(self, run: str) -> None:
        """Stop a queued or running run at the next safe point; an ended one is left alone."""
        ...

    def close(self) -> None:
        """Leave the job, which goes on; closing twice is allowed."""
        ...
