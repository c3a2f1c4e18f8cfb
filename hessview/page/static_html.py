"""The page without scripts, for saved notebooks: a density as SVG, numbers as tables."""

import math
from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np
import plotly.graph_objects as go
import xarray as xr
from markupsafe import Markup

from hessview.analysis.grouping import siblings, unite
from hessview.analysis.training import join_training, trainings
from hessview.page.contract import Section, Sections, Tile
from hessview.page.looks import look_of
from hessview.page.panel_contract import ComparisonPanel, TextPanel
from hessview.page.tables import Table, training_table
from hessview.page.templates import part
from hessview.views import figure_of, theme
from hessview.wording import MINUS, now

WIDTH, HEIGHT = 720, 300
LEFT, RIGHT, TOP, BOTTOM = 58, 708, 10, 262  # the plotting area
_ROOM = 0.03  # share of the range beside the curve

Scale = Callable[[float], float]


def drawing(figure: go.Figure) -> Markup:
    """Draw a density figure without scripts.

    Args:
        figure: What `views.density` made, on a linear eigenvalue axis.

    Returns:
        An SVG element.
    """
    traces = {trace.meta["role"]: trace for trace in figure.data}
    x_of, y_of = _scales(figure, traces)
    low, high = traces["low"], traces["high"]
    marks = []
    if len(low.x):
        outline = [*_points(low, x_of, y_of), *reversed(_points(high, x_of, y_of))]
        marks.append(f'<polygon points="{" ".join(outline)}" fill="{theme.LIGHT["accent"]}33"/>')
    for role, colour, dash in (("unfinished", "running", "2 4"), ("mean", "accent", "none")):
        points = " ".join(_points(traces[role], x_of, y_of))
        marks.append(
            f'<polyline points="{points}" fill="none" stroke="{theme.LIGHT[colour]}" '
            f'stroke-width="1.6" stroke-dasharray="{dash}"/>'
        )
    extremes = traces["extremes"]
    bars = zip(extremes.x, extremes.error_x.arrayminus, extremes.error_x.array, strict=True)
    for x, below, above in bars:
        marks.append(
            f'<path d="M{x_of(x - below):.1f} {BOTTOM - 3}H{x_of(x + above):.1f}'
            f'M{x_of(x):.1f} {BOTTOM}v-6" stroke="{theme.LIGHT["ink"]}" stroke-width="1.5"/>'
        )
    for x, y in zip(traces["located"].x, traces["located"].y, strict=True):
        marks.append(
            f'<circle cx="{x_of(x):.1f}" cy="{y_of(y):.1f}" r="2.5" fill="{theme.LIGHT["ritz"]}"/>'
        )
    return Markup(
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="100%" role="img" '
        'aria-label="Spectral density over eigenvalue, logarithmic">'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="{theme.LIGHT["card"]}"/>'
        f'<clipPath id="hess-area"><rect x="{LEFT}" y="{TOP}" width="{RIGHT - LEFT}" '
        f'height="{BOTTOM - TOP}"/></clipPath>'
        f'<g clip-path="url(#hess-area)">{"".join(marks)}</g>'
        f"{_axes(figure, traces, x_of, y_of)}</svg>"
    )


def _scales(figure: go.Figure, traces: dict[str, Any]) -> tuple[Scale, Scale]:
    """Maps from eigenvalue and density to the drawing."""
    left, right = _ends(traces)
    low, high = map(float, figure.layout.yaxis.range)

    def x_of(value: float) -> float:
        return LEFT + (RIGHT - LEFT) * (value - left) / (right - left)

    def y_of(value: float) -> float:
        share = (math.log10(value) - low) / (high - low)
        return BOTTOM - (BOTTOM - TOP) * max(share, -0.1)

    return x_of, y_of


def _ends(traces: dict[str, Any]) -> tuple[float, float]:
    """Eigenvalues at the left and the right of the plotting area."""
    xs = np.concatenate([np.asarray(trace.x, dtype=float) for trace in traces.values()])
    low, high = float(np.nanmin(xs)), float(np.nanmax(xs))
    room = _ROOM * ((high - low) or abs(high) or 1.0)
    return low - room, high + room


