"""Headline numbers of a density run, each with its uncertainty."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from hessview.data.as_dataset import as_dataset
from hessview.data.displacement import warn_of_rounding
from hessview.data.hutchinson import hutchinson
from hessview.data.interval import Interval
from hessview.data.masses import masses
from hessview.data.ritz import one_density, ritz
from hessview.errors import InputError

Array = NDArray[np.float64]

RESOLUTION = 1e-2  # share of the largest |node| below which SLQ tells no sign (exact 0.31, SLQ 0)
NOT_A_DERIVATIVE = 0.5  # D of this size: noise or kinks, whatever the step


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


def headline(ds: xr.Dataset, *, resolution: float = RESOLUTION) -> xr.Dataset:
    """As `summary`, without its warning: for those who say `displacement.rounding` beside it."""
    if not 0 < resolution < 1:
        raise InputError(f"resolution={resolution!r} is not allowed; use a number between 0 and 1.")
    ds = one_density(ds)
    found = ritz(ds)
    quantities = {
        **{name: _bound(*estimate) for name, estimate in extremes(ds, found).items()},
        **hutchinson(ds),
        **masses(ds, found, resolution),
    }
    loss = str(found.node.attrs["units"])
    numbers = {
        name: ("quantity", np.array([getattr(one, name) for one in quantities.values()]))
        for name in ("value", "uncertainty", "low", "high", "level")
    }
    bases = np.array([one.basis for one in quantities.values()], dtype=object)
    return xr.Dataset(
        {**numbers, "basis": ("quantity", bases)},
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


COMMENT = (
    "largest and smallest: an eigenvalue of the operator as applied lies within the residual "
    "bound, but one with no weight in any probe would be missed, so they bound the extremes from "
    "inside; the product error is D times the largest |node| (Weyl). "
    "D is the largest that was measured in the probe, which may be at its first step only. "
    "trace and frobenius_norm: intervals of Student's t over probes, to which the error D of the "
    "first products is added as it is. "
    "negative_mass and unresolved_mass: shares of the spectrum by quadrature. Their bounds hold "
    "the error of the quadrature, the scatter of Rademacher probes and D, but not what the window "
    "of a partial reorthogonalisation does. Mass within resolution of zero is measured, but has no "
    "known sign."
)


class Estimate(NamedTuple):
    """A number, its uncertainty (NaN where there is none to tell), and how that was obtained."""

    value: float
    uncertainty: float
    basis: str


def extremes(ds: xr.Dataset, found: xr.Dataset) -> dict[str, Estimate]:
    """The part of `summary` that a comparison of many runs needs, at a tenth of the time.

    Args:
        ds: A density dataset.
        found: Its quadrature, as `ritz` gives it.

    Returns:
        The largest and the smallest Ritz value, in units of the loss.
    """
    return {
        "largest": _extreme(ds, found, np.nanargmax),
        "smallest": _extreme(ds, found, np.nanargmin),
    }


def _extreme(ds: xr.Dataset, found: xr.Dataset, choose: Callable[[Array], np.intp]) -> Estimate:
    nodes = found.node.values
    probe, column = np.unravel_index(choose(nodes), nodes.shape)
    error = _product_error(ds, int(probe))
    scale = float(np.nanmax(np.abs(nodes[probe])))
    return Estimate(
        float(nodes[probe, column]),
        # Both are bounds and may point the same way: they add.
        float(found.residual.values[probe, column]) + (error or 0.0) * scale,
        "residual bound" + _say(error, otherwise=_unmeasured(ds)),
    )


def _product_error(ds: xr.Dataset, probe: int | None = None) -> float | None:
    """The largest measured D, of one place along probe or of all; None if none was measured."""
    if "error" not in ds:
        return None
    errors = ds.error if probe is None or "probe" not in ds.dims else ds.error.isel(probe=probe)
    measured = errors.values[np.isfinite(errors.values)]
    return float(measured.max()) if measured.size else None


def _say(error: float | None, otherwise: str = "") -> str:
    if error is None:
        return otherwise
    doubt = ": not a derivative" if error >= NOT_A_DERIVATIVE else ""
    return f" and product error D = {error:.1e}{doubt}"


def _unmeasured(ds: xr.Dataset) -> str:
    if ds.attrs.get("operator") == "exact":
        return "; exact products, which err by rounding alone"
    return "; product error not measured"
