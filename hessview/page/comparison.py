"""Spectra of a sweep that can be compared already, while others are still measured."""

import math

import numpy as np
import xarray as xr

from hessview.data.sweep import distances, setting_of, spectrum
from hessview.errors import RecordError
from hessview.page.wording import between, share


def measured_settings(ds: xr.Dataset) -> tuple[xr.Dataset, xr.Dataset]:
    """The settings that have a finished probe, and how far their spectra lie apart.

    Of a whole sweep these are all settings. Before, the reference is the best of those that are
    there, so that a page need not wait for the last one.

    Args:
        ds: Dataset of a sweep, whole or still running.

    Returns:
        The dataset restricted to these settings, and its `data.sweep.distances`. Without any D
        by which to choose, the reference is the one in the middle.

    Raises:
        RecordError: Not a sweep, or no probe is finished yet.
    """
    setting = setting_of(ds)
    found = [spectrum(ds, setting, place) for place in range(ds.sizes[setting])]
    there = [one is not None and bool(one.finished.any()) for one in found]
    if not any(there):
        raise RecordError(
            "no probe is finished yet at any setting; wait for the first, or read the run's error "
            "if it has ended."
        )
    part = ds.isel({setting: np.flatnonzero(there)})
    settings = part[setting].values
    told = setting == "fraction" or bool(np.isfinite(part.error).any())
    reference = None if told else float(settings[len(settings) // 2])
    return part, distances(part, reference=reference)


def apart_by(one: xr.Dataset) -> str:
    """A distance over the range with its interval, such as "1.2 % (0.8 – 1.9 %)".

    Args:
        one: A setting's entry of `data.sweep.distances`.
    """
    text = share(float(one.relative_distance))
    ends = float(one.relative_low), float(one.relative_high)
    return f"{text} ({between(*ends)})" if math.isfinite(ends[1]) else text
