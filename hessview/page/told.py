"""Widgets of a notebook that share one page, and that know whether it hears them."""

import uuid
from collections.abc import Mapping
from typing import Any

import anywidget
import traitlets

from hessview.page.module import Source, loader
from hessview.page.prompt import hear_while_busy


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
        hear_while_busy(self)
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
