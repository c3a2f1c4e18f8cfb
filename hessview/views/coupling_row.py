"""How strongly one block responds to each other: a row of the coupling matrix, as bars with errors.

Also what is drawn of a coupling run, and on which scale, which the matrix and its rows share.
"""

import dataclasses
import html
import math
from typing import Any

import numpy as np
import plotly.graph_objects as go
import xarray as xr
from numpy.typing import NDArray

from hessview.analysis.coupling import DOUBTED, NOT_MEASURED, TRUSTED, WORTHLESS, coupling_summary
from hessview.errors import InputError, RecordError
from hessview.views.theme import LIGHT, heading, template
from hessview.wording import NOT_NEGATIVE, written

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
    summary = coupling_summary(ds)
    names = [str(name) for name in summary.block.values]
    if row not in names:
        some = ", ".join(map(repr, names[:6])) + ", …" * (len(names) > 6)
        raise InputError(f"row={row!r} is no block; use one of {some}.")
    matrix = shown(summary, normalised=normalised, scale=scale)
    index = names.index(row)
    verdicts = summary.verdict_of_cell.values[index]
    numbers = [matrix.values[index], matrix.spread[index], matrix.noise[index]]
    customdata = np.stack(
        [np.array([as_is(name) for name in names], dtype=object), numbers[1], numbers[2]], axis=-1
    )
    traces = [
        _bars(numbers[0], numbers[1], customdata, verdicts == verdict, verdict, index)
        for verdict in COLOURS
    ]
    words = row_error(summary)[index]
    return go.Figure(
        traces,
        {
            "template": template(),
            **heading(f"Row of {as_is(row)}", summary.attrs, words, body=290 + 60 * turned(names)),
            "barmode": "overlay",
            "bargap": 0.25,
            "hovermode": "closest",
            "xaxis": {
                "title": {"text": "block that is perturbed"},
                "tickangle": -45 if turned(names) else 0,
                **block_axis(names),
            },
            "yaxis": matrix.axis,
        },
    )


def row_error(summary: xr.Dataset) -> list[str]:
    """What the block-diagonal product misses in each block, in words.

    Args:
        summary: What `analysis.coupling.coupling_summary` gave.

    Returns:
        A line of plain text for each block.
    """
    names = ("row_error", "row_uncertainty", "row_noise", "verdict_of_row")
    rows = zip(*(summary[name].values.tolist() for name in names), strict=True)
    return [_error(*row) for row in rows]


def _error(error: float, uncertainty: float, noise: float, verdict: str) -> str:
    if not np.isfinite(error):
        return "block-diagonal error of this block: no probe is finished yet"
    text = written(error, uncertainty, limits=NOT_NEGATIVE)
    return (
        f"block-diagonal error of this block {text} (mean of ratios) · noise {noise:.1g}: {verdict}"
    )


def _bars(
    values: Any, spread: Any, customdata: Any, among: Any, verdict: str, index: int
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
            "pattern": {"shape": ["/" if i == index else "" for i in range(len(values))]},
        },
        "customdata": customdata,
        "name": words,
        "meta": {"role": "row", "verdict": verdict},
        "showlegend": bool(np.isfinite(drawn).any()),
        "hovertemplate": "to %{customdata[0]}: %{y:.3~g}, standard error %{customdata[1]:.2~g}"
        "<br>noise %{customdata[2]:.2~g}<extra>%{fullData.name}</extra>",
    }


Array = NDArray[np.float64]

SCALES = ("log", "linear")
DECADES = 4  # of a log scale; weaker couplings share its lightest colour
ROUNDING = 1e-9  # relative; coefficients that agree so far are equal
_LABELS = 32  # most block names along an axis
_LENGTH = 22  # characters of a block's name that are shown; its end tells layers apart


