"""How every figure looks: a light and a dark palette, type, Plotly's template, and headings."""

import html
import json
import textwrap
from collections.abc import Mapping
from typing import Any

import plotly.graph_objects as go

from hessview.record.operator_facts import facts_in

FONT = 'Inter, system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif'

LIGHT = {
    "page": "#f4f6fb",
    "card": "#ffffff",
    "ink": "#111827",
    "muted": "#4b5568",
    "line": "#dde2ec",
    "grid": "#e9edf4",
    "accent": "#2155d6",
    "band": "#2155d633",
    "running": "#7a3fc4",
    "ritz": "#c0410f",
    "stem": "#c0410f66",
    "strip": "#64748b24",
    "good": "#12733a",
    "warn": "#9a5b00",
    "bad": "#b4231f",
}
"""Colours by what they mean, on a light ground; text colours reach 4.5:1 on page and card."""

DARK = {
    "page": "#0c1118",
    "card": "#151c27",
    "ink": "#e8ecf4",
    "muted": "#a6b0c3",
    "line": "#2b3546",
    "grid": "#232c3a",
    "accent": "#7fabff",
    "band": "#7fabff38",
    "running": "#c6a4ff",
    "ritz": "#ffb26b",
    "stem": "#ffb26b66",
    "strip": "#94a3b826",
    "good": "#5fd38d",
    "warn": "#f2c063",
    "bad": "#ff8f87",
}
"""The same meanings on a dark ground. The page swaps a figure's colours by value, so no two
meanings of `LIGHT` share one."""


SERIES = ("#0072b2", "#d55e00", "#00805f", "#b0528a", "#8a6100", "#3a8fc4", "#333f50")
"""Colours of things that are told apart, after Okabe & Ito, on a light ground."""

DARK_SERIES = ("#56b4e9", "#ff8a3d", "#2fc79a", "#e59ac4", "#f0c244", "#9fd0f5", "#c9d3e3")
"""The same on a dark ground."""


def template(palette: dict[str, str] = LIGHT) -> go.layout.Template:
    """Plotly template in one of the palettes.

    Args:
        palette: `LIGHT` or `DARK`.

    Returns:
        A template to set as `layout.template`.
    """
    axis = {
        "gridcolor": palette["grid"],
        "linecolor": palette["line"],
        "tickcolor": palette["line"],
        "zeroline": False,
        "showline": True,
        "ticks": "outside",
        "ticklen": 4,
        "automargin": True,
        "exponentformat": "power",
        "title": {"font": {"size": 13}, "standoff": 8},
    }
    hover = {"bgcolor": palette["card"], "bordercolor": palette["line"]}
    return go.layout.Template(
        layout={
            "font": {"family": FONT, "size": 12, "color": palette["muted"]},
            "title": {
                "font": {"size": 16, "color": palette["ink"], "weight": 650},
                "x": 0,
                "xref": "paper",
                "xanchor": "left",
                "y": 1,
                "yref": "container",
                "yanchor": "top",
                "pad": {"t": 14},
                "subtitle": {"font": {"size": 12, "color": palette["muted"]}},
            },
            "paper_bgcolor": palette["card"],
            "plot_bgcolor": palette["card"],
            "xaxis": axis,
            "yaxis": axis,
            "legend": {  # below all, where it may grow
                "orientation": "h",
                "x": 0,
                "y": 0,
                "yref": "container",
                "yanchor": "bottom",
                "xanchor": "left",
            },
            "hoverlabel": {**hover, "font": {"family": FONT, "color": palette["ink"]}},
            "margin": {"l": 64, "r": 16, "t": 92, "b": 48},
            "modebar": {
                "bgcolor": "rgba(0,0,0,0)",
                "color": palette["muted"],
                "activecolor": palette["accent"],
            },
        }
    )


def strip(edge: float, scale: float) -> dict[str, Any]:
    """The shape around zero where eigenvalues are not resolved.

    Args:
        edge: Half its width on the axis as it is drawn.
        scale: Half its width as an eigenvalue.
    """
    return {
        "type": "rect",
        "xref": "x",
        "yref": "paper",
        "x0": -edge,
        "x1": edge,
        "y0": 0,
        "y1": 1,
        "layer": "below",
        "line": {"width": 0},
        "fillcolor": LIGHT["strip"],
        "name": f"not resolved: |λ| < {scale:.2g}",
        "showlegend": True,
    }


WIDTH = 80  # characters of a line: what a notebook's output shows
_LONGEST = 48  # characters of a name that comes from outside; its end tells models apart
BAR = " · "
TOP, LINE = 52, 17  # pixels: the title, and each line below it


def heading(
    title: str,
    attrs: Mapping[Any, Any],
    words: str,
    *,
    body: int,
    warning: str = "",
    colour: str = "bad",
) -> dict[str, Any]:
    """Title and subtitle, which say enough for a figure to stand alone, and the room they take.

    Args:
        title: What the figure shows.
        attrs: Attrs of its dataset: model, operator, subset and training step, where known.
        words: Probes, steps, kernel width and the like; parts are set apart by " · ".
        body: Height of all below the title, in pixels.
        warning: What must not be overlooked.
        colour: Its colour, as `theme.LIGHT` names it.

    Returns:
        title, margin and height of a Plotly layout.
    """
    lines = [line for text in (_matter(attrs), words) for line in _lines(text)]
    if warning:
        lines += [f'<b style="color:{LIGHT[colour]}">{line}</b>' for line in _lines(warning)]
    top = TOP + LINE * len(lines)
    return {
        "title": {"text": title, "subtitle": {"text": "<br>".join(lines)}},
        "margin": {"t": top},
        "height": body + top,
    }


def _matter(attrs: Mapping[Any, Any]) -> str:
    """What was measured: whose matrix, which part of it, and when."""
    parts = [_name(attrs["model"])] if attrs.get("model") else []
    if attrs.get("operator"):
        parts.append(operator_name(attrs))
    if subset := _subset_of(attrs):
        parts.append(f"subset {_name(subset)}")
    if attrs.get("training_step") is not None:
        parts.append(f"training step {attrs['training_step']}")
    return BAR.join(parts)


def _subset_of(attrs: Mapping[Any, Any]) -> str:
    """The patterns that restrict an operator, as people read them; "" if nothing does.

    Args:
        attrs: Attrs of a dataset, where they stand as JSON.
    """
    text = str(attrs.get("subset", ""))
    patterns = json.loads(text) if text.startswith("[") else [text]
    return "" if patterns == ["*"] else " ".join(map(str, patterns))


def _name(value: object) -> str:
    text = str(value)
    text = text if len(text) <= _LONGEST else f"…{text[1 - _LONGEST :]}"
    return html.escape(text, quote=False)  # Plotly reads some tags, links among them


def _lines(text: str) -> list[str]:
    """Lines that break between parts; a part that is too long breaks between its words."""
    lines: list[str] = []
    for part in text.split(BAR):
        if lines and len(lines[-1]) + len(BAR) + len(part) <= WIDTH:
            lines[-1] += BAR + part
        else:
            lines += textwrap.wrap(part, WIDTH, break_long_words=False)
    return lines


def operator_name(attrs: Mapping[Any, Any]) -> str:
    """The matrix whose spectrum a dataset holds.

    Args:
        attrs: Attrs of the dataset.

    Returns:
        Its name in words; "operator" for one of the user's own.
    """
    return facts_in(attrs).matrix
