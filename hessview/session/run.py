"""One command's life, as a kernel sees it."""

import logging
import math
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import xarray as xr

from hessview.errors import JobLostError, RunCancelledError, RunFailedError
from hessview.extensions import look
from hessview.record.collect import Collector
from hessview.record.commands import Command
from hessview.record.events import ENDED, State

_log = logging.getLogger(__name__)

_GLANCE = 0.5  # seconds; waits are cut up, so that an interrupt is heard on every platform


class _Owner(Protocol):
    """What a run needs of its session."""

    collector: Collector
    changed: threading.Condition
    lost: JobLostError | None

    def cancel(self, run: str) -> None:
        """Ask the job to stop a run."""
        ...


class Run:
    """A measurement that arrives: a dataset that fills up, with a state.

    Args:
        owner: The session.
        identity: Identity of the run.
    """

    def __init__(self, owner: _Owner, identity: str) -> None:
        self.id = identity
        self._owner = owner
        self._callbacks: list[Callable[[], None]] = []

    @property
    def session(self) -> _Owner:
        """The session it was asked for in."""
        return self._owner

    @property
    def command(self) -> Command:
        """The command that was asked for."""
        return self._owner.collector.command(self.id)

    @property
    def state(self) -> State:
        """Where the run is: queued, running, done, cancelled or failed."""
        return self._owner.collector.state(self.id)

    @property
    def error(self) -> str:
        """Why the run did not get to its end, "" if it did or still may."""
        return self._owner.collector.error(self.id)

    @property
    def dataset(self) -> xr.Dataset:
        """What was measured so far; NaN means not yet. Its form is fixed from the start."""
        return self._owner.collector.dataset(self.id)

    @property
    def lost(self) -> JobLostError | None:
        """Why nothing more can arrive; None while something may."""
        return self._owner.lost

    def wait(self, timeout: float | None = None) -> xr.Dataset:
        """Wait until the run is over; an interrupt stops the waiting, not the run.

        Args:
            timeout: Seconds to wait at the most; None for no limit.

        Returns:
            The full dataset.

        Raises:
            RunFailedError: The run failed; `dataset` holds what was measured.
            RunCancelledError: The run was cancelled; `dataset` holds what was measured.
            JobLostError: The job is gone; `dataset` holds what was measured.
            TimeoutError: The run is not over yet, and goes on.
        """
        owner = self._owner
        deadline = math.inf if timeout is None else time.monotonic() + timeout
        with owner.changed:
            while self.state not in ENDED:
                if owner.lost is not None:
                    raise owner.lost
                remaining = deadline - time.monotonic()
                if remaining <= 0:
                    raise TimeoutError(
                        f"run {self.id} is still {self.state} after {timeout:g} s and goes on; "
                        "wait again, look at .dataset, or .cancel() it."
                    )
                owner.changed.wait(min(_GLANCE, remaining))
        if self.state == "failed":
            raise RunFailedError(f"{self.error} (run {self.id}; .dataset holds what was measured)")
        if self.state == "cancelled":
            raise RunCancelledError(
                f"run {self.id} was cancelled; .dataset holds what was measured."
            )
        return self.dataset

    def cancel(self) -> None:
        """Stop the run at the next safe point, after the product that is being computed."""
        self._owner.cancel(self.id)

    def card(self) -> Any:
        """The run in a few lines: progress, time left, headline numbers, and Cancel.

        Returns:
            A widget (`page.widget.RunCard`): display it, or let a cell end with it.
        """
        return look("run's card")(self)

    def on_change(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call back after each change, from another thread.

        Args:
            callback: Called without arguments; it must return soon.

        Returns:
            Call it to end this.
        """
        self._callbacks.append(callback)
        return lambda: self._callbacks.remove(callback) if callback in self._callbacks else None

    def tell(self) -> None:
        """Call back whoever asked for it; called by the session."""
        call_all(self._callbacks, f"run {self.id}")

    def __repr__(self) -> str:
        return f"<hessview.Run {self.id}: {self.command.name}, {self.state}>"

    def _ipython_display_(self) -> None:
        look("run")(self)._ipython_display_()


def call_all(callbacks: Iterable[Callable[[], None]], whose: str) -> None:
    """Call callbacks of others; one that fails is logged, and the rest are called."""
    for callback in list(callbacks):
        try:
            callback()
        except Exception:  # the events that follow must still arrive
            _log.exception("a callback of %s failed", whose)
