"""Density runs side by side: what tells them apart, and how far their spectra lie apart."""

import json
from collections.abc import Iterable

import numpy as np
import xarray as xr

from hessview.data.as_dataset import as_datasets
from hessview.data.displacement import warn_of_rounding
from hessview.data.extremes import extremes
from hessview.data.ritz import ritz
from hessview.data.sweep import distance
from hessview.errors import RecordError
from hessview.spectral import quadrature

TOLD_APART = {
    "model": "{}",
    "operator": "{}",
    "subset": "subset {}",
    "training_step": "training step {}",
    "epsilon": "ε {}",
    "seed": "seed {}",
    "dtype": "{}",
    "compute_dtype": "computing in {}",
}
"""What a run's label may tell, by the attr that holds it, and how."""

COMMENT = (
    "distance: first Wasserstein distance to the first run, between the quadratures of the same "
    "probe where both runs drew the same probes, and then with a standard error over probes; "
    "otherwise between the means over probes, which differ by their probes as well."
)


def comparison(runs: xr.DataTree | Iterable[xr.Dataset]) -> tuple[list[xr.Dataset], xr.Dataset]:
    """Density runs of which something is measured, and how they compare with the first of them.

    Args:
        runs: Datasets, half-done ones too, or the tree of `hessview.open_runs`; runs of other
            commands are passed over.

    Returns:
        The runs that can be compared, and over their labels (coordinate run): distance and spread
        to the first, in units of the loss (NaN where there is no whole probe), largest and
        smallest with largest_uncertainty and smallest_uncertainty as `hessview.summary` has them,
        and whole (how many probes are). attrs["left_out"] counts density runs without a step.

    Raises:
        RecordError: No density run has a measured step.

    Reference: Wasserstein distances as in `hessview.data.sweep.distances`.
    """
    found = [ds for ds in as_datasets(runs) if _is_density(ds)]
    there = measured(found)
    if not there:
        raise RecordError(
            f"none of {len(found)} density runs has a measured step; pass density runs, and wait "
            "for their first readings."
        )
    spectra = [ritz(ds) for ds in there]
    for ds in there:
        warn_of_rounding(ds)
    numbers = [extremes(ds) for ds in there]
    apart = np.array(
        [_apart(ds, one, there[0], spectra[0]) for ds, one in zip(there, spectra, strict=True)]
    )
    units = {"units": str(there[0].alpha.attrs.get("units", "loss"))}
    ends = {
        f"{name}{suffix}": ("run", np.array([getattr(one[name], field) for one in numbers]), units)
        for name in ("largest", "smallest")
        for suffix, field in (("", "value"), ("_uncertainty", "uncertainty"))
    }
    return there, xr.Dataset(
        {
            "distance": ("run", apart[:, 0], units),
            "spread": ("run", apart[:, 1], units),
            **ends,
            "whole": ("run", np.array([int(one.finished.sum()) for one in spectra])),
        },
        {"run": np.array(labels(there), dtype=object)},
        {"left_out": len(found) - len(there), "comment": COMMENT},
    )


def measured(runs: Iterable[xr.Dataset]) -> list[xr.Dataset]:
    """Those of the runs that are density runs and have a measured step.

    Args:
        runs: Datasets of runs of any command.

    Returns:
        Datasets in the same order.
    """
    densities = [ds for ds in runs if _is_density(ds)]
    return [ds for ds in densities if bool(np.isfinite(ds.alpha.isel(step=0)).any())]


def labels(runs: list[xr.Dataset]) -> list[str]:
    """A name for each run, of what tells it from the others; unique.

    Args:
        runs: Datasets of runs.

    Returns:
        Plain text for each, the run's identity where nothing else differs.
    """
    differing = [key for key in TOLD_APART if len({_told(ds, key) for ds in runs}) > 1]
    made = [", ".join(filter(None, (_told(ds, key) for key in differing))) for ds in runs]
    if len(set(made)) == len(made) and all(made):
        return made
    names = [str(ds.attrs.get("run", place + 1)) for place, ds in enumerate(runs)]
    if len(set(names)) < len(names):  # of several jobs
        names = [f"{name} ({place + 1})" for place, name in enumerate(names)]
    return [
        ", ".join(filter(None, (text, f"run {name}")))
        for text, name in zip(made, names, strict=True)
    ]


def _is_density(ds: xr.Dataset) -> bool:
    return "alpha" in ds and set(ds.alpha.dims) == {"probe", "step"}


def _told(ds: xr.Dataset, key: str) -> str:
    value = ds.attrs.get(key)
    if value is None or value == "":
        return ""
    if key == "subset" and str(value).startswith("["):
        value = " ".join(map(str, json.loads(value)))
    return TOLD_APART[key].format(f"{value:.3g}" if isinstance(value, float) else value)


def _apart(
    ds: xr.Dataset, found: xr.Dataset, first: xr.Dataset, base: xr.Dataset
) -> tuple[float, float]:
    same = ("seed", "parameters", "model", "subset")
    if all(ds.attrs.get(key) == first.attrs.get(key) for key in same):
        both = np.intersect1d(found.probe, base.probe)
        return distance(found.sel(probe=both), base.sel(probe=both))
    one, other = _mean(found), _mean(base)
    if one is None or other is None:
        return np.nan, np.nan
    return quadrature.wasserstein(one, other), np.nan


def _mean(found: xr.Dataset) -> quadrature.Ritz | None:
    """The mean measure of the whole probes."""
    whole = found.isel(probe=found.finished.values)
    if not whole.sizes["probe"]:
        return None
    columns = [whole[name].values for name in ("node", "weight", "residual")]
    there = np.isfinite(columns[0])
    node, weight, residual = (column[there] for column in columns)
    return quadrature.Ritz(node, weight / whole.sizes["probe"], residual)
