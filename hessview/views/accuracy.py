"""Error of products over epsilon, as a figure: the V."""

import math
from typing import Any

import numpy as np
import plotly.graph_objects as go
import xarray as xr

from hessview.analysis.accuracy import theory
from hessview.errors import RecordError
from hessview.record.datasets import as_dataset
from hessview.views.theme import LIGHT, heading, template

COLOURS = ("accent", "ritz", "running", "good", "warn")
_SIGNS = "★ automatic ε · × predicted optimum · hollow: not resolved"
_POINTS = 121  # of a predicted curve
_HEADROOM = 1.5  # decades above an error of 1, and room below the least


def accuracy(ds: xr.Dataset) -> go.Figure:
    """Relative error over epsilon, with theorem 3.1's prediction, and the automatic epsilon.

    Filled points are measured errors of the product; hollow ones lie so near the reference's
    own error that they may be the reference's. Dashed is what theorem 3.1 predicts, a cross its
    optimum, a star the automatic epsilon with its measured error, a dotted line the error of an
    extrapolated reference.

    Args:
        ds: Dataset of an accuracy run, also a half-done one.

    Returns:
        The figure; each trace says in `meta["role"]` and `meta["direction"]` what it is.

    Raises:
        RecordError: Not an accuracy, or nothing measured yet.

    Reference: theorem 3.1 of Granziol & Juarev, arXiv 2602.00816.
    """
    ds = as_dataset(ds)
    predictions = theory(ds)
    begun = np.flatnonzero(np.isfinite(ds.auto_epsilon.values))
    if not len(begun):
        raise RecordError(
            "no product is measured yet; wait for the first reading, or read the run's error if "
            "it has ended."
        )
    epsilons = _range(ds)
    dense = theory(ds, epsilons=np.geomspace(*epsilons, _POINTS))
    traces: list[dict[str, Any]] = []
    for index in begun.tolist():
        name = str(ds.direction.values[index])
        colour = LIGHT[COLOURS[index % len(COLOURS)]]
        row = xr.merge(
            [ds.isel(direction=index), predictions.isel(direction=index)], compat="override"
        )
        for trace in (
            _predicted(dense.isel(direction=index)),
            _reference(row, epsilons),
            _measured(row, name),
            _optimum(row),
            _automatic(row),
        ):
            trace["line"] = {**trace.get("line", {}), "color": colour}
            if "marker" in trace:
                trace["marker"] |= {"line": {"color": colour, "width": 1.5}}
                trace["marker"].setdefault("color", colour)
            trace["meta"] |= {"direction": name}
            traces.append(trace)
    _name_once(traces)
    return go.Figure(traces, _layout(ds, traces, epsilons))


def describe(ds: xr.Dataset) -> str:
    """What the errors are held against, and what signs mean, in a line.

    Args:
        ds: Dataset of an accuracy run with at least one direction.

    Returns:
        Plain text.
    """
    exact = ds.exact.values[np.isfinite(ds.exact.values)]
    if exact.all():
        return f"against double backward in float64 · {_SIGNS}"
    error = float(ds.reference_error.where(ds.exact == 0).max())
    return f"against extrapolated products, themselves good to {error:.1g} · {_SIGNS}"


def _range(ds: xr.Dataset) -> tuple[float, float]:
    every = np.concatenate([ds.epsilon.values, ds.auto_epsilon.values])
    every = every[np.isfinite(every)]
    return float(every.min()) / 1.5, float(every.max()) * 1.5


def _measured(row: xr.Dataset, name: str) -> dict[str, Any]:
    resolved = row.resolved.values.astype(bool)
    rows = np.column_stack([row.error.values, row.rho.values, row.cosine.values])
    return {
        "type": "scatter",
        "x": row.epsilon.values,
        "y": row.relative_error.values,
        "customdata": rows,
        "name": name,
        "meta": {"role": "measured"},
        "mode": "lines+markers",
        "line": {"width": 1.5},
        "marker": {"size": 8, "symbol": np.where(resolved, "circle", "circle-open").tolist()},
        "hovertemplate": "ε %{x:.2~e}<br>error %{y:.2~e}<br>D %{customdata[0]:.2~e}<br>"
        "ρ %{customdata[1]:.2~e}<br>cosine %{customdata[2]:.6f}<extra>%{fullData.name}</extra>",
    }


