"""Widgets of a notebook: a run's page, its card, and the session's card.

They share one page, know whether it hears them, and hear it while the kernel runs a cell.
"""

import contextlib
import threading
import uuid
from collections.abc import Callable, Mapping
from typing import Any

import anywidget
import traitlets
import xarray as xr

from hessview.page.card import card, session_card
from hessview.page.contract import Notice, Page, PageMessage
from hessview.page.live import (
    Actions,
    Asked,
    Live,
    Pump,
    dataset_of,
    is_live,
    is_over,
    runs_of,
    session_of,
    standing,
)
from hessview.page.module import Source, card_page, drawing_page, loader
from hessview.page.state import page_state
from hessview.page.static_html import fallback
from hessview.page.wire import change
from hessview.views import theme


def _hear_while_busy(widget: Any) -> None:
    """Let what a page says be heard at once, and not after the cell that waits for the run.

    JupyterLab sends a widget's messages to a thread of their own, a subshell. ipykernel 7.4
    leads them back to the shell that spoke to the page last, for the sake of cells that await an
    answer; no cell awaits one of ours, and that shell is the busy one. It documents no way to
    decline that, and the attribute is private: where it is unknown it has no effect. ipykernel 7.0
    to 7.3 need none; without subshells, a click waits until the cell is through.

    Args:
        widget: Widget whose handlers may run on any thread.
    """
    with contextlib.suppress(AttributeError):  # no comm, or one that takes no attributes
        widget.comm._reply_subshell_for = lambda data, sent_to: sent_to


class Told(anywidget.AnyWidget):  # type: ignore[misc]  # anywidget is untyped here
    """A widget of which the notebook's document holds a small loader, until it has the page.

    The page is asked for by custom messages: {"action": "page"} is answered with the page's digest
    and its source; {"action": "look"}, which a page sends while it expects something, with the
    number of what it was told last, so that it notices what it missed; {"action": "again"} with
    all that it shows. Other messages are the widget's own, see `take`.

    Args:
        **traits: Values of traits.
    """

    _esm = loader()
    source: Source
    """What the page is made of; a class has one."""
    page = traitlets.Unicode().tag(sync=True)
    """Digest of the source."""
    shell = traitlets.Unicode("notebook").tag(sync=True)
    """Which of the page's shells shows this widget."""
    name = traitlets.Unicode().tag(sync=True)
    """The model's identity, which a module is not told otherwise."""
    words = traitlets.Unicode().tag(sync=True)
    """How things stand, in a line: shown until the page is there."""
    still = traitlets.Unicode().tag(sync=True)
    """The page as HTML without scripts, as it was when made or when all was over: shown where no
    page comes. Not made anew on a reload, which asks all widgets at once."""
    revision = traitlets.Int().tag(sync=True)
    """Number of what was told last, as a page is told with all the rest."""

    def __init__(self, **traits: Any) -> None:
        name = uuid.uuid4().hex
        super().__init__(model_id=name, name=name, page=self.source.digest, **traits)
        _hear_while_busy(self)
        self.on_msg(lambda _, message, buffers: self._hear(message))

    @property
    def number(self) -> int:
        """Number of what was told last."""
        return int(self.revision)

    def take(self, message: object) -> None:
        """Take a message of the page that is not about telling; returns at once.

        Args:
            message: A JSON value, by whoever sits at the page.
        """

    def _hear(self, message: object) -> None:
        action = message.get("action") if isinstance(message, Mapping) else None
        if action == "page":
            self.send({"page": self.page}, buffers=[self.source.packed])
        elif action == "look":
            self.send({"revision": self.number})
        elif action == "again":
            self.send_state()
        else:
            self.take(message)


