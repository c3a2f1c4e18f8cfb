"""Signals wait while something is borrowed, whatever they are and however many come."""

import contextlib
import ctypes
import os
import random
import signal
import threading
import time

import pytest

from hessview import interrupts
from hessview.errors import NotRestoredError, RunCancelledError
from hessview.interrupts import borrowed, held, reachable

ALL = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGALRM, signal.SIGCHLD)


class Stopped(Exception):
    """What a handler of a user's raises."""


@pytest.fixture
def handlers():
    """Sets handlers, and sees that they are there again when the test is over."""
    before = {number: signal.getsignal(number) for number in ALL}
    own = {}

    def handle(number, handler):
        own[number] = handler
        signal.signal(number, handler)

    yield handle
    found = {number: signal.getsignal(number) for number in ALL}
    for number, handler in before.items():
        signal.signal(number, handler)
    assert found == before | own


@contextlib.contextmanager
def comes(kind, match=""):
    """Expect an interrupt by the end of the block, and not before it."""
    with pytest.raises(kind, match=match or None) as caught:
        yield caught


def strike(number=signal.SIGINT):
    os.kill(os.getpid(), number)
    time.sleep(0.001)


def raising(number, frame):
    raise Stopped(signal.Signals(number).name)


def test_an_interrupt_comes_when_the_outermost_block_is_left(handlers):
    handlers(signal.SIGINT, signal.default_int_handler)
    reached = []
    with comes(KeyboardInterrupt), held():
        assert interrupts.wanted() == ""
        with held():
            strike()
            strike()
            assert interrupts.wanted() == "SIGINT"
        reached.append("after the inner block")
        with pytest.raises(RunCancelledError, match=r"^stopped by SIGINT; what was measured is k"):
            interrupts.check()
        reached.append("the end")
    assert reached == ["after the inner block", "the end"]


def test_handlers_that_do_not_raise_are_called_once_all_is_given_back(handlers):
    calls = []
    state = ["lent"]
    for number in (signal.SIGTERM, signal.SIGUSR1):
        handlers(number, lambda number, frame: calls.append((number, state[0])))
    with held():
        with borrowed(lambda: state.__setitem__(0, "mine")):
            strike(signal.SIGUSR1)
            strike(signal.SIGTERM)
            strike(signal.SIGUSR1)
        assert calls == []
    assert calls == [(signal.SIGUSR1, "mine"), (signal.SIGTERM, "mine")]


def test_all_handlers_are_called_though_the_first_raises(handlers):
    handlers(signal.SIGINT, raising)
    calls = []
    handlers(signal.SIGTERM, lambda number, frame: calls.append(number))
    with comes(Stopped, match="SIGINT"), held():
        strike(signal.SIGINT)
        strike(signal.SIGTERM)
    assert calls == [signal.SIGTERM]


def test_other_signals_reach_their_handlers_at_once_and_what_they_raise_waits(handlers):
    calls = []
    handlers(signal.SIGCHLD, lambda number, frame: calls.append(number))
    handlers(signal.SIGALRM, raising)
    with comes(Stopped, match="SIGALRM"), held():
        strike(signal.SIGCHLD)
        assert calls == [signal.SIGCHLD]
        assert interrupts.wanted() == ""
        strike(signal.SIGALRM)
        assert interrupts.wanted() == "Stopped"
        calls.append("the end")
    assert calls == [signal.SIGCHLD, "the end"]


def test_a_block_may_be_stopped_by_some_signals_alone(handlers):
    handlers(signal.SIGINT, signal.default_int_handler)
    calls = []
    handlers(signal.SIGUSR1, lambda number, frame: calls.append(number))
    with held(stops=(signal.SIGINT,)):
        strike(signal.SIGUSR1)
        assert (interrupts.wanted(), calls) == ("", [])
    assert calls == [signal.SIGUSR1]


def test_a_handler_that_is_set_inside_stays_and_may_call_the_one_before(handlers):
    calls = []
    signal.signal(signal.SIGCHLD, lambda number, frame: calls.append("the user's"))
    with held():
        before = signal.getsignal(signal.SIGCHLD)

        def chained(number, frame):  # as torch's data loader does
            calls.append("chained")
            before(number, frame)

        handlers(signal.SIGCHLD, chained)
        strike(signal.SIGCHLD)
    strike(signal.SIGCHLD)
    with held():
        strike(signal.SIGCHLD)
    assert calls == 3 * ["chained", "the user's"]


def test_an_error_inside_is_not_lost_behind_an_interrupt(handlers):
    handlers(signal.SIGINT, signal.default_int_handler)
    with comes(KeyboardInterrupt) as caught, held():
        strike()
        raise ValueError("a bug")
    assert str(caught.value.__context__) == "a bug"


