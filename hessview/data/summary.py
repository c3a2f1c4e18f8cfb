"""Headline numbers of a density run, each with its uncertainty."""

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from hessview.data.as_dataset import as_dataset
from hessview.data.displacement import warn_of_rounding
from hessview.data.extremes import COMMENT as OF_EXTREMES
from hessview.data.extremes import Estimate, extremes
from hessview.data.ritz import one_density, ritz
from hessview.errors import InputError
from hessview.spectral import quadrature

Array = NDArray[np.float64]

RESOLUTION = 1e-2  # share of the largest |node| below which SLQ tells no sign (exact 0.31, SLQ 0)
NOT_A_DERIVATIVE = 0.5  # D of this size: noise or kinks, whatever the step


def summary(ds: xr.Dataset, *, resolution: float = RESOLUTION) -> xr.Dataset:
    """Headline numbers of a density run, each with its uncertainty and where that comes from.

    The probes v are Rademacher vectors of unit norm, so with P parameters P v'Hv averages to
    the trace and P |Hv|^2 = P (alpha_1^2 + beta_1^2) to the squared Frobenius norm.

    Args:
        ds: A density dataset, whole or still running.
        resolution: Mass nearer to zero than this share of the largest |node| is unresolved.

    Returns:
        Variables value, uncertainty and basis (how the uncertainty was obtained) over quantity:
        largest and smallest (see `data.extremes`), trace and frobenius_norm
        (every probe with a first step), negative_mass and unresolved_mass (whole probes only;
        shares of the spectrum). NaN where there is nothing to tell from, such as a spread over
        1 probe. attrs["comment"] says what the uncertainties do not hold.

    Raises:
        InputError: resolution is not between 0 and 1.
        RecordError: Not a density, or no step measured yet.

    Warns:
        AccuracyWarning: The parameters' data type rounds the displacements off.

    Reference: Hutchinson (1990); Ubaru, Chen & Saad (2017); Weyl's inequality for product errors.
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
        **extremes(ds),
        **_hutchinson(ds),
        **_masses(ds, found, resolution),
    }
    loss = str(found.node.attrs["units"])
    values, uncertainties, bases = zip(*quantities.values(), strict=True)
    return xr.Dataset(
        {
            "value": ("quantity", np.array(values)),
            "uncertainty": ("quantity", np.array(uncertainties)),
            "basis": ("quantity", np.array(bases, dtype=object)),
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


COMMENT = OF_EXTREMES + (
    "trace and frobenius_norm: one standard error, itself rough for few probes (1/sqrt(2(n-1)) "
    "of it), and D times the value. "
    "negative_mass and unresolved_mass: shares of the spectrum by quadrature; the spread over "
    "probes does not hold the error of the quadrature, nor that of the products. Mass within "
    "resolution of zero has no known sign: the true negative mass can be larger by all of "
    "unresolved_mass."
)


def _hutchinson(ds: xr.Dataset) -> dict[str, Estimate]:
    first = ds.isel(step=0)
    first = first.isel(probe=np.isfinite(first.alpha.values) & np.isfinite(first.beta.values))
    parameters = float(ds.attrs.get("parameters", np.nan))
    if np.isnan(parameters):
        unknown = Estimate(np.nan, np.nan, "the record lacks the number of parameters")
        return {"trace": unknown, "frobenius_norm": unknown}
    error = _product_error(first)
    mean, deviation, basis = _average(first.alpha.values)
    trace = parameters * mean
    square, square_deviation, _ = _average(first.alpha.values**2 + first.beta.values**2)
    norm = np.sqrt(parameters * square)
    # Delta method: d sqrt(x) = dx / (2 sqrt(x)).
    norm_deviation = parameters * square_deviation / (2 * norm) if norm else square_deviation
    if first.sizes["probe"] > 1:
        basis += _say(error)
    return {
        "trace": Estimate(trace, np.hypot(parameters * deviation, (error or 0.0) * trace), basis),
        "frobenius_norm": Estimate(norm, np.hypot(norm_deviation, (error or 0.0) * norm), basis),
    }


def _masses(ds: xr.Dataset, found: xr.Dataset, resolution: float) -> dict[str, Estimate]:
    whole = found.isel(probe=found.finished.values)
    if not whole.sizes["probe"]:
        nothing = Estimate(np.nan, np.nan, "no probe is finished yet")
        return {"negative_mass": nothing, "unresolved_mass": nothing}
    nodes, weights = whole.node.values, whole.weight.fillna(0).values
    band = resolution * float(np.nanmax(np.abs(nodes)))
    note = _shortfall(whole, ds.sizes["step"], band)
    masses = {
        "negative_mass": (weights * (nodes < -band)).sum(axis=1),
        "unresolved_mass": (weights * (np.abs(nodes) <= band)).sum(axis=1),
    }
    estimates = {name: _average(mass) for name, mass in masses.items()}
    return {
        name: Estimate(mean, deviation, basis + note)
        for name, (mean, deviation, basis) in estimates.items()
    }


def _shortfall(whole: xr.Dataset, asked: int, band: float) -> str:
    """What keeps the quadrature from telling masses apart as finely as was asked, in words."""
    # The quadrature of a probe that broke down is exact: no residual is left.
    inexact = whole.isel(probe=(whole.residual > 0).any("node").values)
    steps = int(inexact.steps.max()) if inexact.sizes["probe"] else 0
    if not steps:
        return ""
    width = quadrature.default_sigma(whole.node.values, steps)
    cut = f", cut short at {steps} of {asked} steps" if steps < asked else ""
    coarse = f"; {steps} steps resolve no finer than {width:.2g}" if width > band else ""
    return cut + coarse


def _average(samples: Array) -> Estimate:
    """Mean over probes and its standard error; one probe has no spread."""
    count = len(samples)
    if count == 0:
        return Estimate(np.nan, np.nan, "no probe has a first step")
    if count == 1:
        return Estimate(float(samples[0]), np.nan, "1 probe")
    return Estimate(
        float(samples.mean()),
        float(samples.std(ddof=1) / np.sqrt(count)),
        f"standard error over {count} probes",
    )


def _product_error(ds: xr.Dataset, probe: int | None = None) -> float | None:
    """The largest measured D, of one place along probe or of all; None if none was measured."""
    if "error" not in ds:
        return None
    errors = ds.error if probe is None or "probe" not in ds.dims else ds.error.isel(probe=probe)
    measured = errors.values[np.isfinite(errors.values)]
    return float(measured.max()) if measured.size else None


def _say(error: float | None) -> str:
    if error is None:
        return ""
    doubt = ": not a derivative" if error >= NOT_A_DERIVATIVE else ""
    return f" and product error D = {error:.1e}{doubt}"
