"""Everything that a session measured and measures, on one page; without scripts, its newest run."""

import os
import threading
from collections.abc import Callable
from typing import Any

import traitlets

from hessview.page.board import Board
from hessview.page.card import card_html
from hessview.page.contract import BoardMessage, Sections
from hessview.page.live import runs_of
from hessview.page.module import drawing_page
from hessview.page.static_html import fallback
from hessview.page.templates import part
from hessview.page.widget import Told
from hessview.wording import counted, now


def still(board: Board) -> str:
    """The session's card, its runs, and the newest of them.

    Args:
        board: What the dashboard shows.

    Returns:
        HTML with inline styles only; every name in it is escaped.
    """
    order = board.names
    shown = [card_html(board.head["card"])] if board.head["card"] else []
    if order:
        entries = [board.parts[name]["entry"] for name in order]
        shown.append(part("runs", f"Runs as they were at {now()}, the newest first", entries))
        state: Sections = {"sections": [board.parts[order[0]]["section"]]}
        shown.append(fallback(board.datasets(order[0]), state))
    return "".join(shown)


class Dashboard(Told):
    """A board in a notebook: the session's card, its runs by kind, and the one that is looked at.

    It can be displayed, or put into a layout of ipywidgets or, with `pn.pane.IPyWidget`, of
    Panel. The traits hold what the board does, so that a reloaded page asks nobody; but only what
    changed crosses to a page that is open.

    Args:
        board: What it shows.
    """

    source = drawing_page()
    head = traitlets.Dict().tag(sync=True, to_json=lambda _, widget: widget.board.head)
    parts = traitlets.Dict().tag(sync=True, to_json=lambda _, widget: widget.board.parts)
    chosen = traitlets.Unicode().tag(sync=True)
    revision = traitlets.Int().tag(sync=True, to_json=lambda _, widget: widget.number)

    def __init__(self, board: Board) -> None:
        self.board = board
        self._told = 0
        self._lock = threading.Lock()
        self._unlisten: Callable[[], None] = lambda: None
        super().__init__(shell="dashboard", words=self._words(), still=still(board))
        self._unlisten = board.listen(self._tell)

    @property
    def number(self) -> int:
        """Number of what was told last."""
        return self._told

    def take(self, message: object) -> None:
        """Take a message of the page to the board.

        Args:
            message: What the page's scripts sent, as JSON values.
        """
        self.board.take(message)

    def _tell(self, message: BoardMessage) -> None:
        with self._lock:  # numbers in the order in which they are sent
            self._told += 1
            self.send({**message, "told": self._told})
        self.words = self._words()
        states = [part["entry"]["status"]["state"] for part in self.board.parts.values()]
        if not {"queued", "running"} & set(states):  # what is stored stays
            self.still = still(self.board)

    def close(self) -> None:
        """Stop following and remove the widget; the runs go on."""
        self._unlisten()
        self.board.close()
        super().close()

    def _repr_mimebundle_(self, **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """What a notebook stores: the live page, and the newest run without scripts."""
        data, metadata = super()._repr_mimebundle_(**options)
        return {**data, "text/html": still(self.board), "text/plain": self._words()}, metadata

    def _words(self) -> str:
        runs = len(self.board.names)
        return f"hessview dashboard of {counted(runs, 'run')}"


def dashboard(source: Any) -> Dashboard:
    """A page over all runs of a session or a record, which later runs join by themselves.

    Args:
        source: A session; a run directory, which is followed without attaching to its job; a run,
            a dataset, the tree of `hessview.open_runs`, or an iterable of these.

    Returns:
        A widget: display it, or let a cell end with it.

    Raises:
        InputError: There is no run in it.
        RunDirectoryError: No such directory.
        JobNotFoundError: The directory holds no record.
        RecordError: The record is of another version.
    """
    return Dashboard(board_of(source))


def board_of(source: Any) -> Board:
    """The board of a dashboard; see `dashboard`."""
    from hessview.session.session import Session

    if isinstance(source, str | os.PathLike):
        from hessview.session.connect import watch

        source = watch(source)
    if isinstance(source, Session):
        return Board(source)
    return Board(runs=runs_of(source))
