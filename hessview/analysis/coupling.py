"""What a coupling run says, how far it is to be trusted, and whether noise makes it worthless."""

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from hessview.analysis.trace import LEVEL, say_student, student
from hessview.errors import RecordError
from hessview.record.datasets import as_dataset, as_run, check_unmasked
from hessview.wording import alone, limits_of

Array = NDArray[np.float64]

_BLURRED = 0.1  # noise of this size can be told from the drawn numbers, all of the order of 1
_DOMINATED = 0.5  # half of what is read, or more, is noise
TRUSTED, DOUBTED, WORTHLESS = "trustworthy", "blurred by noise", "dominated by noise"
FEW, CONTRADICTED = "too few probes", "at odds with exact products"
NOT_MEASURED = "not measured"
QUANTITIES = ("block_error", "block_error_pooled", "cosine", "cosine_pooled", "kappa")
_CERTAIN = 0.99
"""Level at which kappa is said to differ from 1: of runs whose products are exact one in 100 is."""


def coupling_summary(ds: xr.Dataset) -> xr.Dataset:
    """Numbers of a coupling run, each with its spread over probes, its noise and a verdict.

    With Rademacher probes of unit norm over P parameters, P |(H v_c)_b|^2 averages to the
    squared Frobenius norm of the block H_bc, which is that of H_cb.

    Args:
        ds: A coupling dataset, whole or still running.

    Returns:
        Over quantity: value, spread (standard error over probes), noise, uncertainty (Student's t
        over probes at the level in attrs, and noise), low and high (value less and plus that, as
        far as the quantity can lie there),
        expected (what exact products give on average beside the other quantities, NaN where
        theory is silent), verdict, and basis (where the uncertainty is from). The quantities are
        block_error and cosine, means over probes of |Hv - H_B v| / |Hv| and of the cosine between
        Hv and H_B v; block_error_pooled and cosine_pooled, the ratios of means
        sqrt(E |Hv - H_B v|^2 / E |Hv|^2) and E <Hv, H_B v> / sqrt(E |Hv|^2 E |H_B v|^2), of which
        the first is the root of the off-diagonal blocks' share of the squared Frobenius norm; and
        kappa, E <Hv, H_B v> / E |H_B v|^2.
        Over (block, column): frobenius, the estimated norm of H_bc in units of the loss, its
        spread and noise; coefficient, which is frobenius over the geometric mean of those of
        the two diagonal blocks, at most 1 for positive operators, its spread and noise; and
        verdict_of_cell.
        Over block: row_error (mean over probes of the ratio), row_spread, row_noise,
        row_uncertainty, verdict_of_row.
        NaN is what was not measured, such as a spread over 1 probe.

    Raises:
        RecordError: Not a coupling, or one that was averaged, masked or cut.
    """
    ds = as_dataset(ds)
    if not {"response_norm", "disagreement"} <= set(ds):
        raise RecordError(
            f"the dataset holds {sorted(map(str, ds.data_vars))}, not response_norm and "
            "disagreement; pass the dataset of a coupling run."
        )
    ds = as_run(ds, "response_norm", ("probe", "block", "column"))
    if list(ds.block.values) != list(ds.column.values):
        raise RecordError(
            f"{ds.sizes['block']} blocks and {ds.sizes['column']} columns are left, which are not "
            "the same: a part of the matrix has no numbers of its own; pass the whole dataset."
        )
    check_unmasked(ds, "response_norm", ("probe", "column"))
    return xr.Dataset(
        {**_headline(ds), **_matrix(ds), **_rows(ds)},
        attrs={**ds.attrs, "level": LEVEL, "comment": COMMENT},
    )


COMMENT = (
    "noise of block_error, cosine and kappa, pooled or not: Hv and the sum of its columns are one "
    "vector that was computed twice, by independent steps. What they disagree by, or the error D "
    "of Hv where that is larger, in units of |Hv| (of |H_B v| for cosine and kappa), bounds the "
    "error of either to first order. "
    "Independent errors of Hv and H_B v raise block_error and lower cosine and kappa. With exact "
    "products kappa averages to 1, block_error_pooled^2 to the off-diagonal share of the squared "
    "norm, which is below 1, and cosine_pooled to sqrt(1 - block_error_pooled^2). block_error and "
    "cosine are means of ratios, other numbers, which probes with a small |Hv| rule: block_error "
    "may exceed 1 with exact products too. "
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
            [np.isnan(share), share < _BLURRED, share < _DOMINATED],
            [NOT_MEASURED, TRUSTED, DOUBTED],
            WORTHLESS,
        )
    return words.astype(object)


