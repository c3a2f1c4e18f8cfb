"""One look for every figure and page: a light and a dark palette, the type, the Plotly template."""

from typing import Any

import plotly.graph_objects as go

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
