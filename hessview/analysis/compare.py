"""Density runs side by side: what tells them apart, and how far their spectra lie apart."""

import json
import math
from collections.abc import Iterable

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from hessview.analysis.extremes import extremes
from hessview.analysis.headline import warn_of_rounding
from hessview.analysis.ritz import copies_in, ritz
from hessview.analysis.sweep import Distance, Spectra, distance
from hessview.analysis.trace import LEVEL
from hessview.errors import InputError, RecordError
from hessview.record.datasets import as_datasets
from hessview.spectral import quadrature
from hessview.wording import counted

_LABEL_PARTS = {
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

_MATRIX = ("model", "revision", "operator", "subset", "parameters", "digest", "training_step")
_PRODUCTS = ("dtype", "compute_dtype", "epsilon")
"""What tells matrices apart, and what tells apart how one and the same was applied."""

_COARSE = 3.0
"""Times the finest run's kernel width from which a run has its own: drawn as wide as that, the
others would show nothing of what they resolve."""

COMMENT = (
    "distance: first Wasserstein distance to the reference between the mean spectra over probes, "
    "as data.sweep.distances has it, with low and high at the level given; NaN for one probe. "
    "Probes are paired where both runs drew the same ones; else their scatter counts in full. "
    "matrix: in what the run's matrix or its products differ from the reference's. coarse: the "
    "run's steps resolve so much less than the finest run's that it is drawn with a kernel of its "
    "own width."
)


def comparison(
    runs: xr.DataTree | Iterable[xr.Dataset], *, reference: str | None = None
) -> tuple[list[xr.Dataset], xr.Dataset]:
    """Density runs of which something is measured, and how they compare with one of them.

    Args:
        runs: Datasets, half-done ones too, or the tree of `hessview.open_runs`; runs of other
            commands are passed over.
        reference: Label or identity of the run with which the others are compared; None takes
            the first that is not too coarse.

    Returns:
        The runs that can be compared, and over their labels (coordinate run): distance to the
        reference, distance_low and distance_high, in units of the loss (NaN where there is no
        whole probe), largest and smallest with largest_uncertainty and smallest_uncertainty as
        `hessview.summary` has them, whole (how many probes are), copies (how many
        Ritz values were merged), matrix (in what it differs from
        the reference's, in words; "" if in nothing), coarse, and width (the kernel width that its
        steps support). attrs["reference"] is its label, and attrs["left_out"] counts density runs
        without a step.

    Raises:
        RecordError: No density run has a measured step.
        InputError: The reference is none of the runs.

    Reference: Wasserstein distances as in `hessview.analysis.sweep.distances`.
    """
    densities = [ds for ds in as_datasets(runs) if _is_density(ds)]
    measured_runs = measured(densities)
    if not measured_runs:
        raise RecordError(
            f"of {counted(len(densities), 'density run')} none has a measured step; pass density "
            "runs, and wait for their first readings."
        )
    spectra = [ritz(ds) for ds in measured_runs]
    halves = [ritz(ds, steps=max(ds.sizes["step"] // 2, 1)) for ds in measured_runs]
    for ds in measured_runs:
        warn_of_rounding(ds)
    names = labels(measured_runs)
    widths = [
        quadrature.default_sigma(spectrum.node.values, int(spectrum.steps.max()))
        for spectrum in spectra
    ]
    coarse = [width > _COARSE * min(widths) for width in widths]
    base = _reference(reference, names, measured_runs, coarse)
    numbers = [extremes(ds) for ds in measured_runs]
    distances = [
        _distance_between(
            measured_runs[index],
            measured_runs[base],
            *((spectra[run_index], halves[run_index]) for run_index in (index, base)),
        )
        for index in range(len(measured_runs))
    ]
    units = {"units": str(measured_runs[0].alpha.attrs.get("units", "loss"))}
    ends = {
        f"{name}{suffix}": (
            "run",
            np.array([getattr(estimates[name], field) for estimates in numbers]),
            units,
        )
        for name in ("largest", "smallest")
        for suffix, field in (("", "value"), ("_uncertainty", "uncertainty"))
    }
    distance_variables = {
        name: ("run", np.array([getattr(entry, field) for entry in distances]), units)
        for name, field in (
            ("distance", "distance"),
            ("distance_low", "low"),
            ("distance_high", "high"),
        )
    }
    matrix = [differences(ds, measured_runs[base]) for ds in measured_runs]
    return measured_runs, xr.Dataset(
        {
            **distance_variables,
            **ends,
            "whole": ("run", np.array([int(spectrum.finished.sum()) for spectrum in spectra])),
            "copies": ("run", np.array([copies_in(spectrum) for spectrum in spectra])),
            "matrix": ("run", np.array(matrix, dtype=object)),
            "coarse": ("run", np.array(coarse)),
            "width": ("run", np.array(widths), units),
        },
        {"run": np.array(names, dtype=object)},
        {
            "left_out": len(densities) - len(measured_runs),
            "reference": names[base],
            "level": LEVEL,
            "comment": COMMENT,
        },
    )


def differences(ds: xr.Dataset, other: xr.Dataset) -> str:
    """In what a run's matrix, or how it was applied, differs from another's, in words.

    Args:
        ds: Dataset of a density run.
        other: Dataset of another.

    Returns:
        Such as "operator, subset" or "precision"; "" if in nothing that is recorded.
    """
    keys = [key for key in (*_MATRIX, *_PRODUCTS) if ds.attrs.get(key) != other.attrs.get(key)]
    if "training_step" not in keys and not _same_weights(ds, other):
        keys.append("weights")
    return ", ".join(dict.fromkeys(_WORDS.get(key, key) for key in keys))


_WORDS = {
    "parameters": "size",
    "digest": "data",
    "training_step": "training step",
    "dtype": "precision",
    "compute_dtype": "precision",
    "epsilon": "ε",
}
_ROUNDING = 1e-6  # relative; between two passes of a device that sums in no fixed order


def _same_weights(ds: xr.Dataset, other: xr.Dataset) -> bool:
    """Whether loss and gradient, which tell weights apart, are the same, or not told."""
    keys = [key for key in ("loss", "gradient_norm") if key in ds.attrs and key in other.attrs]
    return all(math.isclose(ds.attrs[k], other.attrs[k], rel_tol=_ROUNDING) for k in keys)


def _reference(
    requested: str | None, names: list[str], runs: list[xr.Dataset], coarse: list[bool]
) -> int:
    if requested is None:
        return coarse.index(False)  # the finest is not
    for index, (name, ds) in enumerate(zip(names, runs, strict=True)):
        if requested in (name, ds.attrs.get("run")):
            return index
    raise InputError(f"reference={requested!r} is none of the runs; use one of {names}.")


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
    differing = [key for key in _LABEL_PARTS if len({_label_part(ds, key) for ds in runs}) > 1]
    texts = [", ".join(filter(None, (_label_part(ds, key) for key in differing))) for ds in runs]
    if len(set(texts)) == len(texts) and all(texts):
        return texts
    names = [str(ds.attrs.get("run", index + 1)) for index, ds in enumerate(runs)]
    if len(set(names)) < len(names):  # of several jobs
        names = [f"{name} ({index + 1})" for index, name in enumerate(names)]
    return [
        ", ".join(filter(None, (text, f"run {name}")))
        for text, name in zip(texts, names, strict=True)
    ]


def _is_density(ds: xr.Dataset) -> bool:
    return "alpha" in ds and set(ds.alpha.dims) == {"probe", "step"}


def _label_part(ds: xr.Dataset, key: str) -> str:
    value = ds.attrs.get(key)
    if value is None or value == "":
        return ""
    if key == "subset" and str(value).startswith("["):
        value = " ".join(map(str, json.loads(value)))
    return _LABEL_PARTS[key].format(f"{value:.3g}" if isinstance(value, float) else value)


def _distance_between(
    ds: xr.Dataset, first: xr.Dataset, compared: Spectra, base: Spectra
) -> Distance:
    same = ("seed", "parameters", "model", "subset")
    if all(ds.attrs.get(key) == first.attrs.get(key) for key in same):
        both = np.intersect1d(_labels(compared), _labels(base))
        compared, base = (_chosen(spectra, both) for spectra in (compared, base))
    else:
        compared, base = (
            _chosen(spectra, _labels(spectra, whole=True)) for spectra in (compared, base)
        )
    return distance(compared, base)


def _labels(spectra: Spectra, *, whole: bool = False) -> NDArray[np.int64]:
    assert spectra[0] is not None, "it is measured"
    spectrum = spectra[0]
    return np.asarray(
        spectrum.probe.values[spectrum.finished.values] if whole else spectrum.probe.values
    )


def _chosen(spectra: Spectra, probes: NDArray[np.int64]) -> Spectra:
    every, half = spectra
    assert every is not None, "it is measured"
    assert half is not None, "it is measured"
    return every.sel(probe=probes), half.sel(probe=probes)
