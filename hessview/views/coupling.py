"""How strongly blocks are coupled, as a figure: the matrix, and what leaving it out costs."""

import html
import math
from typing import Any

import numpy as np
import plotly.graph_objects as go
import xarray as xr
from numpy.typing import NDArray

from hessview.data.coupling import DOUBTED, TRUSTED, WORTHLESS, coupling_summary
from hessview.errors import InputError, RecordError
from hessview.views.theme import LIGHT, template

Array = NDArray[np.float64]

SCALES = ("log", "linear")
DECADES = 4  # of a log scale; weaker couplings share its lightest colour
LABELS = 32  # most block names along an axis
LENGTH = 22  # characters of a block's name that are shown; its end tells layers apart
ROW = 22  # pixels


def coupling(ds: xr.Dataset, *, normalised: bool = True, scale: str = "log") -> go.Figure:
    """Coupling matrix, and the relative error of the block-diagonal product in each block.

    A cell that noise dominates is crossed out. Below the title stand the numbers of the whole
    block-diagonal product, and a warning where noise makes them worthless.

    Args:
        ds: Dataset of a coupling run, also a half-done one.
        normalised: Whether to divide the norm of each block by the geometric mean of those of
            its two diagonal blocks; otherwise norms are in units of the loss.
        scale: "log" or "linear" colours.

    Returns:
        The figure; each trace says in `meta["role"]` what it is.

    Raises:
        InputError: An unknown scale.
        RecordError: Not a coupling, or nothing measured yet.
    """
    if scale not in SCALES:
        raise InputError(f"scale={scale!r} is not allowed; use one of {list(SCALES)}.")
    found = coupling_summary(ds)
    shown = found.coefficient if normalised else found.frobenius
    shown = shown.where(np.isfinite(shown))  # noise can leave a diagonal block of exactly zero
    if not np.isfinite(shown).any():
        raise RecordError(
            "no column is measured yet; wait for the first probe's, or read the run's error if it "
            "has ended."
        )
    traces = [_heatmap(found, shown, scale), _crosses(found), _rows(found)]
    return go.Figure(traces, _layout(found, normalised))


def headline(found: xr.Dataset) -> str:
    """The numbers of the block-diagonal product, in a line.

    Args:
        found: What `data.coupling.coupling_summary` gave.

    Returns:
        Plain text.
    """
    if not np.isfinite(found.value).any():
        return "block-diagonal product: no probe is finished yet"
    parts = []
    for name, word in (("block_error", "error"), ("cosine", "cosine"), ("kappa", "κ")):
        row = found.sel(quantity=name)
        spread = f" ± {float(row.spread):.1g}" if np.isfinite(row.spread) else ""
        parts.append(f"{word} {float(row.value):.3g}{spread}")
    noise = float(found.noise.sel(quantity="block_error"))
    return f"block-diagonal product: {', '.join(parts)} · noise {noise:.1g}"


def warning(found: xr.Dataset) -> str:
    """Why the block-diagonal numbers are not to be believed, "" if they are.

    Args:
        found: What `data.coupling.coupling_summary` gave.

    Returns:
        Plain text.
    """
    words = [str(word) for word in found.verdict.values]
    if WORTHLESS in words:
        return (
            "Dominated by noise: two computations of Hv differ by "
            f"{float(found.noise.sel(quantity='block_error')):.0%} of it, so these numbers say "
            "nothing about the model."
        )
    if DOUBTED in words:
        return "Blurred by noise: the spread over probes is not the whole error."
    return ""


def _heatmap(found: xr.Dataset, shown: xr.DataArray, scale: str) -> dict[str, Any]:
    values = shown.values
    top = float(np.nanmax(values)) or 1.0
    bar: dict[str, Any] = {
        "title": {"text": _unit(shown), "side": "right"},
        "thickness": 12,
        "outlinewidth": 0,
    }
    bottom, drawn = 0.0, values
    if scale == "log":
        positive = values[values > 0]
        bottom = max(float(positive.min(initial=top)), top * 10.0**-DECADES)
        bottom = bottom if bottom < top else top / 10
        drawn = np.log10(np.clip(values, bottom, None))
        ticks = range(math.ceil(math.log10(bottom)), math.floor(math.log10(top)) + 1)
        if len(ticks) > 1:
            bar |= {"tickvals": list(ticks), "ticktext": [f"{10.0**tick:g}" for tick in ticks]}
        else:
            ends = [math.log10(bottom), math.log10(top)]
            bar |= {"tickvals": ends, "ticktext": [f"{10.0**end:.2g}" for end in ends]}
        bottom, top = math.log10(bottom), math.log10(top)
    names = [_plain(str(name)) for name in found.block.values]
    rows, columns = np.meshgrid(names, names, indexing="ij")
    layers = [
        rows,
        columns,
        found.coefficient.values,
        found.frobenius.values,
        found.frobenius_spread.values,
        found.frobenius_noise.values,
        found.verdict_of_cell.values,
    ]
    return {
        "type": "heatmap",
        "z": drawn,
        "x": np.arange(len(names)),
        "y": np.arange(len(names)),
        "zmin": bottom,
        "zmax": top,
        "colorscale": [[0, LIGHT["grid"]], [0.6, LIGHT["accent"]], [1, LIGHT["ink"]]],
        "colorbar": bar,
        "xgap": 1,
        "ygap": 1,
        "customdata": np.stack([np.asarray(layer, dtype=object) for layer in layers], axis=-1),
        "meta": {"role": "matrix"},
        "hoverongaps": False,
        "hovertemplate": "%{customdata[0]} responds to %{customdata[1]}<br>"
        "coefficient %{customdata[2]:.3~g}<br>"
        "norm %{customdata[3]:.4~g} ± %{customdata[4]:.2~g}<br>"
        "noise %{customdata[5]:.2~g}: %{customdata[6]}<extra></extra>",
    }


