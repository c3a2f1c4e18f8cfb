"""Interrupts that wait until what was borrowed from a training has been given back.

Python runs a signal's handler between any two instructions of the main thread, and what it raises
comes out there: in the middle of a `finally` that brings the parameters back, too. So while
something is borrowed, handlers are put aside and signals are noted; whoever computes looks for
them at points where it is safe to stop (`wanted`), and the handlers are called once all is as it
was. They find the user's own weights, then, also where they save them.

Other threads get no signals; for what is raised in them from outside, and for whatever slips
through, debts are kept until they are paid: the outermost `held` pays those that are left.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable
from types import FrameType, TracebackType
from typing import Any, Self

from hessview.errors import NotRestoredError, RunCancelledError

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGBREAK")
_STOPS = frozenset(getattr(signal, name) for name in _NAMES if hasattr(signal, name))
"""Signals that wait, since their handlers may save the weights, or end the process. Other
handlers (a child ended, a profiler ticks) are called at once, and what they raise waits."""

_PATIENCE = 5.0  # seconds, beyond those between safe points, until a second press breaks in
_TRIES = 5  # at giving back, of which an exception from outside may spoil some


Handler = Callable[[int, FrameType | None], Any]


class _Ledger:
    """What a thread holds back, and what it must give back."""

    def __init__(self) -> None:
        self.holder: held | None = None
        self.owed: list[Callable[[], None]] = []


class _Local(threading.local):
    def __init__(self) -> None:
        self.ledger = _Ledger()


class _Signals:
    """What happened to the main thread meanwhile."""

    def __init__(self) -> None:
        self.ledger: _Ledger | None = None  # of the main thread, once it has held anything
        self.process = 0
        self.aside: dict[int, _StandIn] = {}
        self.pending: list[int] = []
        self.raised: list[BaseException] = []
        self.closing = False
        self.reachable = False
        self.since = 0.0  # when the first one came
        self.looked = 0.0  # when somebody last looked for them
        self.longest = 0.0  # seconds between two looks


_local = _Local()
_signals = _Signals()


class held:
    """Hold interrupts back inside of the block; they come when it is left.

    Blocks within blocks are part of the outermost. In other threads than the main one, to which
    no signal comes, only debts are paid (see `borrowed`).

    Args:
        stops: Signals for which work inside is stopped at its next safe point; others that
            wait do so to the end.
    """

    def __init__(self, stops: Iterable[int] = _STOPS) -> None:
        self.ledger = _local.ledger
        self.stops = frozenset(stops)
        self._mark = 0

    def __enter__(self) -> Self:
        if self.ledger.holder is None:
            self._mark = len(self.ledger.owed)
            if threading.current_thread() is threading.main_thread():
                _put_aside(self)
            else:
                self.ledger.holder = self
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.ledger.holder is not self:
            return
        try:
            while len(self.ledger.owed) > self._mark:
                _pay(self.ledger.owed, self.ledger.owed[-1])
        finally:
            if self.ledger is _signals.ledger:
                _put_back(self.ledger)
            else:
                self.ledger.holder = None


class borrowed:
    """Change what is the user's inside of the block, and give it back on the way out.

    Giving back is never interrupted, and done again where an exception from outside spoilt it.

    Args:
        give_back: Puts everything back; it may be called several times, and where nothing was
            changed yet.
        hold: Whether to hold interrupts back; False where the block is left to others, as by
            a generator that yields, and somebody further out holds them back.

    Raises:
        NotRestoredError: It could not be given back.
    """

    def __init__(self, give_back: Callable[[], None], *, hold: bool = True) -> None:
        self._held = held() if hold else None
        self._owed = _local.ledger.owed
        self._give_back = give_back

    def __enter__(self) -> None:
        if self._held is not None:
            self._held.__enter__()
        self._owed.append(self._give_back)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            _pay(self._owed, self._give_back)
        finally:
            if self._held is not None:
                self._held.__exit__(kind, error, trace)


class reachable:
    """Mark the user's own code, which may never come to a safe point.

    An interrupt that has waited for too long breaks in when it comes again. What is borrowed is
    given back all the same, but what the user's code, or torch's, was doing is cut off.
    """

    def __enter__(self) -> None:
        self._before = _signals.reachable
        _signals.reachable = _local.ledger is _signals.ledger

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        _signals.reachable = self._before


def wanted() -> str:
    """What asks the work of this thread to stop, "" if nothing does; asking costs nothing."""
    holder = _local.ledger.holder
    if holder is None or _local.ledger is not _signals.ledger:
        return ""
    moment = time.monotonic()
    _signals.longest = max(_signals.longest, moment - _signals.looked)
    _signals.looked = moment
    names = [signal.Signals(number).name for number in _signals.pending if number in holder.stops]
    names += [type(error).__name__ for error in _signals.raised]
    return ", ".join(dict.fromkeys(names))


def check() -> None:
    """Stop here if something asks for it; called where stopping is safe.

    Raises:
        RunCancelledError: Something does; what it is comes when all is given back.
    """
    if names := wanted():
        raise RunCancelledError(f"stopped by {names}; what was measured is kept.")


def _overdue() -> bool:
    """Whether an interrupt has waited for too long."""
    waits = _local.ledger is _signals.ledger and (_signals.pending or _signals.raised)
    return bool(waits) and time.monotonic() - _signals.since > _limit()


def break_in() -> None:
    """Call the handlers of overdue interrupts here and now.

    For places that wait for others, who may never come, and where nothing is moved.
    """
    if _overdue():
        pending, raised = _signals.pending, _signals.raised
        _signals.pending, _signals.raised = [], []
        for number in pending:
            stand_in = _signals.aside.get(number)
            if stand_in is not None:
                stand_in.original(number, sys._getframe())
        _deliver([], raised)


def _limit() -> float:
    return _PATIENCE + 3 * _signals.longest


class _StandIn:
    """A handler that stands in for the user's."""

    def __init__(self, original: Handler) -> None:
        self.original = original

    def __call__(self, number: int, frame: FrameType | None) -> None:
        holding = _signals.ledger is not None and (_signals.ledger.holder or _signals.closing)
        if not holding or os.getpid() != _signals.process:  # forked meanwhile
            self.original(number, frame)
            return
        if not (_signals.pending or _signals.raised):
            _signals.since = time.monotonic()
        if number not in _STOPS:
            try:
                self.original(number, frame)
            except BaseException as error:
                _signals.raised.append(error)
        elif number in _signals.pending and _signals.reachable and _overdue():
            _signals.reachable = False  # what is raised here shall not be interrupted itself
            _signals.pending.remove(number)
            self.original(number, frame)
        elif number not in _signals.pending:
            _signals.pending.append(number)


