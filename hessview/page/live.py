"""A page that follows its runs: whatever holds some, as a list; readings arrive, buttons act."""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeGuard, runtime_checkable

import xarray as xr

from hessview.errors import HessviewError, InputError, JobLostError
from hessview.page.contract import Notice, Standing
from hessview.record.commands import Command
from hessview.record.datasets import as_dataset, as_datasets
from hessview.record.events import ENDED
from hessview.record.measurements import command_from_json

SECONDS_BETWEEN = 0.1  # ten pictures a second look continuous, and leave the kernel its time


class Pump:
    """Calls a function after it was poked, at most ten times a second, on a thread of its own.

    Pokes that come meanwhile count as one. The thread lives only while there is something to do.

    Args:
        act: What to do.
    """

    def __init__(self, act: Callable[[], None]) -> None:
        self._act = act
        self._lock = threading.Lock()
        self._poked = False
        self._closed = False
        self._thread: threading.Thread | None = None

    def poke(self) -> None:
        """Ask for a call that begins after this one; from any thread, returns at once."""
        with self._lock:
            self._poked = not self._closed
            if self._poked and self._thread is None:
                self._thread = threading.Thread(
                    target=self._work, daemon=True, name="hessview-view"
                )
                self._thread.start()

    def close(self) -> None:
        """Call no more; a call that is under way comes to its end."""
        with self._lock:
            self._closed, self._poked = True, False

    def _work(self) -> None:
        while self._next():
            began = time.monotonic()
            try:
                self._act()
            except BaseException:
                with self._lock:
                    self._thread = None
                raise
            time.sleep(max(0.0, SECONDS_BETWEEN - (time.monotonic() - began)))

    def _next(self) -> bool:
        with self._lock:
            poked, self._poked = self._poked, False
            if not poked:
                self._thread = None
            return poked


DETACHED = "detached"
"""State of a run that may go on, but not before our eyes."""


