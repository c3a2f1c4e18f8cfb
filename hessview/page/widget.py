"""The live page in a notebook."""

import threading
from collections.abc import Callable
from typing import Any

import traitlets
import xarray as xr

from hessview.page.actions import Actions, Asked, Notice
from hessview.page.fallback import fallback
from hessview.page.module import drawing_page
from hessview.page.pump import Pump
from hessview.page.runs import Live, dataset_of, is_live, is_over, runs_of, session_of
from hessview.page.standing import standing
from hessview.page.state import page_state
from hessview.page.told import Told


class View(Told):
    """A page over runs that follows them until all have ended.

    All that it shows sits in one synced trait, so a reloaded page asks the kernel for nothing.
    Runs call back from any thread; a thread of this widget folds, and sends at most ten times
    a second. Where the runs have a session, it can be asked from the page, and runs that were
    asked for from the page appear in it.

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
        live = [run for run in self._runs if is_live(run)]
        for run in live:
            self._watched[id(run)] = run.on_change(self._pump.poke)
        if live:
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
        found = [session_of(run) for run in self._runs]
        return list({id(one): one for one in found if one is not None}.values())

    def _fold(self) -> dict[str, Any]:
        state = self._page([dataset_of(run) for run in self._runs])
        return state | standing(self._sessions, self._notice)

    def _page(self, datasets: list[xr.Dataset]) -> dict[str, Any]:
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

    def _tell(self, state: dict[str, Any]) -> None:
        if state != self.state:
            with self.hold_sync():  # the page takes a state and its number at once
                self.state, self.words = state, _words(state)
                self.revision += 1

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

    def _still(self, state: dict[str, Any]) -> str:
        return str(fallback([dataset_of(run) for run in self._runs], state))

    def _ipython_display_(self) -> None:
        from IPython.display import display

        data, metadata = self._repr_mimebundle_()
        # With an identity, so that the notebook's stored output can follow to the end of the run.
        self._display = display(data, metadata=metadata, raw=True, display_id=True)


def _words(state: dict[str, Any]) -> str:
    runs = ", ".join(f"{one['title']}: {one['status']['label']}" for one in state["sections"])
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