def _put_aside(holder: held) -> None:
    """Replace all of the user's handlers by `_StandIn`s."""
    _signals.ledger, _signals.process = holder.ledger, os.getpid()
    _signals.pending, _signals.raised, _signals.closing = [], [], False
    _signals.looked, _signals.longest = time.monotonic(), 0.0
    try:
        for number in signal.valid_signals():
            handler: Any = signal.getsignal(number)
            while isinstance(handler, _StandIn):  # which an earlier time could not take away
                handler = handler.original
            if callable(handler):
                _signals.aside[number] = _StandIn(handler)
                signal.signal(number, _signals.aside[number])
        holder.ledger.holder = holder  # until here an interrupt comes through
    except BaseException:
        _restore_handlers()
        raise


def _put_back(ledger: _Ledger) -> None:
    """Put the user's handlers back, and call those whose signals have come."""
    pending, raised = _signals.pending, _signals.raised
    _signals.closing = True  # which keeps noting them until the handlers are back
    ledger.holder = None
    if threading.current_thread() is not threading.main_thread():
        _signals.closing = False  # a generator that another thread threw away
        return
    try:
        _restore_handlers()
    finally:
        _signals.closing = False
        _deliver(pending, raised)


def _restore_handlers() -> None:
    """Put handlers back; one that was put back may raise meanwhile, and stops nothing."""
    late: BaseException | None = None
    while _signals.aside:
        try:
            for number in list(_signals.aside):
                current: Any = signal.getsignal(number)
                if current is _signals.aside[number]:  # else the user's code has set another
                    signal.signal(number, current.original)
                del _signals.aside[number]
        except BaseException as error:
            late = error
    if late is not None:
        raise late


def _deliver(pending: list[int], raised: list[BaseException]) -> None:
    """Call the handlers of signals that came, all of them, whatever they raise."""
    if raised:
        try:
            _deliver(pending, raised[1:])
        finally:
            raise raised[0]
    if pending:
        try:
            handler = signal.getsignal(pending[0])
            if callable(handler):
                handler(pending[0], sys._getframe())
        finally:
            _deliver(pending[1:], [])


def _pay(owed: list[Callable[[], None]], give_back: Callable[[], None]) -> None:
    """Give back, whatever is raised from outside meanwhile; then it is owed no longer."""
    late: BaseException | None = None
    _signals.reachable = _signals.reachable and _local.ledger is not _signals.ledger
    for _ in range(_TRIES):
        try:
            give_back()
            if give_back in owed:
                owed.remove(give_back)
            break
        except BaseException as error:
            late = error
    else:
        if give_back in owed:  # once is enough to say so
            owed.remove(give_back)
        raise NotRestoredError(
            f"what was borrowed from the training could not be given back "
            f"({type(late).__name__}: {late}); its parameters, gradients or modes are not those of "
            "before: do not save them, and start it again from its latest checkpoint."
        ) from late
    if late is not None:
        raise late