@runtime_checkable
class Live(Protocol):
    """What a page needs of a run that may still go on; `hessview.Run` is one."""

    id: str

    @property
    def dataset(self) -> xr.Dataset:
        """What is measured so far."""
        ...

    @property
    def lost(self) -> Exception | None:
        """Why nothing more can arrive, None while it may."""
        ...

    def on_change(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call back after every event of the run, from any thread; returns how to stop that."""
        ...


def is_live(run: object) -> TypeGuard[Live]:
    """Whether this is a run, not just its data."""
    return not isinstance(run, xr.Dataset | xr.DataTree) and isinstance(run, Live)


def runs_of(source: Any) -> list[Live | xr.Dataset]:
    """The runs in what was given, in order.

    Args:
        source: A session (all its runs), a run, a dataset, the tree of a run directory, or an
            iterable of these.

    Returns:
        Runs and datasets, at least one.

    Raises:
        InputError: Something else, or nothing.
    """
    runs = list(_walk(source))
    if not runs:
        raise InputError(
            "there is no run to show; pass a session that has some, runs, their datasets, or "
            "hessview.open_runs(run_dir)."
        )
    return runs


def dataset_of(run: Live | xr.Dataset) -> xr.Dataset:
    """The dataset of a run, as it is now.

    Args:
        run: A run or its dataset.

    Returns:
        The dataset. Of a run under way from which nothing more can arrive, the state is
        `DETACHED` and the error says why.
    """
    if isinstance(run, xr.Dataset):
        return run
    lost = run.lost  # asked first: what was collected before the loss is in the dataset
    ds = run.dataset
    if lost is not None and ds.attrs.get("state") not in ENDED:
        return ds.assign_attrs(state=DETACHED, error=str(lost))
    return ds


def is_over(run: Live) -> bool:
    """Whether nothing more can arrive of a run."""
    return dataset_of(run).attrs.get("state") in ENDED | {DETACHED}


def session_of(run: Any) -> Any:
    """The session that can be asked about a run, None of a record or one that is only watched."""
    session = getattr(run, "session", None) if is_live(run) else None
    return None if session is None or session.read_only else session


def _walk(source: Any) -> Iterator[Live | xr.Dataset]:
    from hessview.session.session import Session

    if isinstance(source, xr.DataTree):
        yield from as_datasets(source)
    elif isinstance(source, xr.Dataset):
        yield as_dataset(source)
    elif is_live(source):
        yield source
    elif isinstance(source, Session):
        yield from source.runs
    elif isinstance(source, Iterable) and not isinstance(source, str | bytes):
        for entry in source:
            yield from _walk(entry)
    else:
        raise InputError(
            f"a {type(source).__name__} is no run; pass a session, a run, its dataset, the tree "
            "of hessview.open_runs(run_dir), or a list of these."
        )


Answer = Callable[[Notice | None, Live | None], None]

_log = logging.getLogger(__name__)


class Asked(Protocol):
    """What a page needs of whom it asks; `hessview.Session` is one."""

    @property
    def lost(self) -> JobLostError | None:
        """Why nothing can be asked any more, None while it can."""
        ...

    @property
    def runs(self) -> Sequence[Live]:
        """All its runs."""
        ...

    def submit(self, command: Command) -> Live:
        """Ask for a run."""
        ...

    def cancel(self, run: str) -> None:
        """Stop a run."""
        ...

    def on_change(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call back after every change, from any thread; returns how to stop that."""
        ...


def perform(message: object, session: Asked) -> Live | None:
    """Do what a page asks.

    Args:
        message: {"action": "cancel", "run": identity}, or {"action": "measure", "command": the
            command as JSON}; as JSON values, by whoever sits at the page.
        session: Whom to ask.

    Returns:
        The run that was asked for, None for a cancel.

    Raises:
        HessviewError: The message is not allowed, or the session refuses it; nothing was done.
    """
    if not isinstance(message, Mapping) or message.get("action") not in ("cancel", "measure"):
        raise InputError(
            f'{message!r} is not allowed; use an action, "cancel" with its run or "measure" '
            "with its command."
        )
    if message["action"] == "measure":
        return session.submit(_command(message.get("command")))
    run = str(message.get("run", ""))
    ids = [own_run.id for own_run in session.runs]
    if run not in ids:
        raise InputError(f"run {run!r} is none of this session's; they are {ids}.")
    session.cancel(run)
    return None


class Actions:
    """Does what a page asks, each on a thread of its own: whoever tells it goes on at once.

    Args:
        session_of: Session to ask, by the run that a message is about ("" for none).
        answer: Called when it is done, with what to tell ({"text", "tone"}, None for nothing)
            and the run that was asked for, if any; from another thread.
    """

    def __init__(self, session_of: Callable[[str], Asked], answer: Answer) -> None:
        self._session_of = session_of
        self._answer = answer

    def __call__(self, message: object) -> None:
        """Take a message; never blocks, never raises. "none" asks for nothing."""
        if isinstance(message, Mapping) and message.get("action") == "none":
            return
        threading.Thread(
            target=self._do, args=(message,), daemon=True, name="hessview-action"
        ).start()

    def _do(self, message: object) -> None:
        try:
            about = message.get("run") if isinstance(message, Mapping) else ""
            run = perform(message, self._session_of(str(about or "")))
        except HessviewError as error:
            self._answer({"text": str(error), "tone": "bad"}, None)
        except Exception as error:  # a page that hears nothing would look dead
            _log.exception("a page's message failed: %r", message)
            self._answer({"text": f"that failed: {error!r}", "tone": "bad"}, None)
        else:
            self._answer(None, run)


def _command(data: object) -> Command:
    if not isinstance(data, Mapping):
        raise InputError(f"command={data!r} is not allowed; use a command's JSON object.")
    try:
        return command_from_json(data)
    except (TypeError, ValueError) as error:
        if isinstance(error, HessviewError):
            raise
        raise InputError(f"command {dict(data)!r} cannot be read ({error}).") from error


def standing(sessions: Sequence[Asked], notice: Notice | None) -> Standing:
    """What a page's state says of asking.

    Args:
        sessions: Whom the page can ask; none of a page over records.
        notice: What was answered last.

    Returns:
        asking: Whether it can be asked at this moment; reason: why not, ""; notice: what was
        answered ({"text", "tone"}), None for nothing. Nothing at all where there is no session.
    """
    if not sessions:
        return {}
    lost = [str(session.lost) for session in sessions if session.lost is not None]
    asking = len(lost) < len(sessions)
    return {"asking": asking, "reason": "" if asking else lost[0], "notice": notice}
