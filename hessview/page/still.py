"""The dashboard without scripts, for saved notebooks."""

from markupsafe import Markup

from hessview.page.board import Board
from hessview.page.card import card_html
from hessview.page.fallback import fallback
from hessview.page.wording import now

_RUN = Markup("<li>{}: {} ({}), {}</li>")
_RUNS = Markup('<p style="margin:12px 20px 0">{}</p><ol style="margin:4px 20px 12px">{}</ol>')


def still(board: Board) -> str:
    """The session's card, its runs, and the newest of them.

    Args:
        board: What the dashboard shows.

    Returns:
        HTML with inline styles only; every name in it is escaped.
    """
    order = board.names
    entries = [board.parts[name]["entry"] for name in order]
    runs = Markup("").join(
        _RUN.format(one["kind"], one["label"], one["detail"], one["status"]["label"])
        for one in entries
    )
    listed = (
        _RUNS.format(f"Runs as they were at {now()}, the newest first", runs)
        if entries
        else Markup("")
    )
    card = Markup(card_html(board.head["card"])) if board.head["card"] else Markup("")
    newest = Markup("")
    if order:
        state = {"sections": [board.parts[order[0]]["section"]]}
        newest = fallback(board.datasets(order[0]), state)
    return str(card + listed + newest)
