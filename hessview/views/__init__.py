"""Figures: each a function of a dataset."""

from collections.abc import Callable

import plotly.graph_objects as go

from hessview.views.accuracy import accuracy
from hessview.views.compare import compare
from hessview.views.convergence import convergence
from hessview.views.coupling import coupling
from hessview.views.density import density
from hessview.views.sweep import sweep
from hessview.views.training import training

VIEWS: dict[str, Callable[..., go.Figure]] = {
    "accuracy": accuracy,
    "coupling": coupling,
    "density": density,
    "epsilon_sweep": sweep,
    "fraction_sweep": sweep,
}
"""The view of each command's dataset, by the command's name."""

__all__ = [
    "VIEWS",
    "accuracy",
    "compare",
    "convergence",
    "coupling",
    "density",
    "sweep",
    "training",
]
