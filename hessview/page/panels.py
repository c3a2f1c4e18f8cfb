"""How each command's dataset becomes a panel of the page."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import plotly.graph_objects as go
import xarray as xr
from plotly.colors import sample_colorscale

from hessview.data.benchmark import benchmark, format_benchmark
from hessview.data.sweep import setting_of
from hessview.errors import RecordError
from hessview.messages import ENDED
from hessview.page.comparison import measured_settings
from hessview.page.convergence_panel import convergence_panel
from hessview.page.coupling_panel import coupling_panel
from hessview.page.density_panel import density_panel
from hessview.page.plain import plain
from hessview.page.settings import settings_over, steps_over
from hessview.page.spectra import spectra
from hessview.views.accuracy import accuracy
from hessview.views.accuracy import describe as describe_accuracy
from hessview.views.sweep import describe as describe_sweep
from hessview.views.sweep import sweep

Json = dict[str, Any]
Panel = Callable[[xr.Dataset], Json]


def panels(ds: xr.Dataset) -> list[Json]:
    """The panels of a run.

    Args:
        ds: Dataset of the run, also one with nothing measured yet.

    Returns:
        At least one, each a dict of JSON values (NaN is None): kind, by which `view.js` knows how
        to draw it, title, subtitle, message (why there is nothing to draw, "" if there is), again
        (the command that was asked for, as JSON, None if it is not known), shares (the place of
        the panel whose values it uses as well, if any), and what its kind needs.
    """
    made = [_first(ds)]
    if made[0]["kind"] == "density" and not made[0]["message"]:
        title = "Convergence of the extremes"
        made.append({"kind": "convergence", "title": title, "shares": 0} | convergence_panel(ds))
    return made


def _first(ds: xr.Dataset) -> Json:
    kind, title, first, make = PANELS[str(ds.attrs.get("command", "density"))]
    blank: Json = {"kind": kind, "title": title, "subtitle": "", "message": ""}
    blank["again"] = json.loads(ds.attrs.get("asked", "null"))
    try:
        return blank | make(ds)
    except RecordError:
        ended = ds.attrs.get("state") in ENDED
        message = (
            f"The run ended before its first {first}." if ended else f"No {first} is measured yet."
        )
        return blank | {"message": message}


def _accuracy(ds: xr.Dataset) -> Json:
    return _figure(accuracy(ds), describe_accuracy(ds)) | {"over": steps_over(ds)}


def _sweep(ds: xr.Dataset) -> Json:
    part, apart = measured_settings(ds)
    reference = apart.attrs["reference"]
    made = _figure(sweep(part, reference=reference), describe_sweep(apart))
    curves = [trace for trace in made["figure"]["data"] if trace["meta"]["role"] == "density"]
    for curve in curves:
        for array in ("x", "y", "customdata"):  # the page computes them from the spectra
            del curve[array]
    light = [curve["line"]["color"] for curve in curves]
    # The darkest shades of the scale are lost on a dark ground.
    dark = sample_colorscale("Viridis", np.linspace(0.4, 1.0, len(light)).tolist())
    return made | {
        "dark": dict(zip(light, dark, strict=True)),
        "over": settings_over(part, apart),
        "reference": part[setting_of(part)].values.tolist().index(reference),
        **spectra(part),
    }


def _benchmark(ds: xr.Dataset) -> Json:
    return {"text": format_benchmark(benchmark(ds))}


PANELS: dict[str, tuple[str, str, str, Panel]] = {
    "accuracy": ("settings", "Accuracy of products over the step", "product", _accuracy),
    "benchmark": ("text", "What products cost", "repetition", _benchmark),
    "coupling": ("coupling", "Coupling between blocks", "column", coupling_panel),
    "density": ("density", "Spectral density", "Lanczos step", density_panel),
    "epsilon_sweep": ("sweep", "Stability of the spectrum over ε", "finished probe", _sweep),
    "fraction_sweep": (
        "sweep",
        "Stability of the spectrum over parts of the data",
        "finished probe",
        _sweep,
    ),
}
"""Of each command: the kind of its panel, its title, what comes first, and what the kind needs."""


def _figure(figure: go.Figure, subtitle: str) -> Json:
    """A figure as it is, but for its title, which the page writes as text."""
    made = figure.to_plotly_json()
    layout = {key: value for key, value in made["layout"].items() if key not in ("title", "meta")}
    return {
        "subtitle": subtitle,
        "figure": {"data": plain(made["data"]), "layout": plain(layout)},
        "warning": "",
        "dark": {},
    }
