"""Spectra at the settings of a figure: below the figure the page draws the one that is chosen."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from hessview.data.siblings import same_matrix, siblings
from hessview.data.sweep import setting_of
from hessview.data.unite import unite
from hessview.errors import RecordError
from hessview.page.comparison import measured_settings
from hessview.page.density_panel import density_panel

Json = dict[str, Any]


def spectra(part: xr.Dataset) -> Json:
    """The spectrum at each setting of a sweep.

    Args:
        part: Dataset of a sweep, those of its settings only that have a finished probe.

    Returns:
        density: what all have in common (figure), and spectra: at each setting, which stands in
        `at`, the rest of a density's panel.
    """
    setting = setting_of(part)
    made = [density_panel(part.isel({setting: place})) for place in range(part.sizes[setting])]
    places = zip(part[setting].values.tolist(), made, strict=True)
    return {
        "density": {"figure": made[0]["figure"]},
        "spectra": [{"at": at, **_without_figure(one)} for at, one in places],
    }


def spectra_for(ds: xr.Dataset, among: Sequence[xr.Dataset]) -> Json:
    """Spectra over the step of the matrix that a run measured, from other runs.

    Args:
        ds: Dataset of an accuracy run.
        among: Datasets of runs of any command, half-done ones too.

    Returns:
        As of `spectra`, ascending; {} if none of the runs is a sweep over epsilon of the same
        model at the same weights, with the same operator, subset and seed.
    """
    alike = [
        one for one in among if one.attrs.get("command") == "epsilon_sweep" and same_matrix(ds, one)
    ]
    made: dict[float, Json] = {}
    shared: Json = {}
    for group in siblings(alike):
        try:
            part, _ = measured_settings(unite(group))
        except RecordError:  # no probe is finished yet
            continue
        found = spectra(part)
        shared = found["density"]
        made |= {one["at"]: one for one in found["spectra"]}
    return {"density": shared, "spectra": [made[at] for at in np.sort(list(made))]} if made else {}


def _without_figure(one: Json) -> Json:
    return {key: value for key, value in one.items() if key != "figure"}
