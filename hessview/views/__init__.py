"""Figures: each a function of a dataset."""

from collections.abc import Callable

import plotly.graph_objects as go

from hessview.views.coupling import coupling
from hessview.views.density import density

VIEWS: dict[str, Callable[..., go.Figure]] = {"coupling": coupling, "density": density}
"""The view of each command's dataset, by the command's name."""

__all__ = ["VIEWS", "coupling", "density"]