def _crosses(found: xr.Dataset) -> dict[str, Any]:
    rows, columns = np.nonzero(found.verdict_of_cell.values == WORTHLESS)
    return {
        "type": "scatter",
        "x": columns,
        "y": rows,
        "mode": "markers",
        "marker": {"symbol": "x-thin", "size": 8, "line": {"color": LIGHT["bad"], "width": 1.5}},
        "name": "dominated by noise",
        "meta": {"role": "noisy"},
        "showlegend": bool(len(rows)),
        "hoverinfo": "skip",
    }


def _rows(found: xr.Dataset) -> dict[str, Any]:
    error, spread, noise = (found[name].values for name in ("row_error", "row_spread", "row_noise"))
    colour = {TRUSTED: LIGHT["accent"], DOUBTED: LIGHT["warn"], WORTHLESS: LIGHT["bad"]}
    words = [str(word) for word in found.verdict_of_row.values]
    names = np.array([_plain(str(name)) for name in found.block.values], dtype=object)
    return {
        "type": "scatter",
        "x": error,
        "y": np.arange(len(error)),
        "xaxis": "x2",
        "mode": "markers",
        "marker": {"size": 7, "color": [colour.get(word, LIGHT["muted"]) for word in words]},
        "error_x": {
            "type": "data",
            "array": np.nan_to_num(np.hypot(np.nan_to_num(spread), noise)),
            "color": LIGHT["muted"],
            "thickness": 1,
            "width": 3,
        },
        "customdata": np.stack([names, spread, noise, np.array(words, dtype=object)], axis=-1),
        "meta": {"role": "rows"},
        "showlegend": False,
        "hovertemplate": "%{customdata[0]}: error %{x:.3~g}<br>spread %{customdata[1]:.2~g}, "
        "noise %{customdata[2]:.2~g}: %{customdata[3]}<extra></extra>",
    }


def _layout(found: xr.Dataset, normalised: bool) -> dict[str, Any]:
    names = [str(name) for name in found.block.values]
    every = math.ceil(len(names) / LABELS)
    at = list(range(0, len(names), every))
    bars = found.row_error + np.hypot(found.row_spread.fillna(0), found.row_noise.fillna(0))
    reach = float(bars.fillna(0).max())
    ends = (-0.5, len(names) - 0.5)
    ticks = {"tickvals": at, "ticktext": [_short(names[i]) for i in at], "showgrid": False}
    turned = len(names) > 8 or max(map(len, names)) > 10  # level, they would lie on each other
    doubt, numbers = warning(found), headline(found)
    what = "coefficients" if normalised else "Frobenius norms"
    lines = [f"{what} of {len(names)} blocks", numbers]
    if doubt:
        colour = LIGHT["bad" if WORTHLESS in found.verdict.values else "warn"]
        lines.append(f'<b style="color:{colour}">{doubt}</b>')
    return {
        "template": template(),
        "title": {
            "text": "Coupling between blocks",
            "subtitle": {"text": "<br>".join(lines)},
        },
        "meta": {"warning": doubt, "headline": numbers},
        "height": 230 + ROW * max(len(names), 8) + 60 * turned,
        "margin": {"t": 136},
        "xaxis": {
            "title": {"text": "block that is perturbed"},
            "domain": [0, 0.72],
            "range": ends,
            "tickangle": -45 if turned else 0,
            **ticks,
        },
        "yaxis": {"title": {"text": "block that responds"}, "range": ends[::-1], **ticks},
        "xaxis2": {
            "title": {"text": "block-diagonal<br>error"},
            "domain": [0.77, 1],
            "anchor": "y",
            "range": (0, 1.05 * reach if reach > 0 else 1),
        },
        "hovermode": "closest",
    }


def _short(name: str) -> str:
    return _plain(name if len(name) <= LENGTH else f"…{name[1 - LENGTH :]}")


def _plain(name: str) -> str:
    """A name that Plotly shows as it is; it reads some tags, links among them, in its texts."""
    return html.escape(name, quote=False)


def _unit(shown: xr.DataArray) -> str:
    return "coefficient" if shown.name == "coefficient" else "norm (units of the loss)"
