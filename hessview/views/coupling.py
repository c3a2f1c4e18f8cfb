"""How strongly blocks are coupled, as a figure: the matrix, and what leaving it out costs."""

from typing import Any

import numpy as np
import plotly.graph_objects as go
import xarray as xr

from hessview.analysis.coupling import CONTRADICTED, DOUBTED, FEW, WORTHLESS, coupling_summary
from hessview.analysis.headline import ends_of
from hessview.record.datasets import as_dataset
from hessview.views.coupling_row import (
    COLOURS,
    Shown,
    as_is,
    block_axis,
    coupling_row,
    shown,
    turned,
)
from hessview.views.theme import BAR, LIGHT, heading, template
from hessview.wording import counted, limits_of, written

ROW = 22  # pixels
MOST_ROWS = 32  # that are so high; of more, all share the room of so many
_FINE = 60  # blocks; of more, cells are too small for gaps and crosses


def coupling(
    ds: xr.Dataset, *, normalised: bool = True, scale: str = "log", row: str | None = None
) -> go.Figure:
    """Coupling matrix, and the relative error of the block-diagonal product in each block.

    A cell that noise dominates is crossed out, of many blocks tinted. Below the title stand the
    numbers of the whole block-diagonal product, and a warning where noise makes them worthless.

    Args:
        ds: Dataset of a coupling run, also a half-done one.
        normalised: Whether to divide the norm of each block by the geometric mean of those of
            its two diagonal blocks; otherwise norms are in units of the loss.
        scale: "log" or "linear" colours.
        row: Name of a block: instead of the matrix its row is drawn, as bars with error bars.

    Returns:
        The figure; each trace says in `meta["role"]` what it is.

    Raises:
        InputError: An unknown scale, or no block of that name.
        RecordError: Not a coupling, or nothing measured yet.
    """
    ds = as_dataset(ds)
    if row is not None:
        return coupling_row(ds, row, normalised=normalised, scale=scale)
    summary = coupling_summary(ds)
    matrix = shown(summary, normalised=normalised, scale=scale)
    return go.Figure(
        [_heatmap(summary, matrix), _noisy(summary), _rows(summary)], _layout(summary, normalised)
    )


def headline(summary: xr.Dataset) -> str:
    """The numbers of the block-diagonal product, in a line.

    Args:
        summary: What `analysis.coupling.coupling_summary` gave.

    Returns:
        Plain text.
    """
    if not np.isfinite(summary.value).any():
        return "block-diagonal product: no probe is finished yet"
    texts = {
        name: written(
            float(quantity.value),
            float(quantity.uncertainty),
            limits=limits_of(name),
            ends=ends_of(quantity),
        )
        for name in map(str, summary["quantity"].values)
        for quantity in [summary.sel(quantity=name)]
    }
    noise = float(summary.noise.sel(quantity="block_error"))
    return (
        f"block-diagonal product: error {texts['block_error_pooled']} (ratio of means), "
        f"{texts['block_error']} (mean of ratios){BAR}"
        f"cosine {texts['cosine_pooled']} (ratio of means), {texts['cosine']} (mean of ratios){BAR}"
        f"κ {texts['kappa']}{BAR}noise {noise:.1g}"
    )


def warning(summary: xr.Dataset) -> str:
    """Why the block-diagonal numbers are not to be believed, "" if they are.

    Args:
        summary: What `analysis.coupling.coupling_summary` gave.

    Returns:
        Plain text.
    """
    words = [str(word) for word in summary.verdict.values]
    kappa = summary.sel(quantity="kappa")
    if WORTHLESS in words:
        return (
            "Dominated by noise: two computations of Hv differ by "
            f"{float(summary.noise.sel(quantity='block_error')):.0%} of it, so these numbers say "
            "nothing about the model."
        )
    if CONTRADICTED in words:
        return (
            f"κ is {written(float(kappa.value), float(kappa.uncertainty))}, where exact products "
            "average to 1: products err in a way that the noise does not show, or chance did it, "
            "once in a hundred runs. Measure more probes, or with another seed."
        )
    if FEW in words:
        names = [str(name) for name in summary["quantity"].values[summary.verdict.values == FEW]]
        return (
            f"Too few probes to tell {', '.join(name.replace('_', ' ') for name in names)}: the "
            f"{100 * summary.attrs['level']:g} % intervals reach further than a tenth."
        )
    if DOUBTED in words:
        return "Blurred by noise: the spread over probes is not the whole error."
    return ""


