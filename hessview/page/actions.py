"""What a page asks of a session, from its buttons and forms."""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from hessview.commands import Command, command_from_json
from hessview.errors import HessviewError, InputError, JobLostError
from hessview.page.runs import Live

Notice = dict[str, str]
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
    known = [one.id for one in session.runs]
    if run not in known:
        raise InputError(f"run {run!r} is none of this session's; they are {known}.")
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
