"""What the page needs to draw a density of any steps and probes by itself."""

from typing import Any

import xarray as xr

from hessview.data.ritz import ritz
from hessview.page.coefficients import coefficients
from hessview.page.plain import plain
from hessview.views.density import density, marks
from hessview.views.density import describe as describe_density

Json = dict[str, Any]


def density_panel(ds: xr.Dataset) -> Json:
    """Lanczos coefficients of every probe, and the figure without what is computed from them.

    Args:
        ds: Dataset of a density run, also a half-done one.

    Returns:
        A dict of JSON values: subtitle, figure (traces without arrays, layout), marks (smallest
        and largest eigenvalue of the whole run, each with its uncertainty), all (the probes that
        were asked for), and what `page.coefficients` gives, in which Ritz values and weights are
        computed.

    Raises:
        RecordError: Not a density, or nothing measured yet.
    """
    found = ritz(ds)
    return {
        "subtitle": describe_density(found),
        "figure": _bare(ds),
        "marks": marks(ds, found),
        "all": found.probe.values.tolist(),
        **coefficients(ds),
    }


def _bare(ds: xr.Dataset) -> Json:
    """The figure without what the page computes; one step is the least that has every trace."""
    made = density(ds, steps=1).to_plotly_json()
    arrays = ("x", "y", "customdata")
    traces = [
        plain({key: value for key, value in trace.items() if key not in arrays})
        for trace in made["data"]
    ]
    layout = {key: value for key, value in made["layout"].items() if key not in ("title", "meta")}
    return {"data": traces, "layout": plain(layout)}