def test_giving_back_is_done_again_where_it_was_spoilt():
    tries = []

    def give_back():
        tries.append(1)
        if len(tries) < 3:
            raise KeyboardInterrupt

    with comes(KeyboardInterrupt), borrowed(give_back):
        pass
    assert len(tries) == 3


def test_what_cannot_be_given_back_is_said():
    def give_back():
        raise RuntimeError("device-side assert")

    text = r"could not be given back \(RuntimeError: device-side assert\).*do not save them"
    with pytest.raises(NotRestoredError, match=text), borrowed(give_back):
        pass
    with held():  # and the next one is not asked to
        pass


def test_a_debt_of_a_generator_that_was_never_closed_is_paid():
    paid = []

    def generator():
        with borrowed(lambda: paid.append(1), hold=False):
            yield

    with held():
        running = generator()
        next(running)
    assert paid == [1]
    running.close()


def test_a_debt_from_before_is_not_paid_by_a_block_inside():
    paid = []
    with borrowed(lambda: paid.append(1), hold=False):
        with held():
            pass
        assert paid == []
    assert paid == [1]


def test_a_second_interrupt_breaks_into_code_that_never_comes_to_an_end(handlers, monkeypatch):
    monkeypatch.setattr(interrupts, "_PATIENCE", 0.05)
    handlers(signal.SIGINT, signal.default_int_handler)
    given_back = []
    began = time.monotonic()
    with comes(KeyboardInterrupt), borrowed(lambda: given_back.append(1)):
        strike()
        strike()  # too soon
        with reachable():
            interrupts.wanted()
            threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
            while time.monotonic() < began + 20:
                time.sleep(0.01)
    assert given_back == [1]
    assert time.monotonic() < began + 19


def test_in_other_threads_no_handler_is_touched(handlers):
    handlers(signal.SIGINT, raising)
    seen = []

    def work():
        with held(), borrowed(lambda: seen.append("given back")):
            seen.append(signal.getsignal(signal.SIGINT))
            seen.append(interrupts.wanted())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [raising, "", "given back"]


def test_a_process_that_was_forked_inside_answers_signals_as_before(handlers):
    calls = []
    handlers(signal.SIGUSR1, lambda number, frame: calls.append(number))
    with held():
        child = os.fork()
        if child == 0:
            strike(signal.SIGUSR1)
            os._exit(len(calls))
        _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 1


@pytest.mark.parametrize("seed", range(4))
def test_signals_at_random_moments_never_leave_anything_borrowed(handlers, seed):
    draw = random.Random(seed)
    inside, lent, stop = [], [0], threading.Event()

    def raises_inside(number, frame):
        if inside:
            inside.clear()
            raise Stopped(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        handlers(number, raises_inside)

    def send():
        while not stop.wait(draw.random() * 2e-3):
            for _ in range(draw.randint(1, 3)):
                os.kill(os.getpid(), draw.choice((signal.SIGINT, signal.SIGTERM)))

    struck, left = 0, []
    sender = threading.Thread(target=send)
    sender.start()
    deadline = time.monotonic() + 60
    while struck < 40 and time.monotonic() < deadline:
        try:
            inside.append(True)
            with borrowed(lambda: lent.__setitem__(0, 0)):
                lent[0] = 1
                for _ in range(20):
                    with borrowed(lambda: lent.__setitem__(0, 1)):
                        lent[0] = 2
            inside.clear()
        except Stopped:
            struck += 1
        left.append(lent[0])
    stop.set()
    sender.join()
    assert not any(left)
    assert struck == 40


def test_exceptions_from_other_threads_leave_nothing_borrowed():
    """They cannot be held back: what they cut off is given back when the outermost block ends."""
    state = {"lent": 0}
    left, struck = [], 0
    draw = random.Random(0)
    running = threading.Event()
    over = threading.Event()

    def work():
        nonlocal struck
        while not over.is_set():
            running.set()
            try:
                with held():
                    for _ in range(2000):
                        with borrowed(lambda: state.update(lent=0)):
                            state["lent"] = 1
            except Stopped:
                struck += 1
                left.append(state["lent"])

    thread = threading.Thread(target=work)
    thread.start()
    for _ in range(60):
        running.wait()
        time.sleep(draw.random() * 5e-3)
        ctypes.pythonapi.PyThreadState_SetAsyncExc(
            ctypes.c_ulong(thread.ident), ctypes.py_object(Stopped)
        )
        time.sleep(5e-3)
    over.set()
    thread.join()
    assert struck > 10
    assert not any(left)