class View(Told):
    """A page over runs that follows them until all have ended.

    All that it shows sits in one trait, so a reloaded page asks the kernel for nothing; to a page
    that is open only what became different is sent. Runs call back from any thread; a thread of
    this widget folds, and sends at most ten times a second. Where the runs have a session, it can
    be asked from the page, and runs that were asked for from the page appear in it.

    Args:
        runs: A run, a dataset, the tree of a run directory, or an iterable of these.

    Raises:
        InputError: There is no run in it.
    """

    source = drawing_page()
    state = traitlets.Dict().tag(sync=True)

    def __init__(self, runs: Any) -> None:
        self._pump = Pump(self._refresh)  # first: traitlets closes a widget that failed here
        self._watched: dict[int, Callable[[], None]] = {}
        self._over = threading.Event()
        self._runs: list[Any] = runs_of(runs)
        self._notice: Notice | None = None
        self._display: Any = None
        self._actions = Actions(self._asked, self._answer)
        state = self._fold()
        super().__init__(state=state, words=_words(state), still=self._still(state))
        for session in self._sessions:
            self._watched[id(session)] = session.on_change(self._on_session)
        live_runs = [run for run in self._runs if is_live(run)]
        for run in live_runs:
            self._watched[id(run)] = run.on_change(self._pump.poke)
        if live_runs:
            self._pump.poke()  # what came between the first fold and the subscription
        else:
            self._over.set()

    def close(self) -> None:
        """Stop following and remove the widget; the runs go on."""
        self._pump.close()
        for watched in list(self._watched):
            self._watched.pop(watched)()
        self._over.set()
        super().close()

    def take(self, message: object) -> None:
        """Take what the page asks of the session of its runs, if there is one."""
        if self._sessions:
            self._actions(message)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until nothing more can arrive of its runs.

        Args:
            timeout: Seconds to wait at most; None waits as long as it takes.

        Returns:
            Whether that is so, and the page shows it.
        """
        return self._over.wait(timeout)

    @property
    def _sessions(self) -> list[Asked]:
        """Who can be asked about the runs, each once."""
        sessions = [session_of(run) for run in self._runs]
        return list({id(session): session for session in sessions if session is not None}.values())

    def _fold(self) -> Page:
        state = self._page([dataset_of(run) for run in self._runs])
        return {**state, **standing(self._sessions, self._notice)}

    def _page(self, datasets: list[xr.Dataset]) -> Page:
        return page_state(datasets)

    def _refresh(self) -> None:
        # Asked before the fold: what ends meanwhile pokes again, and is then shown as it ended.
        ended = [run for run in self._runs if not is_live(run) or is_over(run)]
        self._tell(self._fold())
        for run in ended:
            if unsubscribe := self._watched.pop(id(run), None):
                unsubscribe()
        if len(ended) < len(self._runs):
            self._over.clear()
        else:
            self._store()
            self._over.set()

    def _tell(self, state: Page) -> None:
        if difference := change(self.state, state):
            self.state, self.words = state, _words(state)
            self.revision += 1
            message: PageMessage = {"difference": difference, "told": self.revision}
            self.send(message)

    def _should_send_property(self, key: str, value: Any) -> bool:
        """Of what a page shows, differences are sent; whoever opens one is given all."""
        is_sent = key not in ("state", "revision")
        return is_sent and bool(super()._should_send_property(key, value))

    def _store(self) -> None:
        """Let the notebook's stored output show the page as it is now."""
        self.still = self._still(self.state)
        if self._display is not None:
            data, metadata = self._repr_mimebundle_()
            self._display.update(data, metadata=metadata, raw=True)

    def _on_session(self) -> None:
        """Look whether it can still be asked; its runs tell of themselves."""
        now = standing(self._sessions, self._notice)
        if any(self.state[name] != value for name, value in now.items()):
            self._pump.poke()

    def _asked(self, about: str) -> Asked:
        """Session of a run."""
        by_run = {run.id: session_of(run) for run in self._runs if is_live(run)}
        return by_run.get(about) or self._sessions[0]

    def _answer(self, notice: Notice | None, run: Live | None) -> None:
        self._notice = notice
        if run is not None:
            self._runs.append(run)
            self._watched[id(run)] = run.on_change(self._pump.poke)
        self._pump.poke()

    def _repr_mimebundle_(self, **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """What a notebook stores: the live view, and the page as it is now without scripts."""
        data, metadata = super()._repr_mimebundle_(**options)
        state = self._fold()
        return {**data, "text/html": self._still(state), "text/plain": _words(state)}, metadata

    def _still(self, state: Page) -> str:
        return str(fallback([dataset_of(run) for run in self._runs], state))

    def _ipython_display_(self) -> None:
        from IPython.display import display

        data, metadata = self._repr_mimebundle_()
        # With an identity, so that the notebook's stored output can follow to the end of the run.
        self._display = display(data, metadata=metadata, raw=True, display_id=True)


def _words(state: Page) -> str:
    runs = ", ".join(
        f"{section['title']}: {section['status']['label']}" for section in state["sections"]
    )
    return f"hessview of {runs}"


def view(runs: Any) -> View:
    """The live page over runs; display it, or let a cell end with it.

    Args:
        runs: A run, a dataset, the tree of a run directory, or an iterable of these.

    Returns:
        The widget.

    Raises:
        InputError: There is no run in it.
    """
    return View(runs)


class RunCard(View):
    """A view without panels: progress, time left, headline numbers with uncertainties, Cancel.

    Its page weighs a tenth of that of a view with them, and folds in a fraction of the time.

    Args:
        runs: As for `View`.
    """

    source = card_page()

    def _page(self, datasets: list[xr.Dataset]) -> Page:
        return page_state(datasets, panels=False)


class SessionCard(Told):
    """A card that says what a session's job holds, and follows its state until it is lost.

    Args:
        session: The session (`hessview.Session`).
    """

    source = card_page()
    state = traitlets.Dict().tag(sync=True)

    def __init__(self, session: Any) -> None:
        self._session = session
        self._shown = ""
        self._display: Any = None
        self._pump = Pump(self._refresh)
        super().__init__(state=self._fold(), words=repr(session), still=self._still())
        self._unsubscribe = session.on_change(self._look)
        self._look()  # what came between

    def close(self) -> None:
        """Stop following and remove the widget; the session goes on."""
        self._unsubscribe()
        self._pump.close()
        super().close()

    def _fold(self) -> Page:
        self._shown = self._session.state
        return {
            "theme": {"light": theme.LIGHT, "dark": theme.DARK, "font": theme.FONT},
            "card": card(self._session.job, self._shown),
            "sections": [],
        }

    def _look(self) -> None:
        """Its events are many, and only a few change the card."""
        if self._session.state != self._shown:
            self._pump.poke()

    def _refresh(self) -> None:
        with self.hold_sync():  # the page takes a state and its number at once
            self.state, self.words = self._fold(), repr(self._session)
            self.revision += 1
        self.still = self._still()
        if self._display is not None:  # the notebook's stored output
            data, metadata = self._repr_mimebundle_()
            self._display.update(data, metadata=metadata, raw=True)

    def _repr_mimebundle_(self, **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """What a notebook stores: the live card, and the card as it is now without scripts."""
        data, metadata = super()._repr_mimebundle_(**options)
        return {**data, "text/html": self._still(), "text/plain": repr(self._session)}, metadata

    def _still(self) -> str:
        return session_card(self._session.job, self._shown)

    def _ipython_display_(self) -> None:
        from IPython.display import display

        data, metadata = self._repr_mimebundle_()
        self._display = display(data, metadata=metadata, raw=True, display_id=True)
