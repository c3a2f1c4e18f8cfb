"""How strongly one block responds to each: a row of the coupling matrix, with its error bars."""

from typing import Any

import numpy as np
import plotly.graph_objects as go
import xarray as xr

from hessview.data.coupling import DOUBTED, NOT_MEASURED, TRUSTED, WORTHLESS, coupling_summary
from hessview.data.digits import NOT_NEGATIVE
from hessview.data.table import written
from hessview.errors import InputError
from hessview.views.coupling_scale import as_is, block_axis, shown, turned
from hessview.views.heading import heading
from hessview.views.theme import LIGHT, template

COLOURS = {TRUSTED: "accent", DOUBTED: "warn", WORTHLESS: "bad", NOT_MEASURED: "muted"}
"""Of each verdict, its colour in the palette."""


def coupling_row(
    ds: xr.Dataset, row: str, *, normalised: bool = True, scale: str = "log"
) -> go.Figure:
    """A row of the coupling matrix as bars, with standard errors over probes.

    The bar of the block itself is hatched. Colours say what noise leaves of each number.

    Args:
        ds: Dataset of a coupling run, also a half-done one.
        row: Name of the block that responds.
        normalised: As of `coupling`.
        scale: As of `coupling`; the axis has the ends of the matrix's colours.

    Returns:
        The figure; each trace says in `meta["verdict"]` which bars it holds.

    Raises:
        InputError: No block of that name, or an unknown scale.
        RecordError: Not a coupling, or nothing measured yet.
    """
    found = coupling_summary(ds)
    names = [str(name) for name in found.block.values]
    if row not in names:
        some = ", ".join(map(repr, names[:6])) + ", …" * (len(names) > 6)
        raise InputError(f"row={row!r} is no block; use one of {some}.")
    on = shown(found, normalised=normalised, scale=scale)
    place = names.index(row)
    verdicts = found.verdict_of_cell.values[place]
    numbers = [on.values[place], on.spread[place], on.noise[place]]
    customdata = np.stack(
        [np.array([as_is(name) for name in names], dtype=object), numbers[1], numbers[2]], axis=-1
    )
    traces = [
        _bars(numbers[0], numbers[1], customdata, verdicts == verdict, verdict, place)
        for verdict in COLOURS
    ]
    words = row_error(found)[place]
    return go.Figure(
        traces,
        {
            "template": template(),
            **heading(f"Row of {as_is(row)}", found.attrs, words, body=290 + 60 * turned(names)),
            "barmode": "overlay",
            "bargap": 0.25,
            "hovermode": "closest",
            "xaxis": {
                "title": {"text": "block that is perturbed"},
                "tickangle": -45 if turned(names) else 0,
                **block_axis(names),
            },
            "yaxis": on.axis,
        },
    )


def row_error(found: xr.Dataset) -> list[str]:
    """What the block-diagonal product misses in each block, in words.

    Args:
        found: What `data.coupling.coupling_summary` gave.

    Returns:
        A line of plain text for each block.
    """
    names = ("row_error", "row_uncertainty", "row_noise", "verdict_of_row")
    rows = zip(*(found[name].values.tolist() for name in names), strict=True)
    return [_error(*row) for row in rows]


def _error(error: float, uncertainty: float, noise: float, verdict: str) -> str:
    if not np.isfinite(error):
        return "block-diagonal error of this block: no probe is finished yet"
    text = written(error, uncertainty, limits=NOT_NEGATIVE)
    return (
        f"block-diagonal error of this block {text} (mean of ratios) · noise {noise:.1g}: {verdict}"
    )


def _bars(
    values: Any, spread: Any, customdata: Any, among: Any, verdict: str, place: int
) -> dict[str, Any]:
    colour = LIGHT[COLOURS[verdict]]
    drawn = np.where(among, values, np.nan)
    words = "noise not measured" if verdict == NOT_MEASURED else verdict
    return {
        "type": "bar",
        "x": np.arange(len(values)),
        "y": drawn,
        "error_y": {
            "array": np.nan_to_num(spread),
            "visible": bool(np.isfinite(spread).any()),
            "color": LIGHT["ink"],
            "thickness": 1,
            "width": 2,
        },
        "marker": {
            "color": colour,
            "line": {"width": 0},
            "pattern": {"shape": ["/" if i == place else "" for i in range(len(values))]},
        },
        "customdata": customdata,
        "name": words,
        "meta": {"role": "row", "verdict": verdict},
        "showlegend": bool(np.isfinite(drawn).any()),
        "hovertemplate": "to %{customdata[0]}: %{y:.3~g}, standard error %{customdata[1]:.2~g}"
        "<br>noise %{customdata[2]:.2~g}<extra>%{fullData.name}</extra>",
    }
