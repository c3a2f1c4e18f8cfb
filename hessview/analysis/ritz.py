"""Ritz values and quadrature weights of a density run, from the coefficients measured so far.

`ritz` gives those of every probe, `convergence` how the extreme ones of a probe settle over the
Lanczos steps; both refuse datasets whose numbers are no Lanczos run's any more.
"""

import dataclasses
import functools

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from hessview.errors import InputError, NotMeasuredError, RecordError
from hessview.record.datasets import as_dataset
from hessview.record.events import ENDED
from hessview.record.fingerprints import changed
from hessview.spectral import ghosts, quadrature
from hessview.spectral.bounds import Steps, product_errors

Array = NDArray[np.float64]


def ritz(ds: xr.Dataset, *, steps: int | None = None) -> xr.Dataset:
    """Ritz values, weights and residual bounds of every probe, from what is measured so far.

    Only the leading steps without a gap count, and a beta of 0 (the Krylov space is exhausted)
    ends a probe. Probes that got less far are padded with NaN.

    Args:
        ds: A density dataset with alpha and beta over (probe, step), or over (step).
        steps: Use only so many of the first steps; None uses all.

    Returns:
        Variables weight and residual at the coordinate node, all over (probe, position), the
        place of a Ritz value among its probe's, ascending; and over (probe): steps, how many
        count, and finished, whether the probe is whole and may enter an average. A probe is whole
        when it has all steps or broke down; of a run that ended before it had a whole one, the
        longest are. Where old vectors were given up (a window, or no reorthogonalisation), copies
        of an eigenvalue count once, with their weights added, and copies over (probe, position)
        says how many each value stands for.

    Raises:
        InputError: steps is below 1.
        RecordError: No alpha and beta.
        NotMeasuredError: No step is measured yet.
    """
    ds = as_dataset(ds)
    if steps is not None and steps < 1:
        raise InputError(f"steps={steps} is not allowed; use a whole number >= 1, or None.")
    ds = one_density(ds)
    alpha, beta = (ds[name].values[:, :steps] for name in _COEFFICIENTS)
    lengths = _lengths(alpha, beta)
    if not lengths.max(initial=0):
        raise NotMeasuredError(
            "no Lanczos step is measured yet; wait for the first reading, or read the run's "
            "error if it has ended."
        )
    units = str(ds.alpha.attrs.get("units", "loss"))
    quadratures = [
        quadrature_of(steps_of(ds, probe, int(length)), machine_epsilon(ds), keeps_all(ds))
        for probe, length in enumerate(lengths)
    ]
    shape = len(lengths), max(len(rule.nodes) for rule, _ in quadratures)
    columns = {name: np.full(shape, np.nan) for name in _DESCRIPTIONS}
    for probe, (rule, copies) in enumerate(quadratures):
        rows = (rule.nodes, rule.weights, rule.residuals, copies)
        for name, row in zip(_DESCRIPTIONS, rows, strict=True):
            columns[name][probe, : len(row)] = row
    variables = {
        name: (
            ("probe", "position"),
            columns[name],
            {"units": units if name in ("node", "residual") else "1", "long_name": long_name},
        )
        for name, long_name in _DESCRIPTIONS.items()
    }
    of_probes = {
        "steps": ("probe", lengths, {"units": "1", "long_name": "Lanczos steps that count"}),
        "finished": (
            "probe",
            _finished(lengths, beta, over=ds.attrs.get("state") in ENDED),
            {"long_name": "the probe is whole and may enter an average"},
        ),
    }
    coords = {"probe": ds.probe, "node": variables.pop("node")}
    return xr.Dataset({**variables, **of_probes}, coords, ds.attrs)


def rules_of(spectrum: xr.Dataset) -> list[quadrature.Ritz]:
    """The quadrature of each probe, without what pads those that got less far.

    Args:
        spectrum: What `ritz` gave, or some of its probes.

    Returns:
        Of each probe, in order, one of as many nodes as it has Ritz values; 0 of one not begun.
    """
    columns = (spectrum[name].values for name in ("node", "weight", "residual"))
    rows = zip(*map(np.atleast_2d, columns), strict=True)
    return [
        quadrature.Ritz(*(row[finite] for row in rows_of_one))
        for rows_of_one in rows
        for finite in [np.isfinite(rows_of_one[0])]
    ]


