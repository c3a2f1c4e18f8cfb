"""The session's card in a notebook, which follows whether the job can be asked."""

from typing import Any

import anywidget
import traitlets

from hessview.page.card import card, session_card
from hessview.page.module import module_without_plots
from hessview.page.pump import Pump
from hessview.views import theme


class SessionCard(anywidget.AnyWidget):  # type: ignore[misc]  # anywidget is untyped here
    """A card that says what a session's job holds, and follows its state until it is lost.

    Args:
        session: The session (`hessview.Session`).
    """

    _esm = module_without_plots("notebook.js")
    state = traitlets.Dict().tag(sync=True)

    def __init__(self, session: Any) -> None:
        self._session = session
        self._shown = ""
        self._display: Any = None
        self._pump = Pump(self._refresh)
        super().__init__(state=self._fold())
        self._unsubscribe = session.on_change(self._look)
        self._look()  # what came between

    def close(self) -> None:
        """Stop following and remove the widget; the session goes on."""
        self._unsubscribe()
        self._pump.close()
        super().close()

    def _fold(self) -> dict[str, Any]:
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
        self.state = self._fold()
        if self._display is not None:  # the notebook's stored output
            data, metadata = self._repr_mimebundle_()
            self._display.update(data, metadata=metadata, raw=True)

    def _repr_mimebundle_(self, **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """What a notebook stores: the live card, and the card as it is now without scripts."""
        data, metadata = super()._repr_mimebundle_(**options)
        still = session_card(self._session.job, self._shown)
        return {**data, "text/html": still, "text/plain": repr(self._session)}, metadata

    def _ipython_display_(self) -> None:
        from IPython.display import display

        data, metadata = self._repr_mimebundle_()
        self._display = display(data, metadata=metadata, raw=True, display_id=True)
