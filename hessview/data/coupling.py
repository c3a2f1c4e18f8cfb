"""What a coupling run says, how far it is to be trusted, and whether noise makes it worthless."""

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from hessview.data.as_dataset import as_dataset
from hessview.data.summary import NOT_A_DERIVATIVE
from hessview.errors import RecordError

Array = NDArray[np.float64]

BLURRED = 0.1  # noise of this size can be told from the drawn numbers, all of the order of 1
TRUSTED, DOUBTED, WORTHLESS = "trustworthy", "blurred by noise", "dominated by noise"
NOT_MEASURED = "not measured"
QUANTITIES = ("block_error", "cosine", "kappa")


def coupling_summary(ds: xr.Dataset) -> xr.Dataset:
    """Numbers of a coupling run, each with its spread over probes, its noise and a verdict.

    With Rademacher probes of unit norm over P parameters, P |(H v_c)_b|^2 averages to the
    squared Frobenius norm of the block H_bc, which is that of H_cb.

    Args:
        ds: A coupling dataset, whole or still running.

    Returns:
        Over quantity (block_error, cosine, kappa): value (mean over probes; of kappa the ratio
        of its two means), spread (standard error), noise, uncertainty (both), expected (what
        isotropic probes and exact products give beside the other quantities), verdict, and
        basis (where the uncertainty is from).
        Over (block, column): frobenius, the estimated norm of H_bc in units of the loss, its
        spread and noise; coefficient, which is frobenius over the geometric mean of those of
        the two diagonal blocks, at most 1 for positive operators, its spread and noise; and
        verdict_of_cell.
        Over block: row_error, row_spread, row_noise, verdict_of_row.
        NaN is what was not measured, such as a spread over 1 probe.

    Raises:
        RecordError: Not a coupling.
    """
    ds = as_dataset(ds)
    if not {"response_norm", "disagreement"} <= set(ds):
        raise RecordError(
            f"the dataset holds {sorted(map(str, ds.data_vars))}, not response_norm and "
            "disagreement; pass the dataset of a coupling run."
        )
    return xr.Dataset(
        {**_headline(ds), **_matrix(ds), **_rows(ds)}, attrs={**ds.attrs, "comment": COMMENT}
    )


COMMENT = (
    "noise of block_error, cosine and kappa: Hv and the sum of its columns are one vector that "
    "was computed twice, by independent steps. What they disagree by, or the error D of Hv where "
    "that is larger, in units of |Hv| (of |H_B v| for cosine and kappa), bounds the error of "
    "either to first order. "
    "Independent errors of Hv and H_B v raise block_error, even beyond 1, and lower cosine and "
    "kappa; exact products have kappa 1 on average, block_error below 1 and cosine "
    "sqrt(1 - block_error^2). "
    "noise of a cell: the change of the response when the step doubles, with the first probe."
)


def verdicts(noise: ArrayLike, *, scale: ArrayLike = 1.0) -> NDArray[np.object_]:
    """Whether numbers are to be believed, in words.

    Args:
        noise: Size of their errors, any shape.
        scale: The size that is to be told apart from 0, such as the number itself; a shape that
            broadcasts with noise.

    Returns:
        One word for each, of the same shape.
    """
    noise, scale = np.broadcast_arrays(np.asarray(noise, float), np.asarray(scale, float))
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where(noise == 0, 0 * scale, noise / scale)
        words = np.select(
            [np.isnan(share), share < BLURRED, share < NOT_A_DERIVATIVE],
            [NOT_MEASURED, TRUSTED, DOUBTED],
            WORTHLESS,
        )
    return words.astype(object)


def _headline(ds: xr.Dataset) -> dict[str, xr.DataArray]:
    value, spread = _average(np.stack([ds[name].values for name in QUANTITIES], axis=-1))
    value[2], spread[2] = _pooled(ds.kappa.values, ds.diagonal_norm.values**2)
    error, cosine, _ = value
    with np.errstate(invalid="ignore", divide="ignore"):
        own = _mean(ds.diagonal_norm.values / ds.product_norm.values)
        apart = _root_mean_square(ds.disagreement.values)
        error_of_product = _root_mean_square(ds.product_error.values)
        noise = np.fmax(apart, error_of_product) / np.array([1.0, own, own])
    numbers = {
        "value": value,
        "spread": spread,
        "noise": noise,
        "uncertainty": np.hypot(spread, noise),
        "expected": np.sqrt(np.clip(1 - np.array([cosine, error, 0.0]) ** 2, 0, 1)),
    }
    probes = int(np.isfinite(ds.disagreement.values).sum())
    verdict = verdicts(noise)
    basis = [_basis(probes, *row) for row in zip(noise.tolist(), verdict, strict=True)]
    words = {"verdict": verdict, "basis": np.array(basis, dtype=object)}
    coords = {"quantity": np.array(QUANTITIES, dtype=object)}
    return {
        name: xr.DataArray(
            array, coords, ("quantity",), attrs={"units": "1"} if name in numbers else {}
        )
        for name, array in {**numbers, **words}.items()
    }


