"""Headline numbers of a density run, each with its uncertainty."""

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from hessview.data.as_dataset import as_dataset
from hessview.data.displacement import warn_of_rounding
from hessview.data.extremes import COMMENT as OF_EXTREMES
from hessview.data.extremes import extremes
from hessview.data.hutchinson import hutchinson
from hessview.data.interval import Interval
from hessview.data.masses import masses
from hessview.data.ritz import one_density, ritz
from hessview.errors import InputError

Array = NDArray[np.float64]

RESOLUTION = 1e-2  # share of the largest |node| below which SLQ tells no sign (exact 0.31, SLQ 0)


def summary(ds: xr.Dataset, *, resolution: float = RESOLUTION) -> xr.Dataset:
    """Headline numbers of a density run, each with the interval that holds it, and why.

    Args:
        ds: A density dataset, whole or still running.
        resolution: Mass nearer to zero than this share of the largest |node| is unresolved.

    Returns:
        Over quantity: value; low and high, between which the truth lies; level, how often such
        intervals hold it (1 for bounds that do as long as what they are made of is right);
        uncertainty, the farther end's distance, so that value ± uncertainty holds the interval;
        and basis, how the interval was obtained, in words. The quantities are largest and
        smallest (extreme Ritz values over all probes), trace and frobenius_norm (every probe with
        a first step), negative_mass and unresolved_mass (whole probes only; shares of the
        spectrum). NaN where there is nothing to tell from, such as a spread over 1 probe; a
        number that is withheld is NaN, and its basis the reason. attrs["comment"] says what the
        intervals do not hold.

    Raises:
        InputError: resolution is not between 0 and 1.
        RecordError: Not a density, or no step measured yet.

    Warns:
        AccuracyWarning: The parameters' data type rounds the displacements off.

    Reference: `data.hutchinson.hutchinson` and `data.masses.masses`, where the formulas stand.
    """
    ds = as_dataset(ds)
    warn_of_rounding(ds)
    return headline(ds, resolution=resolution)


def headline(ds: xr.Dataset, *, resolution: float = RESOLUTION, shares: bool = True) -> xr.Dataset:
    """As `summary`, without its warning: for those who say `displacement.rounding` beside it.

    Without shares the masses are left out, which take most of the time.
    """
    if not 0 < resolution < 1:
        raise InputError(f"resolution={resolution!r} is not allowed; use a number between 0 and 1.")
    ds = one_density(ds)
    found = ritz(ds)
    bounds = extremes(ds)
    quantities = {
        **{name: _bound(*estimate) for name, estimate in bounds.items()},
        **hutchinson(ds),
        **(masses(ds, found, resolution) if shares else {}),
    }
    loss = str(found.node.attrs["units"])
    numbers = {
        name: ("quantity", np.array([getattr(one, name) for one in quantities.values()]))
        for name in ("value", "low", "high", "level")
    }
    stated = [
        bounds[name].uncertainty if name in bounds else one.uncertainty
        for name, one in quantities.items()
    ]
    bases = np.array([one.basis for one in quantities.values()], dtype=object)
    return xr.Dataset(
        {
            **numbers,
            "uncertainty": ("quantity", np.array(stated)),
            "basis": ("quantity", bases),
        },
        {
            "quantity": np.array(list(quantities), dtype=object),
            "units": (
                "quantity",
                np.array(["1" if "mass" in name else loss for name in quantities], dtype=object),
            ),
        },
        {**ds.attrs, "resolution": resolution, "comment": COMMENT},
    )


def _bound(value: float, uncertainty: float, basis: str) -> Interval:
    """An extreme, which lies within its bound, not with some probability."""
    level = 1.0 if np.isfinite(uncertainty) else np.nan
    return Interval(value, value - uncertainty, value + uncertainty, level, basis)


COMMENT = OF_EXTREMES + (
    "trace and frobenius_norm: intervals of Student's t over probes, to which the error D of the "
    "first products is added as it is. "
    "negative_mass and unresolved_mass: shares of the spectrum by quadrature. Their bounds hold "
    "the error of the quadrature, the scatter of Rademacher probes and D, but not what the window "
    "of a partial reorthogonalisation does. Mass within resolution of zero is measured, but has no "
    "known sign."
)