def _heatmap(summary: xr.Dataset, matrix: Shown) -> dict[str, Any]:
    names = [as_is(str(name)) for name in summary.block.values]
    rows, columns = np.meshgrid(names, names, indexing="ij")
    gap = int(len(names) <= _FINE)
    layers = [
        rows,
        columns,
        summary.coefficient.values,
        summary.frobenius.values,
        summary.frobenius_spread.values,
        summary.frobenius_noise.values,
        summary.verdict_of_cell.values,
    ]
    return {
        "type": "heatmap",
        "z": matrix.colours,
        "x": np.arange(len(names)),
        "y": np.arange(len(names)),
        "zmin": matrix.ends[0],
        "zmax": matrix.ends[1],
        "colorscale": [[0, LIGHT["grid"]], [0.6, LIGHT["accent"]], [1, LIGHT["ink"]]],
        "colorbar": matrix.colour_bar,
        "xgap": gap,
        "ygap": gap,
        "customdata": np.stack([np.asarray(layer, dtype=object) for layer in layers], axis=-1),
        "meta": {"role": "matrix"},
        "hoverongaps": False,
        "hovertemplate": "%{customdata[0]} responds to %{customdata[1]}<br>"
        "coefficient %{customdata[2]:.3~g}<br>"
        "norm %{customdata[3]:.4~g}, standard error %{customdata[4]:.2~g}<br>"
        "noise %{customdata[5]:.2~g}: %{customdata[6]}<extra></extra>",
    }


def _noisy(summary: xr.Dataset) -> dict[str, Any]:
    noisy = summary.verdict_of_cell.values == WORTHLESS
    shared = {
        "name": "dominated by noise",
        "meta": {"role": "noisy"},
        "showlegend": bool(noisy.any()),
        "hoverinfo": "skip",
    }
    if len(noisy) > _FINE:  # crosses would run into each other, and take seconds to draw
        return {
            "type": "heatmap",
            "z": np.where(noisy, 1.0, np.nan),
            "x": np.arange(len(noisy)),
            "y": np.arange(len(noisy)),
            "colorscale": [[0, LIGHT["bad"]], [1, LIGHT["bad"]]],
            "opacity": 0.5,
            "showscale": False,
            **shared,
        }
    rows, columns = np.nonzero(noisy)
    return {
        "type": "scatter",
        "x": columns,
        "y": rows,
        "mode": "markers",
        "marker": {"symbol": "x-thin", "size": 8, "line": {"color": LIGHT["bad"], "width": 1.5}},
        **shared,
    }


def _rows(summary: xr.Dataset) -> dict[str, Any]:
    names = ("row_error", "row_uncertainty", "row_spread", "row_noise")
    error, uncertainty, spread, noise = (summary[name].values for name in names)
    words = [str(word) for word in summary.verdict_of_row.values]
    blocks = np.array([as_is(str(name)) for name in summary.block.values], dtype=object)
    return {
        "type": "scatter",
        "x": error,
        "y": np.arange(len(error)),
        "xaxis": "x2",
        "mode": "markers",
        "marker": {
            "size": 7 if len(words) <= _FINE else 4,
            "color": [LIGHT[COLOURS[word]] for word in words],
        },
        "error_x": {
            "type": "data",
            "array": np.nan_to_num(np.where(np.isfinite(uncertainty), uncertainty, noise)),
            "color": LIGHT["muted"],
            "thickness": 1,
            "width": 3,
        },
        "customdata": np.stack([blocks, spread, noise, np.array(words, dtype=object)], axis=-1),
        "meta": {"role": "rows"},
        "showlegend": False,
        "hovertemplate": "%{customdata[0]}: error %{x:.3~g}<br>standard error "
        "%{customdata[1]:.2~g}, noise %{customdata[2]:.2~g}: %{customdata[3]}<extra></extra>",
    }


def _layout(summary: xr.Dataset, normalised: bool) -> dict[str, Any]:
    names = [str(name) for name in summary.block.values]
    bars = summary.row_error + summary.row_uncertainty.fillna(summary.row_noise).fillna(0)
    reach = float(bars.fillna(0).max())
    along, slanted = block_axis(names), turned(names)
    warning_text, numbers = warning(summary), headline(summary)
    quantity_name = "coefficients" if normalised else "Frobenius norms"
    height = 94 + ROW * min(max(len(names), 8), MOST_ROWS) + 60 * slanted
    words = f"{quantity_name} of {counted(len(names), 'block')} · {numbers}"
    colour = "bad" if {WORTHLESS, CONTRADICTED} & {*summary.verdict.values} else "warn"
    return {
        "template": template(),
        **heading(
            "Coupling between blocks",
            summary.attrs,
            words,
            body=height,
            warning=warning_text,
            colour=colour,
        ),
        "meta": {"warning": warning_text, "headline": numbers},
        "xaxis": {
            "title": {"text": "block that is perturbed"},
            "domain": [0, 0.72],
            "tickangle": -45 if slanted else 0,
            **along,
        },
        "yaxis": {
            "title": {"text": "block that responds"},
            **along,
            "range": along["range"][::-1],
        },
        "xaxis2": {
            "title": {"text": "block-diagonal<br>error"},
            "domain": [0.77, 1],
            "anchor": "y",
            "range": (0, 1.05 * reach if reach > 0 else 1),
        },
        "hovermode": "closest",
    }