def quadrature_of(
    steps: Steps, epsilon: float, full: bool
) -> tuple[quadrature.Ritz, NDArray[np.intp]]:
    """The quadrature of a probe with each eigenvalue once, and how many values each stands for.

    Args:
        steps: What its steps say.
        epsilon: Machine epsilon of the data type in which products are computed.
        full: Whether all vectors were kept: then there are no copies to be merged.

    Returns:
        The quadrature, and the number of Ritz values behind each node.
    """
    count = len(steps.alpha)
    if not count:
        empty = np.zeros(0)
        return quadrature.Ritz(empty, empty, empty), np.zeros(0, dtype=np.intp)
    rule = _ritz(steps.alpha.tobytes(), steps.beta.tobytes())
    if full:
        return rule, np.ones(count, dtype=np.intp)
    return ghosts.merged(rule, _kept(_columns(steps), epsilon))


def merges_of(steps: Steps, epsilon: float) -> list[list[int]]:
    """What a page needs to merge copies by itself, after any number of a probe's steps.

    Args:
        steps: What its steps say, of a run that gave up old vectors.
        epsilon: Machine epsilon of the data type in which products are computed.

    Returns:
        For each number of steps, from 1, by threes: the place of the first of some Ritz values
        that are next to each other (they ascend), how many these are, and the place of the one
        that stands for them. Those that stand for themselves alone are left out.
    """
    return _merges(_columns(steps), epsilon)