def _headline(ds: xr.Dataset) -> dict[str, xr.DataArray]:
    value, spread = np.array(_numbers(ds)).T
    with np.errstate(invalid="ignore", divide="ignore"):
        own = _mean(ds.diagonal_norm.values / ds.product_norm.values)
        disagreement = _root_mean_square(ds.disagreement.values)
        error_of_product = _root_mean_square(ds.product_error.values)
        noise = np.fmax(disagreement, error_of_product) / np.array([1.0, 1.0, own, own, own])
    probes = int(np.isfinite(ds.disagreement.values).sum())
    reach = spread * student(probes, LEVEL) if probes > 1 else np.full_like(spread, np.nan)
    expected = np.full(len(QUANTITIES), np.nan)
    expected[[1, 3]] = np.sqrt(np.clip(1 - value[[3, 1]] ** 2, 0, 1))
    expected[4] = 1.0
    uncertainty = reach + noise  # the noise is a bound, which no number of probes averages out
    least, most = np.array([limits_of(name) for name in QUANTITIES]).T
    numbers = {
        "value": value,
        "spread": spread,
        "noise": noise,
        "uncertainty": uncertainty,
        "low": np.maximum(value - uncertainty, np.minimum(least, value)),
        "high": np.minimum(value + uncertainty, np.maximum(most, value)),
        "expected": expected,
    }
    verdict = _verdicts(value, spread, noise, probes)
    basis = [_basis(probes, *row) for row in zip(noise.tolist(), verdict, strict=True)]
    words = {"verdict": verdict, "basis": np.array(basis, dtype=object)}
    coords = {"quantity": np.array(QUANTITIES, dtype=object)}
    return {
        name: xr.DataArray(
            array, coords, ("quantity",), attrs={"units": "1"} if name in numbers else {}
        )
        for name, array in {**numbers, **words}.items()
    }


def _numbers(ds: xr.Dataset) -> list[tuple[Array, Array]]:
    """Each quantity and its standard error, from what older records hold as well."""
    product, diagonal = ds.product_norm.values, ds.diagonal_norm.values
    whole, own = product**2, diagonal**2
    squared_error = (ds.block_error.values * product) ** 2  # |Hv - H_B v|^2
    overlap = ds.kappa.values * own  # <Hv, H_B v>
    share, share_spread = _pooled(squared_error, whole)
    with np.errstate(invalid="ignore", divide="ignore"):
        root = np.sqrt(share)
        size = np.sqrt(_mean(whole) * _mean(own))
        cosine = _mean(overlap) / size
        deviation = overlap / size - cosine / 2 * (whole / _mean(whole) + own / _mean(own))
        return [
            _average(ds.block_error.values),
            (root, share_spread / (2 * root) if root > 0 else share_spread),  # delta method
            _average(ds.cosine.values),
            (cosine, _average(deviation)[1]),  # delta method
            _pooled(overlap, own),
        ]


def _verdicts(value: Array, spread: Array, noise: Array, probes: int) -> NDArray[np.object_]:
    """Of noise first, then of how few probes there are; kappa also by what it has to be."""
    words = verdicts(noise)
    reach = spread * student(probes, LEVEL) if probes > 1 else np.full_like(spread, np.inf)
    few = ~(reach < _BLURRED * np.fmax(1, np.abs(value))) & (words != NOT_MEASURED)
    words[few & (words != WORTHLESS)] = FEW
    if probes > 1:
        kappa_excess = abs(value[-1] - 1) - noise[-1]
        if (
            kappa_excess > student(probes, _CERTAIN) * spread[-1]
            and words[-1] != WORTHLESS
            and kappa_excess > _EXACT
        ):
            words[-1] = CONTRADICTED
    return words


_EXACT = 1e-9  # of kappa: nearer to 1, rounding in float64 decides


def _basis(probes: int, noise: float, verdict: str) -> str:
    if not probes:
        return "no probe is finished yet"
    spread = say_student(probes, LEVEL) if probes > 1 else "1 probe, no spread"
    return f"{spread} and noise {alone(noise, 2)}: {verdict}"


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
    probes = int(np.isfinite(ds.disagreement.values).sum())
    reach = student(probes, LEVEL) if probes > 1 else np.nan
    values = {
        "row_error": error,
        "row_spread": spread,
        "row_noise": noise,
        "row_uncertainty": reach * spread + noise,
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


def _pooled(above: Array, below: Array) -> tuple[Array, Array]:
    """Ratio of means over probes, and its standard error by the delta method."""
    scale = _mean(below)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = _mean(above) / scale
        _, spread = _average((above - ratio * below) / scale)
    return ratio, spread


def _mean(samples: Array) -> Array:
    count = np.isfinite(samples).sum(axis=0)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.nansum(samples, axis=0) / np.where(count, count, np.nan))


def _root_mean_square(samples: Array) -> Array:
    return np.asarray(np.sqrt(_mean(samples**2)))
