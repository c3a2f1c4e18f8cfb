"""The live page in a notebook."""

import threading
import time
from typing import Any

import anywidget
import traitlets

from hessview.messages import ENDED
from hessview.page.fallback import fallback
from hessview.page.module import module
from hessview.page.runs import DETACHED, dataset_of, is_live, runs_of
from hessview.page.state import page_state

SECONDS_BETWEEN = 0.1  # ten pictures a second look continuous, and leave the kernel its time


class View(anywidget.AnyWidget):  # type: ignore[misc]  # anywidget is untyped here
    """A page over runs that follows them until all have ended.

    All that it shows sits in one synced trait, so a reloaded page asks the kernel for nothing.
    Runs call back from any thread; one thread of this widget folds, and sends at most ten times
    a second. It ends with the runs, or when the widget is closed.

    Args:
        runs: A run, a dataset, the tree of a run directory, or an iterable of these.

    Raises:
        InputError: There is no run in it.
    """

    _esm = module()
    state = traitlets.Dict().tag(sync=True)

    def __init__(self, runs: Any) -> None:
        self._changed = threading.Event()  # first: traitlets closes a widget that failed here
        self._closing = False
        self._runs = runs_of(runs)
        self._display: Any = None
        super().__init__(state=self._fold())
        live = [run for run in self._runs if is_live(run)]
        self._unsubscribe = [run.on_change(self._changed.set) for run in live]
        self._pump: threading.Thread | None = None
        if live:
            self._changed.set()  # what came between the first fold and the subscription
            self._pump = threading.Thread(target=self._follow, daemon=True, name="hessview-view")
            self._pump.start()

    def close(self) -> None:
        """Stop following and remove the widget; the runs go on."""
        self._closing = True
        self._changed.set()
        super().close()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the page follows nothing any more.

        Args:
            timeout: Seconds to wait at most; None waits as long as it takes.

        Returns:
            Whether it has ended.
        """
        if self._pump is not None:
            self._pump.join(timeout)
        return self._pump is None or not self._pump.is_alive()

    def _fold(self) -> dict[str, Any]:
        return page_state([dataset_of(run) for run in self._runs])

    def _follow(self) -> None:
        while not self._closing:
            self._changed.wait()
            self._changed.clear()
            began = time.monotonic()
            if not self._closing:
                self.state = self._fold()
            states = {section["status"]["state"] for section in self.state["sections"]}
            if states <= ENDED | {DETACHED}:
                break
            time.sleep(max(0.0, SECONDS_BETWEEN - (time.monotonic() - began)))
        for unsubscribe in self._unsubscribe:
            unsubscribe()
        if self._display is not None and not self._closing:
            data, metadata = self._repr_mimebundle_()
            self._display.update(data, metadata=metadata, raw=True)

    def _repr_mimebundle_(self, **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """What a notebook stores: the live view, and the page as it is now without scripts."""
        data, metadata = super()._repr_mimebundle_(**options)
        state = self.state
        still = fallback([dataset_of(run) for run in self._runs], state)
        words = ", ".join(f"{s['title']}: {s['status']['label']}" for s in state["sections"])
        return {**data, "text/html": str(still), "text/plain": f"hessview of {words}"}, metadata

    def _ipython_display_(self) -> None:
        from IPython.display import display

        data, metadata = self._repr_mimebundle_()
        # With an identity, so that the notebook's stored output can follow to the end of the run.
        self._display = display(data, metadata=metadata, raw=True, display_id=True)


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