def _basis(probes: int, noise: float, verdict: str) -> str:
    if not probes:
        return "no probe is finished yet"
    spread = f"standard error over {probes} probes" if probes > 1 else "1 probe, no spread"
    return f"{spread} and noise {noise:.1e}: {verdict}"


def _matrix(ds: xr.Dataset) -> dict[str, xr.DataArray]:
    parameters = float(ds.attrs.get("parameters", np.nan))
    samples = parameters * ds.response_norm.values**2
    squares, spreads = _average(samples)
    norm = np.sqrt(squares)
    noise = np.sqrt(parameters) * _root_mean_square(ds.noise.values)
    own = np.sqrt(np.diagonal(norm))
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = spreads / (2 * norm)  # delta method
        coefficient = norm / np.outer(own, own)
        shares = samples / squares
        logarithm = shares / 2 - _over_diagonals(shares) / 4  # of the coefficient, by probe
        coefficient_spread = coefficient * _average(logarithm)[1]  # delta method
        coefficient_noise = noise / np.outer(own, own)
    values: dict[str, tuple[NDArray[Any], str, str]] = {
        "frobenius": (norm, "loss", "Frobenius norm of the block of the operator"),
        "frobenius_spread": (spread, "loss", "standard error over probes"),
        "frobenius_noise": (noise, "loss", "norm that noise alone would have"),
        "coefficient": (coefficient, "1", "norm over those of the two diagonal blocks"),
        "coefficient_spread": (coefficient_spread, "1", "standard error over probes"),
        "coefficient_noise": (coefficient_noise, "1", "coefficient that noise alone would have"),
        "verdict_of_cell": (verdicts(noise, scale=norm), "", "trust in the cell"),
    }
    coords = {"block": ds.block, "column": ds.column}
    return {
        name: xr.DataArray(
            array, coords, ("block", "column"), attrs={"units": units, "long_name": meaning}
        )
        for name, (array, units, meaning) in values.items()
    }


def _over_diagonals(shares: Array) -> Array:
    """Sum of the entries of the two diagonal blocks of each pair, same shape."""
    own = np.diagonal(shares, axis1=-2, axis2=-1)
    return np.asarray(own[..., :, None] + own[..., None, :])


def _rows(ds: xr.Dataset) -> dict[str, xr.DataArray]:
    error, spread = _average(ds.row_error.values)
    noise = _root_mean_square(ds.row_disagreement.values)
    values = {
        "row_error": error,
        "row_spread": spread,
        "row_noise": noise,
        "verdict_of_row": verdicts(noise),
    }
    return {
        name: xr.DataArray(array, {"block": ds.block}, ("block",)) for name, array in values.items()
    }


def _average(samples: Array) -> tuple[Array, Array]:
    """Mean over measured probes (the first axis) and its standard error; one has no spread."""
    count = np.isfinite(samples).sum(axis=0)
    mean = _mean(samples)
    squares = np.nansum((samples - mean) ** 2, axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = np.sqrt(squares / (count - 1) / count)
    return mean, np.where(count > 1, spread, np.nan)


def _pooled(ratios: Array, below: Array) -> tuple[Array, Array]:
    """Ratio of means, which has no bias from a few probes, and its error by the delta method."""
    scale = _mean(below)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = _mean(ratios * below) / scale
        _, spread = _average((ratios - ratio) * below / scale)
    return ratio, spread


def _mean(samples: Array) -> Array:
    count = np.isfinite(samples).sum(axis=0)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.nansum(samples, axis=0) / np.where(count, count, np.nan))


def _root_mean_square(samples: Array) -> Array:
    return np.asarray(np.sqrt(_mean(samples**2)))