def _name_once(traces: list[dict[str, Any]]) -> None:
    """What all directions share is named in the legend by one of them."""
    for role in ("predicted", "reference"):
        same = [trace for trace in traces if trace["meta"]["role"] == role and trace["showlegend"]]
        for trace in same[1:]:
            trace["showlegend"] = False


def _predicted(dense: xr.Dataset) -> dict[str, Any]:
    return {
        "type": "scatter",
        "x": dense.epsilon.values,
        "y": dense.predicted.values,
        "name": "predicted (theorem 3.1)",
        "meta": {"role": "predicted"},
        "mode": "lines",
        "line": {"width": 1.25, "dash": "dash"},
        "showlegend": bool(np.isfinite(dense.predicted.values).any()),
        "hoverinfo": "skip",
    }


def _reference(row: xr.Dataset, epsilons: tuple[float, float]) -> dict[str, Any]:
    """The reference's own error, where it is large enough to be seen."""
    drawn = float(row.exact) == 0
    return {
        "type": "scatter",
        "x": list(epsilons) if drawn else [],
        "y": [float(row.reference_error)] * 2 if drawn else [],
        "name": "error of the reference",
        "meta": {"role": "reference"},
        "mode": "lines",
        "line": {"width": 1, "dash": "dot"},
        "showlegend": drawn,
        "hovertemplate": "reference good to %{y:.2~e}<extra></extra>",
    }


def _optimum(row: xr.Dataset) -> dict[str, Any]:
    drawn = math.isfinite(float(row.floor))
    return {
        "type": "scatter",
        "x": [float(row.optimum)] if drawn else [],
        "y": [float(row.floor)] if drawn else [],
        "name": "predicted optimum and floor",
        "meta": {"role": "optimum"},
        "mode": "markers",
        "marker": {"size": 9, "symbol": "x-thin"},
        "showlegend": False,
        "hovertemplate": "predicted optimum ε %{x:.2~e}<br>floor %{y:.2~e}<extra></extra>",
    }


def _automatic(row: xr.Dataset) -> dict[str, Any]:
    bound = "" if bool(row.auto_resolved) else "at most about "
    return {
        "type": "scatter",
        "x": [float(row.auto_epsilon)],
        "y": [float(row.auto_relative_error)],
        "customdata": [[float(row.auto_error), float(row.auto_rho), bound]],
        "name": "automatic ε",
        "meta": {"role": "automatic"},
        "mode": "markers",
        "marker": {"size": 14, "symbol": "star"},
        "showlegend": False,
        "hovertemplate": "automatic ε %{x:.2~e}<br>error %{customdata[2]}%{y:.2~e}<br>"
        "D %{customdata[0]:.2~e}<br>ρ %{customdata[1]:.2~e}<extra></extra>",
    }


def _layout(
    ds: xr.Dataset, traces: list[dict[str, Any]], epsilons: tuple[float, float]
) -> dict[str, Any]:
    drawn = ("measured", "automatic", "reference")
    errors = np.concatenate([trace["y"] for trace in traces if trace["meta"]["role"] in drawn])
    errors = errors[np.isfinite(errors) & (errors > 0)]
    low = math.log10(float(errors.min(initial=1.0))) - 0.3
    high = min(math.log10(float(errors.max(initial=1e-6))) + 0.5, _HEADROOM)
    return {
        "template": template(),
        **heading("Accuracy of products over ε", ds.attrs, describe(ds), body=400),
        "xaxis": {
            "title": {"text": "ε along a unit vector"},
            "type": "log",
            "range": [math.log10(epsilon) for epsilon in epsilons],
            "dtick": 1,
        },
        "yaxis": {
            "title": {"text": "relative error of the product"},
            "type": "log",
            "range": [low, high],
            "dtick": 1,
        },
        "hovermode": "closest",
    }
