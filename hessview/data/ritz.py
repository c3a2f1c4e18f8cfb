"""The quadrature of a density run, from the coefficients that are measured so far."""

import functools

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from hessview.data.as_dataset import as_dataset
from hessview.errors import InputError, RecordError
from hessview.messages import ENDED
from hessview.spectral import quadrature

Array = NDArray[np.float64]


def ritz(ds: xr.Dataset, *, steps: int | None = None) -> xr.Dataset:
    """Ritz values, weights and residual bounds of every probe, from what is measured so far.

    Only the leading steps without a gap count, and a beta of 0 (the Krylov space is exhausted)
    ends a probe. Probes that got less far are padded with NaN.

    Args:
        ds: A density dataset with alpha and beta over (probe, step), or over (step).
        steps: Use only so many of the first steps; None uses all.

    Returns:
        Variables weight and residual at the coordinate node, all over (probe, node), and
        finished over (probe): whether the probe is whole and may enter an average. A probe is
        whole when it has all steps or broke down; of a run that ended before it had a whole
        one, the longest are.

    Raises:
        InputError: steps is below 1.
        RecordError: No alpha and beta, or no step measured yet.
    """
    ds = as_dataset(ds)
    if steps is not None and steps < 1:
        raise InputError(f"steps={steps} is not allowed; use a whole number >= 1, or None.")
    ds = one_density(ds)
    alpha, beta = (ds[name].values[:, :steps] for name in _COEFFICIENTS)
    lengths = _lengths(alpha, beta)
    nodes = int(lengths.max(initial=0))
    if not nodes:
        raise RecordError(
            "no Lanczos step is measured yet; wait for the first reading, or read the run's "
            "error if it has ended."
        )
    units = str(ds.alpha.attrs.get("units", "loss"))
    columns = {name: np.full((len(lengths), nodes), np.nan) for name in _DESCRIPTIONS}
    for probe, length in enumerate(lengths):
        if length:
            found = _ritz(alpha[probe, :length].tobytes(), beta[probe, :length].tobytes())
            columns["node"][probe, :length] = found.nodes
            columns["weight"][probe, :length] = found.weights
            columns["residual"][probe, :length] = found.residuals
    variables = {
        name: (
            ("probe", "node"),
            columns[name],
            {"units": "1" if name == "weight" else units, "long_name": long_name},
        )
        for name, long_name in _DESCRIPTIONS.items()
    }
    finished = (
        "probe",
        _finished(lengths, beta, over=ds.attrs.get("state") in ENDED),
        {"long_name": "the probe is whole and may enter an average"},
    )
    coords = {"probe": ds.probe, "node": variables.pop("node")}
    return xr.Dataset({**variables, "finished": finished}, coords, ds.attrs)


@functools.lru_cache(maxsize=4096)  # probes; of 64 steps each, 12 MB
def _ritz(alpha: bytes, beta: bytes) -> quadrature.Ritz:
    """As `quadrature.ritz`; kept, since a live page asks for whole probes again at each step."""
    return quadrature.ritz(np.frombuffer(alpha), np.frombuffer(beta))


def one_density(ds: xr.Dataset) -> xr.Dataset:
    """The dataset with dims (probe, step), if it is one of a density.

    Raises:
        RecordError: It holds no coefficients, those of several spectra, or not every step.
    """
    if not all(name in ds and "step" in ds[name].dims for name in _COEFFICIENTS):
        raise RecordError(
            f"the dataset holds {sorted(map(str, ds.data_vars))}, not alpha and beta over steps; "
            "pass the dataset of a density run."
        )
    if beyond := [str(dim) for dim in ds.alpha.dims if dim not in ("probe", "step")]:
        raise RecordError(
            f"the dataset's spectra are also over {beyond}; choose one, such as with "
            f"ds.isel({beyond[0]}=0)."
        )
    first = np.arange(1, ds.sizes["step"] + 1)
    if "step" in ds.coords and not np.array_equal(ds.step.values, first):
        raise RecordError(
            f"steps {ds.step.values.tolist()} are not 1, 2, ... in order; a quadrature needs every "
            "step from the first: pass the whole dataset, and steps=n for the first n."
        )
    ds = ds if "probe" in ds.dims else ds.expand_dims("probe")
    return ds.transpose("probe", "step", ...)


_COEFFICIENTS = ("alpha", "beta")
_DESCRIPTIONS = {
    "node": "Ritz value",
    "weight": "quadrature weight",
    "residual": "distance within which an eigenvalue lies",
}


def _lengths(alpha: Array, beta: Array) -> NDArray[np.int64]:
    """Leading steps of each probe that are measured, up to a breakdown, shape (probe,)."""
    measured = np.isfinite(alpha) & np.isfinite(beta)
    going_on = np.ones_like(measured)
    going_on[:, 1:] = beta[:, :-1] != 0
    return np.asarray(np.logical_and.accumulate(measured & going_on, axis=1).sum(axis=1))


def _finished(lengths: NDArray[np.int64], beta: Array, *, over: bool) -> NDArray[np.bool_]:
    last = beta[np.arange(len(lengths)), lengths - 1]
    whole = (lengths == beta.shape[1]) | ((lengths > 0) & (last == 0))
    if over and not whole.any():
        whole = lengths == lengths.max()
    return np.asarray(whole)
