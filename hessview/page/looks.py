"""How a run of each command looks on a page: its panels, tiles and table, in one entry."""

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from typing import cast, get_args

import xarray as xr

from hessview.errors import InputError, RecordError
from hessview.extensions import named
from hessview.page.contract import Tile
from hessview.page.panel_contract import FigureBody, Panel, PanelKind, TextBody
from hessview.page.panels import (
    accuracy_panel,
    benchmark_panel,
    convergence_panel,
    coupling_panel,
    density_panel,
    figure_panel,
    sweep_panel,
    sweep_spectra_for,
)
from hessview.page.status import progress
from hessview.page.tables import (
    Table,
    accuracy_table,
    convergence_table,
    coupling_table,
    readings_table,
    sweep_table,
)
from hessview.page.tiles import (
    accuracy_tiles,
    benchmark_tiles,
    coupling_tiles,
    density_tiles,
    sweep_tiles,
    tile,
)
from hessview.record.events import ENDED
from hessview.record.measurements import measurement_in
from hessview.views import figure_of
from hessview.wording import aligned

_Body = Callable[[xr.Dataset], Mapping[str, object]]


def readings_panel(ds: xr.Dataset) -> TextBody:
    """What is measured of each variable, as text.

    Args:
        ds: Dataset of a run.
    """
    table = readings_table(ds)
    return {"text": aligned([table.head, *table.rows])}


def _view_panel(ds: xr.Dataset) -> FigureBody:
    """The figure of the command's view.

    Args:
        ds: Dataset of a run.
    """
    return figure_panel(figure_of(ds), "")


def _readings_tiles(ds: xr.Dataset) -> list[Tile]:
    """How far a run is, for one of which nothing more is known.

    Args:
        ds: Dataset of a run.
    """
    done, total = progress(ds)
    return [tile(measurement_in(ds.attrs).unit.capitalize(), f"{done}", f"of {total}")]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Look:
    """How a run of a command looks.

    Attributes:
        kind: By which the page's scripts draw its panel, such as "figure" or "text"; see
            `page.contract` for what each needs.
        panel: What the panel of this kind needs, from the dataset; it raises RecordError where
            nothing is measured yet.
        further: Panels below the first, which use its values: kind, title, and what it needs.
        tiles: Headline numbers, also of a run with nothing measured yet.
        table: What the panel shows, as a table, for where no script runs.
        drawn: Whether its figure is drawn as well where no script runs, as that of a density is.
        beside: What other runs add to the panel, from the dataset and theirs; None for nothing.

    Raises:
        InputError: The page's scripts draw no such kind.
    """

    kind: PanelKind
    panel: _Body
    further: tuple[tuple[PanelKind, str, _Body], ...] = ()
    tiles: Callable[[xr.Dataset], list[Tile]] = _readings_tiles
    table: Callable[[xr.Dataset], Table] = readings_table
    drawn: bool = False
    beside: Callable[[xr.Dataset, Sequence[xr.Dataset]], Mapping[str, object] | None] | None = None

    def __post_init__(self) -> None:
        allowed = get_args(PanelKind)
        for kind in (self.kind, *(kind for kind, _, _ in self.further)):
            if kind not in allowed:
                raise InputError(
                    f"kind={kind!r} is not allowed, since the page cannot draw it; use one of "
                    f'{list(allowed)}, such as "figure" for any Plotly figure.'
                )


_READINGS = Look(kind="text", panel=readings_panel)
"""Of a measurement without a view and a look of its own."""
_VIEW = Look(kind="figure", panel=_view_panel)
"""Of one that has a view alone."""

DENSITY = Look(
    kind="density",
    panel=density_panel,
    further=(("convergence", "Convergence of the extremes", convergence_panel),),
    tiles=density_tiles,
    table=convergence_table,
    drawn=True,
)
ACCURACY = Look(
    kind="settings",
    panel=accuracy_panel,
    tiles=accuracy_tiles,
    table=accuracy_table,
    beside=sweep_spectra_for,
)
SWEEP = Look(kind="sweep", panel=sweep_panel, tiles=sweep_tiles, table=sweep_table)
COUPLING = Look(kind="coupling", panel=coupling_panel, tiles=coupling_tiles, table=coupling_table)
BENCHMARK = Look(kind="text", panel=benchmark_panel, tiles=benchmark_tiles)


def look_of(ds: xr.Dataset) -> Look:
    """How a run looks.

    Args:
        ds: Dataset of the run.

    Raises:
        RecordError: Of a command that this process does not know.
    """
    measurement = measurement_in(ds.attrs)
    if not measurement.look:
        return _VIEW if measurement.view else _READINGS
    look: Look = named("look", measurement.look, {})
    return look


def panels(ds: xr.Dataset) -> list[Panel]:
    """The panels of a run.

    Args:
        ds: Dataset of the run, also one with nothing measured yet.

    Returns:
        At least one, as `page.contract` has them; src/section.js draws each by its kind.
    """
    look = look_of(ds)
    entries = [_first(ds, look)]
    if not entries[0]["message"]:
        for kind, title, panel in look.further:
            head = {"kind": kind, "title": title, "message": "", "shares": 0}
            entries.append(cast(Panel, {**head, **panel(ds)}))
    return entries


def _first(ds: xr.Dataset, look: Look) -> Panel:
    measurement = measurement_in(ds.attrs)
    again = json.loads(ds.attrs.get("asked", "null"))
    blank = {"kind": look.kind, "title": measurement.title, "subtitle": "", "again": again}
    try:
        return cast(Panel, {**blank, "message": "", **look.panel(ds)})
    except RecordError:
        first, ended = measurement.first, ds.attrs.get("state") in ENDED
        message = (
            f"The run ended before its first {first}." if ended else f"No {first} is measured yet."
        )
        return cast(Panel, {**blank, "message": message})