@dataclasses.dataclass(frozen=True)
class Shown:
    """Numbers of all pairs of blocks, in one unit, and the scale on which they are drawn.

    Attributes:
        values: Coefficients or norms, shape (block, column); NaN is not measured.
        spread: Their standard errors over probes, same shape.
        noise: What noise alone would give, same shape.
        unit: What the values are.
        log: Whether the scale is logarithmic.
        bottom: Low end of the scale; 0 on a linear one.
        top: High end, the largest value.
    """

    values: Array
    spread: Array
    noise: Array
    unit: str
    log: bool
    bottom: float
    top: float

    @property
    def colours(self) -> Array:
        """What is coloured, shape (block, column): the values, or their logarithm."""
        return np.log10(np.clip(self.values, self.bottom, None)) if self.log else self.values

    @property
    def ends(self) -> tuple[float, float]:
        """Ends of the colour scale."""
        ends = (self.bottom, self.top)
        return (math.log10(ends[0]), math.log10(ends[1])) if self.log else ends

    @property
    def colour_bar(self) -> dict[str, Any]:
        """Plotly's colour bar, its ticks in the values' own unit."""
        bar: dict[str, Any] = {
            "title": {"text": self.unit, "side": "right"},
            "thickness": 12,
            "outlinewidth": 0,
        }
        if not self.log:
            return bar
        low, high = self.ends
        ticks: list[float] = list(range(math.ceil(low), math.floor(high) + 1))
        if len(ticks) > 1:
            return bar | {"tickvals": ticks, "ticktext": [f"{10.0**tick:g}" for tick in ticks]}
        return bar | {
            "tickvals": [low, high],
            "ticktext": [f"{10.0**end:.2g}" for end in (low, high)],
        }

    @property
    def axis(self) -> dict[str, Any]:
        """Plotly's axis along which bars of these values stand."""
        low, high = self.ends
        if self.log:
            room = {  # below, so that the least has a bar
                "type": "log",
                "range": [low - 0.1 * (high - low), high + 0.08 * (high - low)],
            }
            return {"title": {"text": self.unit}, **room}
        most = np.nanmax(self.values + np.nan_to_num(self.spread))
        return {"title": {"text": self.unit}, "type": "linear", "range": [0, 1.05 * float(most)]}


def shown(summary: xr.Dataset, *, normalised: bool, scale: str) -> Shown:
    """What is to be drawn.

    Args:
        summary: What `analysis.coupling.coupling_summary` gave.
        normalised: Whether to divide norms by those of the two diagonal blocks.
        scale: "log" or "linear".

    Returns:
        The numbers and their scale.

    Raises:
        InputError: An unknown scale.
        RecordError: Nothing is measured yet.
    """
    if scale not in SCALES:
        raise InputError(f"scale={scale!r} is not allowed; use one of {list(SCALES)}.")
    name = "coefficient" if normalised else "frobenius"
    values, spread, noise = (summary[name + part].values for part in ("", "_spread", "_noise"))
    values = np.where(np.isfinite(values), values, np.nan)  # noise can leave a diagonal of zero
    if not np.isfinite(values).any():
        raise RecordError(
            "no column is measured yet; wait for the first probe's, or read the run's error if it "
            "has ended."
        )
    top = float(np.nanmax(values)) or 1.0
    bottom = 0.0
    if scale == "log":
        positive = values[values > 0]
        bottom = max(float(positive.min(initial=top)), top * 10.0**-DECADES)
        bottom = bottom if bottom < top * (1 - ROUNDING) else top / 10
    unit = "coefficient" if normalised else "norm (units of the loss)"
    return Shown(values, spread, noise, unit, scale == "log", bottom, top)


def block_axis(names: list[str]) -> dict[str, Any]:
    """Plotly's axis of blocks at 0, 1, …: of many names a part is left, of long ones the end.

    Args:
        names: Names of the blocks, at least one.

    Returns:
        Range, ticks and their angle along x.
    """
    every = math.ceil(len(names) / _LABELS)
    grid = list(range(0, len(names), every))
    return {
        "range": (-0.5, len(names) - 0.5),
        "tickvals": grid,
        "ticktext": [_short(names[i]) for i in grid],
        "showgrid": False,
    }


def turned(names: list[str]) -> bool:
    """Whether names along x stand at an angle; level, they would lie on each other."""
    return len(names) > 8 or max(map(len, names)) > 10


def as_is(name: str) -> str:
    """A name that Plotly shows as it is; it reads some tags, links among them, in its texts."""
    return html.escape(name, quote=False)


def _short(name: str) -> str:
    return as_is(name if len(name) <= _LENGTH else f"…{name[1 - _LENGTH :]}")
