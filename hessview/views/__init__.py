"""Figures: each a function of a dataset, of Plotly.

It may import `analysis` and what lies below, and no torch. It offers a view for each command, by
name in `VIEWS`, and those of several runs (`compare`, `training`).
"""

from collections.abc import Callable
from typing import Any

import plotly.graph_objects as go
import xarray as xr

from hessview.errors import InputError
from hessview.extensions import Registry, named
from hessview.record.measurements import measurement_in
from hessview.views.accuracy import accuracy
from hessview.views.compare import compare
from hessview.views.convergence import convergence
from hessview.views.coupling import coupling
from hessview.views.density import density
from hessview.views.sweep import sweep
from hessview.views.training import training

_OWN = (accuracy, compare, convergence, coupling, density, sweep, training)

VIEWS: Registry[Callable[..., go.Figure]] = Registry(
    "view", "hessview.views", {view.__name__: view for view in _OWN}, callable
)
"""Views by name. Installed packages add theirs as entry points of group "hessview.views"."""

__all__ = [
    "VIEWS",
    "accuracy",
    "compare",
    "convergence",
    "coupling",
    "density",
    "figure_of",
    "sweep",
    "training",
]


def figure_of(ds: xr.Dataset) -> go.Figure:
    """The figure of a run, by the view of its command.

    Args:
        ds: Dataset of the run.

    Raises:
        InputError: The command has no view.
        RecordError: Nothing is measured yet, or the command is unknown.
    """
    measurement = measurement_in(ds.attrs)
    if not measurement.view:
        raise InputError(
            f"a {measurement.name} has no figure; see its dataset, or hessview.summary."
        )
    return named("view", measurement.view, VIEWS)(ds)


def __getattr__(name: str) -> Any:
    """A view of another package."""
    if name.startswith("_") or name not in VIEWS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return VIEWS[name]
