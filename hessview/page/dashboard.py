"""Everything that a session measured and measures, on one page."""

import os
from collections.abc import Callable
from typing import Any

import anywidget
import traitlets

from hessview.page.board import Board
from hessview.page.module import module
from hessview.page.prompt import hear_while_busy
from hessview.page.runs import runs_of
from hessview.page.still import still

SHELL = ("list.js", "form.js", "dashboard.js")


class Dashboard(anywidget.AnyWidget):  # type: ignore[misc]  # anywidget is untyped here
    """A board in a notebook: the session's card, its runs by kind, and the one that is looked at.

    It can be displayed, or put into a layout of ipywidgets or, with `pn.pane.IPyWidget`, of
    Panel. The traits hold what the board does, so that a reloaded page asks nobody; but only what
    changed crosses to a page that is open.

    Args:
        board: What it shows.
    """

    _esm = module(*SHELL, "dashboard_widget.js")
    head = traitlets.Dict().tag(sync=True, to_json=lambda _, widget: widget.board.head)
    parts = traitlets.Dict().tag(sync=True, to_json=lambda _, widget: widget.board.parts)
    chosen = traitlets.Unicode().tag(sync=True)

    def __init__(self, board: Board) -> None:
        self.board = board
        self._unlisten: Callable[[], None] = lambda: None
        super().__init__()
        self._unlisten = board.listen(self.send)
        hear_while_busy(self)
        self.on_msg(lambda _, message, buffers: board.take(message))

    def close(self) -> None:
        """Stop following and remove the widget; the runs go on."""
        self._unlisten()
        self.board.close()
        super().close()

    def _repr_mimebundle_(self, **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """What a notebook stores: the live page, and the newest run without scripts."""
        data, metadata = super()._repr_mimebundle_(**options)
        runs = len(self.board.names)
        words = f"hessview dashboard of {runs} run{'s' * (runs != 1)}"
        return {**data, "text/html": still(self.board), "text/plain": words}, metadata


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
        from hessview.session.watch import watch

        source = watch(source)
    if isinstance(source, Session):
        return Board(source)
    return Board(runs=runs_of(source))