@functools.lru_cache(maxsize=1024)  # whole probes, which a live page asks for at each step
def _merges(columns: tuple[bytes, ...], epsilon: float) -> list[list[int]]:
    size = np.dtype(np.float64).itemsize
    merges = []
    for count in range(1, len(columns[0]) // size + 1):
        index = _kept(tuple(column[: size * count] for column in columns), epsilon)
        first = np.flatnonzero(np.diff(index, prepend=-1))
        groups = np.column_stack([first, np.diff(first, append=count), index[first]])
        single = (groups[:, 1] == 1) & (groups[:, 2] == groups[:, 0])
        merges.append(groups[~single].ravel().tolist())
    return merges


def _columns(steps: Steps) -> tuple[bytes, ...]:
    return tuple(getattr(steps, field.name).tobytes() for field in dataclasses.fields(steps))


@functools.lru_cache(maxsize=4096)
def _kept(columns: tuple[bytes, ...], epsilon: float) -> NDArray[np.intp]:
    """Places as of `ghosts.kept`, of the steps that these are the columns of; kept likewise."""
    steps = Steps(*(np.frombuffer(column) for column in columns))
    errors = product_errors(steps, epsilon) + np.nan_to_num(steps.asymmetry)
    return ghosts.kept(steps.alpha, steps.beta, errors)[1]


@functools.lru_cache(maxsize=4096)  # probes; of 64 steps each, 12 MB
def _ritz(alpha: bytes, beta: bytes) -> quadrature.Ritz:
    """As `quadrature.ritz`; kept, since a live page asks for whole probes again at each step."""
    return quadrature.ritz(np.frombuffer(alpha), np.frombuffer(beta))


def copies_in(spectrum: xr.Dataset) -> int:
    """How many Ritz values were merged with others, as copies of one eigenvalue.

    Args:
        spectrum: What `ritz` gave, or some of its probes.
    """
    return _count_copies(spectrum.copies.values)


def _count_copies(copies: ArrayLike) -> int:
    """Of how many Ritz values each node stands for: the sum over those that stand for several."""
    counts = np.nan_to_num(np.asarray(copies, dtype=float))
    return int(counts[counts > 1].sum())


def say_copies(count: int) -> str:
    """That Ritz values were merged, "" if none was.

    Args:
        count: How many, as `copies_in` counts them.
    """
    return f"{count} copies merged" if count else ""


def steps_of(ds: xr.Dataset, probe: int, length: int | None = None) -> Steps:
    """What the leading steps of a probe say of themselves.

    Args:
        ds: What `one_density` gave.
        probe: Place along probe.
        length: How many steps; None takes all that count.

    Returns:
        The steps; NaN stands for what the record lacks.
    """
    count = int(lengths_of(ds)[probe]) if length is None else length

    def column(name: str) -> Array:
        if name not in ds or set(ds[name].dims) != {"probe", "step"}:
            return np.full(count, np.nan)
        return np.ascontiguousarray(ds[name].values[probe, :count], dtype=np.float64)

    return Steps(*(column(field.name) for field in dataclasses.fields(Steps)))


def lengths_of(ds: xr.Dataset) -> NDArray[np.int64]:
    """Leading steps of each probe that are measured, up to a breakdown, shape (probe,).

    Args:
        ds: What `one_density` gave.
    """
    return _lengths(*(ds[name].values for name in _COEFFICIENTS))


def keeps_all(ds: xr.Dataset) -> bool:
    """Whether the run kept all Lanczos vectors, so that no copies arise."""
    kept = ds.attrs.get("reorthogonalize", "full")
    return kept == "full" or (kept != "none" and int(kept) >= int(ds.sizes["step"]))


def machine_epsilon(ds: xr.Dataset) -> float:
    """Machine epsilon of the data type in which a run's products are computed."""
    return _EPSILONS.get(str(ds.attrs.get("compute_dtype")), _EPSILONS["float32"])


_EPSILONS = {"float64": 2.0**-52, "float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}


def one_density(ds: xr.Dataset) -> xr.Dataset:
    """The dataset with dims (probe, step), if it is one of a density.

    A spectrum of averaged coefficients is that of no operator, and looks like one. So what is
    asked for is what a run's own dataset has and arithmetic loses: probes by their numbers, steps
    from the first, settings above 0, and the first coefficients as they were recorded.

    Raises:
        RecordError: It holds no coefficients, those of several spectra, or not every step, or is
            no run's dataset any more (averaged, masked, cut, joined).
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
    steps = ds.step.values if "step" in ds.coords else np.zeros(0)
    if not np.array_equal(steps, first):
        raise RecordError(
            f"steps {steps.tolist()} are not 1, 2, ... in order; a quadrature needs every "
            "step from the first: pass the whole dataset, and steps=n for the first n."
        )
    if doubt := _not_a_run(ds):
        raise RecordError(
            f"this is no run's dataset any more: {doubt}. Coefficients that were averaged, "
            "filled in or joined have the spectrum of no operator; pass the run's own dataset, or "
            "some of its probes, such as ds.isel(probe=[0]), and average what comes out."
        )
    ds = ds if "probe" in ds.dims else ds.expand_dims("probe")
    return ds.transpose("probe", "step", ...)


def _not_a_run(ds: xr.Dataset) -> str:
    """What tells that a dataset is not as a run left it, in words; "" if nothing does."""
    if "probe" not in ds.coords:
        return "its coordinate probe is gone"
    probes = np.atleast_1d(ds.probe.values)
    if not np.issubdtype(probes.dtype, np.integer) or len(np.unique(probes)) < len(probes):
        return f"its probes {probes.tolist()} are not different whole numbers"
    if set(ds.alpha.dims) != set(ds.beta.dims):
        return f"alpha is over {list(ds.alpha.dims)} and beta over {list(ds.beta.dims)}"
    if "epsilon" in ds and bool((ds.epsilon <= 0).any()):
        return "epsilon is not above 0 everywhere"
    if "pair_steps" in ds and bool((ds.pair_steps <= 0).any()):
        return "what was not measured is filled in"
    if bool((ds.beta < 0).any()):
        return "beta is below 0"
    return changed(ds)


_COEFFICIENTS = ("alpha", "beta")
_DESCRIPTIONS = {
    "node": "Ritz value",
    "weight": "quadrature weight",
    "residual": "distance within which an eigenvalue lies",
    "copies": "Ritz values that this one stands for",
}


def _lengths(alpha: Array, beta: Array) -> NDArray[np.int64]:
    """Leading steps of each probe that are measured, up to a breakdown, shape (probe,)."""
    measured = np.isfinite(alpha) & np.isfinite(beta)
    continues = np.ones_like(measured)
    continues[:, 1:] = beta[:, :-1] != 0
    return np.asarray(np.logical_and.accumulate(measured & continues, axis=1).sum(axis=1))


def _finished(lengths: NDArray[np.int64], beta: Array, *, over: bool) -> NDArray[np.bool_]:
    last = beta[np.arange(len(lengths)), lengths - 1]
    whole = (lengths == beta.shape[1]) | ((lengths > 0) & (last == 0))
    if over and not whole.any():
        whole = lengths == lengths.max()
    return np.asarray(whole)


ENDS = ("largest", "smallest")


def convergence(ds: xr.Dataset, *, probe: int | None = None, extremes: int = 3) -> xr.Dataset:
    """The largest and the smallest Ritz values of one probe after each Lanczos step.

    The largest only grow and the smallest only fall: the values of one step interlace with those
    of the next. Copies of an eigenvalue, which arise where old vectors are given up, count once.

    Args:
        ds: Dataset of a density run, also a half-done one.
        probe: The probe, by its value of the coordinate probe; None takes the one that got
            furthest, of equals the first.
        extremes: How many of the largest and of the smallest, >= 1.

    Returns:
        Variables value and residual (an eigenvalue of the operator as applied lies within it),
        both in units of the loss, over (end, rank, step); end is "largest" or "smallest", rank 1
        is the outermost. NaN before step 2 * rank, but for the first step's only value, which is
        at both ends: inner values belong to neither. copies over (step) counts the Ritz values
        that were merged with others. attrs["probe"] is the probe.

    Raises:
        InputError: A probe that is none of the run's, or extremes < 1.
        RecordError: Not a density, or no step of the probe is measured yet.

    Reference: Parlett, The Symmetric Eigenvalue Problem (1998), 10.1 and 13.2.
    """
    ds = as_dataset(ds)
    if extremes < 1:
        raise InputError(f"extremes={extremes!r} is not allowed; use a whole number >= 1.")
    nodes_and_weights = ritz(ds)
    lengths = nodes_and_weights.steps.values
    probes = nodes_and_weights.probe.values.tolist()
    if probe is not None and probe not in probes:
        raise InputError(f"probe={probe!r} is not allowed; use one of {probes}, or None.")
    index = int(np.argmax(lengths)) if probe is None else probes.index(probe)
    length = int(lengths[index])
    if not length:
        raise RecordError(
            f"no Lanczos step of probe={probe} is measured yet; wait for its first, or choose "
            f"one of {[probes[position] for position in np.flatnonzero(lengths)]}."
        )
    run = one_density(ds)
    lanczos, epsilon, full = steps_of(run, index, length), machine_epsilon(run), keeps_all(run)
    columns = np.full((2, len(ENDS), extremes, length), np.nan)
    merged = np.zeros(length, dtype=np.int64)
    for step in range(1, length + 1):
        rule, copies = quadrature_of(lanczos.first(step), epsilon, full)
        merged[step - 1] = _count_copies(copies)
        count = len(rule.nodes)
        # Further ones would belong to one end as much as to the other.
        rank_count = min(extremes, max(count // 2, 1))
        for row, values in enumerate((rule.nodes, rule.residuals)):
            columns[row, 0, :rank_count, step - 1] = values[::-1][:rank_count]
            columns[row, 1, :rank_count, step - 1] = values[:rank_count]
    units = {"units": nodes_and_weights.node.attrs["units"]}
    dims = ("end", "rank", "step")
    return xr.Dataset(
        {
            "value": (dims, columns[0], {**units, "long_name": "Ritz value"}),
            "residual": (dims, columns[1], {**units, "long_name": "residual bound"}),
            "copies": ("step", merged, {"units": "1", "long_name": "Ritz values that were merged"}),
        },
        {
            "end": np.array(ENDS, dtype=object),
            "rank": np.arange(1, extremes + 1),
            "step": np.arange(1, length + 1),
        },
        {**ds.attrs, "probe": probes[index]},
    )