def _points(trace: Any, x_of: Scale, y_of: Scale) -> list[str]:
    """Points of a curve, no denser than can be seen: in each half pixel, the highest."""
    kept: dict[int, tuple[float, float]] = {}
    for x, y in zip(trace.x, trace.y, strict=True):
        left, height = x_of(x), y_of(y)
        column = int(2 * left)
        if column not in kept or height < kept[column][1]:
            kept[column] = (left, height)
    return [f"{x:.1f},{y:.1f}" for x, y in kept.values()]


def _axes(figure: go.Figure, traces: dict[str, Any], x_of: Scale, y_of: Scale) -> str:
    muted, line = theme.LIGHT["muted"], theme.LIGHT["line"]
    low, high = figure.layout.yaxis.range
    step = figure.layout.yaxis.dtick
    parts = [
        f'<path d="M{LEFT} {TOP}V{BOTTOM}H{RIGHT}" fill="none" stroke="{line}"/>',
        f'<text x="{(LEFT + RIGHT) / 2}" y="{HEIGHT - 6}" text-anchor="middle">eigenvalue λ</text>',
        f'<text x="14" y="{(TOP + BOTTOM) / 2}" text-anchor="middle" '
        f'transform="rotate(-90 14 {(TOP + BOTTOM) / 2})">density</text>',
    ]
    for power in np.arange(math.ceil(low), high, step):
        parts.append(
            f'<text x="{LEFT - 6}" y="{y_of(10.0**power) + 4:.1f}" text-anchor="end">'
            f'10<tspan dy="-4" font-size="9">{_signed(power)}</tspan></text>'
        )
    for value in _round_numbers(*_ends(traces)):
        parts.append(
            f'<text x="{x_of(value):.1f}" y="{BOTTOM + 16}" text-anchor="middle">'
            f"{_signed(value)}</text>"
        )
    return f'<g font-size="12" fill="{muted}">{"".join(parts)}</g>'


def _signed(value: float) -> str:
    return f"{value:g}".replace("-", MINUS)


def _round_numbers(low: float, high: float) -> list[float]:
    """About eight round numbers between two ends."""
    raw = (high - low) / 8
    unit = 10.0 ** math.floor(math.log10(raw))
    step = next(unit * factor for factor in (1, 2, 5, 10) if unit * factor >= raw)
    return [step * k for k in range(math.ceil(low / step), math.floor(high / step) + 1)]


def fallback(runs: Sequence[xr.Dataset], state: Sections) -> Markup:
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
    above += [_followed(join_training(group), section) for group, section in followed]
    parts = [*above, *(_section(ds, section) for ds, section in sections)]
    return part("frame", theme.LIGHT, theme.FONT, parts)


def _section(ds: xr.Dataset, section: Section) -> Markup:
    status = section["status"]
    standing = f"{status['label']}, {status['done']} of {status['total']} {status['unit']}"
    if status["state"] in ("queued", "running"):  # what is stored stays, and the run does not
        standing += f" at {now()}; run the notebook's cells again to see it live"
    tiles = [(tile["label"], _value(tile)) for tile in section["tiles"]]
    shown = _shown(ds, section) if section["panels"] else ""
    return part("section", section, standing, shown, tiles)


def _compared(section: Section) -> Markup:
    panel = cast(ComparisonPanel, section["panels"][0])
    return part("overview", section, Table(panel["title"], panel["head"], panel["rows"]))


def _followed(ds: xr.Dataset, section: Section) -> Markup:
    return part("overview", section, training_table(ds))


def _value(tile: Tile) -> str:
    value, note = tile["value"], tile["note"]
    verdict = f", {tile['verdict']}" if tile["verdict"] else ""
    return f"{value} {note}{verdict}" if note[:1] in ("±", "(") else f"{value} ({note}{verdict})"


def _shown(ds: xr.Dataset, section: Section) -> Markup:
    """What the panels draw, as a drawing or a table; or why there is nothing to draw."""
    panel = section["panels"][0]
    if panel["message"]:
        return part("message", panel["message"])
    if panel["kind"] == "text":
        return part("text", cast(TextPanel, panel)["text"])
    look = look_of(ds)
    drawn = drawing(figure_of(ds)) if look.drawn else ""
    return part("panel", panel.get("warning", ""), drawn, look.table(ds))
