"""What the page needs to draw how the extremes of any probe settle."""

import math
from typing import Any

import numpy as np
import xarray as xr

from hessview.page.plain import plain
from hessview.views.convergence import bounds, convergence

Json = dict[str, Any]

EXTREMES = 3  # the largest, and as many of the smallest: more lie on each other


def convergence_panel(ds: xr.Dataset) -> Json:
    """The figure without what the page computes from the coefficients of the density's panel.

    Args:
        ds: Dataset of a density run in which something is measured.

    Returns:
        A dict of JSON values: subtitle, figure (traces without arrays, layout), extremes (how
        many of each end), bounds (of the largest and the smallest, the products' errors
        included, of each probe that has a step, by its name), and asymmetries (that of each
        step, likewise; null where there is none).

    Raises:
        RecordError: Not a density, or nothing measured yet.
    """
    made = convergence(ds.isel(step=slice(1)), extremes=EXTREMES).to_plotly_json()
    arrays = ("x", "y", "customdata")
    layout = {key: value for key, value in made["layout"].items() if key not in ("title", "meta")}
    probes = ds.probe.values.tolist() if "probe" in ds.dims else [0]
    skews = ds.asymmetry.values if "asymmetry" in ds else np.zeros((0, 0))
    return {
        "subtitle": "Ritz values after each Lanczos step, and how near an eigenvalue must be",
        "figure": {
            "data": [
                {key: value for key, value in trace.items() if key not in arrays}
                for trace in made["data"]
            ],
            "layout": plain(layout),
        },
        "extremes": EXTREMES,
        "asymmetries": {
            str(probe): plain([value if value > 0 else math.nan for value in row])
            for probe, row in zip(probes, np.atleast_2d(skews).tolist(), strict=False)
            if np.isfinite(row).any()
        },
        "bounds": {str(probe): plain(bounds(ds, probe)) for probe in probes},
    }
