"""The page without scripts: a drawing and tables, for saved notebooks and careful readers."""

from collections.abc import Sequence
from typing import Any

import xarray as xr
from markupsafe import Markup

from hessview.errors import RecordError
from hessview.page.drawing import drawing
from hessview.views import theme
from hessview.views.density import density


def fallback(runs: Sequence[xr.Dataset], state: dict[str, Any]) -> Markup:
    """HTML that shows a page's state without scripts.

    Args:
        runs: Datasets of the runs.
        state: What `page_state` made of them.

    Returns:
        HTML with inline styles only; every name in it is escaped.
    """
    sections = zip(runs, state["sections"], strict=True)
    body = Markup("").join(_section(ds, section) for ds, section in sections)
    return _FRAME.format(theme.LIGHT["card"], theme.LIGHT["ink"], theme.FONT, body)


_FRAME = Markup(
    '<div style="max-width:760px;padding:12px 20px;border-radius:10px;background:{};color:{};'
    'font:14px/1.5 {}">{}</div>'
)
_TABLE = Markup(
    '<table><caption style="text-align:left;padding-top:12px"><strong>{}</strong></caption>'
    "<tbody>{}</tbody></table>"
)
_ROW = Markup(
    '<tr><th scope="row" style="text-align:left;padding-right:1em">{}</th><td>{}</td></tr>'
)


def _section(ds: xr.Dataset, section: dict[str, Any]) -> Markup:
    status = section["status"]
    stand = f"{status['label']}, {status['done']} of {status['total']} steps"
    message = Markup("<p><strong>{}</strong></p>").format(status["message"])
    tiles = [(tile["label"], _value(tile)) for tile in section["tiles"]]
    return Markup("<h2>{}</h2><p>{}<br>{}</p>{}{}{}{}").format(
        section["title"],
        section["subtitle"],
        stand,
        message if status["message"] else "",
        _drawing(ds),
        _table("Summary", tiles),
        _table("Provenance", section["provenance"]),
    )


def _value(tile: dict[str, str]) -> str:
    value, note = tile["value"], tile["note"]
    return f"{value} {note}" if note.startswith("±") else f"{value} ({note})"


def _table(caption: str, rows: Sequence[Sequence[str]]) -> Markup:
    body = Markup("").join(_ROW.format(*row) for row in rows)
    return _TABLE.format(caption, body)


def _drawing(ds: xr.Dataset) -> Markup:
    try:
        return drawing(density(ds))
    except RecordError as error:
        return Markup("<p>{}</p>").format(str(error))
