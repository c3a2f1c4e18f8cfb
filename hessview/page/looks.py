"""How a run of each command looks on a page: its panels, tiles and table, in one entry."""

import dataclasses
import json
from collections.abc import Callable, Sequence
from typing import Any

import xarray as xr

from hessview.errors import RecordError
from hessview.extensions import named
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
    Tile,
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

Json = dict[str, Any]
Panel = Callable[[xr.Dataset], Json]


def readings_panel(ds: xr.Dataset) -> Json:
    """What is measured of each variable, as text.

    Args:
        ds: Dataset of a run.
    """
    table = readings_table(ds)
    widths = [max(map(len, column)) for column in zip(table.head, *table.rows, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (table.head, *table.rows)
    ]
    return {"text": "\n".join(lines)}


def view_panel(ds: xr.Dataset) -> Json:
    """The figure of the command's view.

    Args:
        ds: Dataset of a run.
    """
    return figure_panel(figure_of(ds), "")


def readings_tiles(ds: xr.Dataset) -> list[Tile]:
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
        kind: By which the page's scripts draw its panel, such as "figure" or "text".
        panel: What the panel of this kind needs, from the dataset; it raises RecordError where
            nothing is measured yet.
        further: Panels below the first, which use its values: kind, title, and what it needs.
        tiles: Headline numbers, also of a run with nothing measured yet.
        table: What the panel shows, as a table, for where no script runs.
        drawn: Whether its figure is drawn as well where no script runs, as that of a density is.
        beside: What other runs add to the panel, from the dataset and theirs; None for nothing.
    """

    kind: str
    panel: Panel
    further: tuple[tuple[str, str, Panel], ...] = ()
    tiles: Callable[[xr.Dataset], list[Tile]] = readings_tiles
    table: Callable[[xr.Dataset], Table] = readings_table
    drawn: bool = False
    beside: Callable[[xr.Dataset, Sequence[xr.Dataset]], Json] | None = None


READINGS = Look(kind="text", panel=readings_panel)
"""Of a measurement without a view and a look of its own."""
VIEW = Look(kind="figure", panel=view_panel)
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
        return VIEW if measurement.view else READINGS
    found: Look = named("look", measurement.look, {})
    return found


def panels(ds: xr.Dataset) -> list[Json]:
    """The panels of a run.

    Args:
        ds: Dataset of the run, also one with nothing measured yet.

    Returns:
        At least one, each a dict of JSON values (NaN is None): kind, by which `view.js` knows how
        to draw it, title, subtitle, message (why there is nothing to draw, "" if there is), again
        (the command that was asked for, as JSON, None if it is not known), shares (the place of
        the panel whose values it uses as well, if any), and what its kind needs.
    """
    look = look_of(ds)
    made = [_first(ds, look)]
    if not made[0]["message"]:
        for kind, title, panel in look.further:
            made.append({"kind": kind, "title": title, "shares": 0} | panel(ds))
    return made


def _first(ds: xr.Dataset, look: Look) -> Json:
    measurement = measurement_in(ds.attrs)
    blank: Json = {"kind": look.kind, "title": measurement.title, "subtitle": "", "message": ""}
    blank["again"] = json.loads(ds.attrs.get("asked", "null"))
    try:
        return blank | look.panel(ds)
    except RecordError:
        first, ended = measurement.first, ds.attrs.get("state") in ENDED
        message = (
            f"The run ended before its first {first}." if ended else f"No {first} is measured yet."
        )
        return blank | {"message": message}
