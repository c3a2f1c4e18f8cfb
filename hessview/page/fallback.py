"""The page without scripts: a drawing and tables, for saved notebooks and careful readers."""

from collections.abc import Sequence
from typing import Any

import xarray as xr
from markupsafe import Markup

from hessview.data.siblings import siblings
from hessview.data.training import training
from hessview.data.trainings import trainings
from hessview.data.unite import unite
from hessview.page.drawing import drawing
from hessview.page.tables import TABLES, Table, convergence_table, training_table
from hessview.page.wording import now
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
    shown = [unite(group) for group in siblings(runs)]
    sections = zip(shown, state["sections"], strict=True)
    above = [_compared(section) for section in state.get("comparisons", [])]
    followed = zip(trainings(runs), state.get("trainings", []), strict=False)
    above += [_followed(training(group), section) for group, section in followed]
    body = Markup("").join([*above, *(_section(ds, section) for ds, section in sections)])
    return _FRAME.format(theme.LIGHT["card"], theme.LIGHT["ink"], theme.FONT, body)


_FRAME = Markup(
    '<div style="max-width:760px;padding:12px 20px;border-radius:10px;background:{};color:{};'
    'font:14px/1.5 {}">{}</div>'
)
_TABLE = Markup(
    '<table><caption style="text-align:left;padding-top:12px"><strong>{}</strong></caption>'
    "<tbody>{}</tbody></table>"
)
_GRID = Markup(
    '<div style="overflow-x:auto"><table><caption style="text-align:left;padding-top:12px">'
    "<strong>{}</strong></caption><thead><tr>{}</tr></thead><tbody>{}</tbody></table></div>"
)
_HEAD = Markup('<th scope="col" style="text-align:left;padding-right:1em">{}</th>')
_HEAD_OF_ROW = Markup(
    '<th scope="row" style="text-align:left;font-weight:400;padding-right:1em">{}</th>'
)
_CELL = Markup('<td style="padding-right:1em">{}</td>')
_ROW = Markup(
    '<tr><th scope="row" style="text-align:left;padding-right:1em">{}</th><td>{}</td></tr>'
)


def _section(ds: xr.Dataset, section: dict[str, Any]) -> Markup:
    status = section["status"]
    stand = f"{status['label']}, {status['done']} of {status['total']} {status['unit']}"
    if status["state"] in ("queued", "running"):  # what is stored stays, and the run does not
        stand += f" at {now()}; run the notebook's cells again to see it live"
    message = Markup("<p><strong>{}</strong></p>").format(status["message"])
    tiles = [(tile["label"], _value(tile)) for tile in section["tiles"]]
    return Markup("<h2>{}</h2><p>{}<br>{}</p>{}{}{}{}").format(
        section["title"],
        section["subtitle"],
        stand,
        message if status["message"] else "",
        _shown(ds, section) if section["panels"] else "",
        _table("Summary", tiles),
        _table("Provenance", section["provenance"]),
    )


def _compared(section: dict[str, Any]) -> Markup:
    panel = section["panels"][0]
    table = _grid(Table(panel["title"], panel["head"], panel["rows"]))
    return Markup("<h2>{}</h2><p>{}</p>{}").format(section["title"], section["subtitle"], table)


def _followed(ds: xr.Dataset, section: dict[str, Any]) -> Markup:
    table = _grid(training_table(ds))
    return Markup("<h2>{}</h2><p>{}</p>{}").format(section["title"], section["subtitle"], table)


def _value(tile: dict[str, str]) -> str:
    value, note = tile["value"], tile["note"]
    verdict = f", {tile['verdict']}" if tile["verdict"] else ""
    return f"{value} {note}{verdict}" if note[:1] in ("±", "(") else f"{value} ({note}{verdict})"


def _table(caption: str, rows: Sequence[Sequence[str]]) -> Markup:
    body = Markup("").join(_ROW.format(*row) for row in rows)
    return _TABLE.format(caption, body)


def _shown(ds: xr.Dataset, section: dict[str, Any]) -> Markup:
    """What the panels draw, as a drawing or a table; or why there is nothing to draw."""
    panel = section["panels"][0]
    warning = panel.get("warning")
    lead = Markup("<p><strong>{}</strong></p>").format(warning) if warning else Markup("")
    command = str(ds.attrs.get("command", "density"))
    if panel["message"]:
        return Markup("<p>{}</p>").format(panel["message"])
    if panel["kind"] == "text":
        return Markup('<pre style="overflow-x:auto">{}</pre>').format(panel["text"])
    if command in TABLES:
        return lead + _grid(TABLES[command](ds))
    return drawing(density(ds)) + _grid(convergence_table(ds))


def _grid(table: Table) -> Markup:
    head = Markup("").join(_HEAD.format(name) for name in table.head)
    rows = [
        Markup("<tr>{}{}</tr>").format(
            _HEAD_OF_ROW.format(name), Markup("").join(_CELL.format(cell) for cell in cells)
        )
        for name, *cells in table.rows
    ]
    return _GRID.format(table.caption, head, Markup("").join(rows))
