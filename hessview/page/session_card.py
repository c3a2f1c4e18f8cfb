"""The session's card in a notebook, which follows whether the job can be asked."""

from typing import Any

import traitlets

from hessview.page.card import card, session_card
from hessview.page.module import card_page
from hessview.page.pump import Pump
from hessview.page.told import Told
from hessview.views import theme


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
