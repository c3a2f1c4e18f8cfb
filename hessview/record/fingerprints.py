"""Whether numbers still are those that a run recorded, told by fingerprints in its attributes.

xarray keeps attributes through arithmetic (since 2025.11), so that ds * 2, abs(ds) or
ds.fillna(0) look like the run that they were made of. A fingerprint is made of a number, of its
variable's name and of its coordinates. It therefore survives whatever leaves a reading as it is:
choosing probes or leading steps, transposing, and files.
"""

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from hessview.record.measurements import MEASUREMENTS

_Hashes = NDArray[np.uint64]

ATTRIBUTE, COUNTED_IN = "fingerprints", "fingerprints_count_in"
"""Attributes of a dataset: the fingerprints, and the type in which its numbers count."""

MOST_KEPT = 256
"""Fingerprints of single readings that are kept of a variable; of a larger one, a sample."""

_BITS = 16
_GOLDEN, _MIX = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD6E8FEB86659FD93)  # odd, well spread
_HALF = np.uint64(32)


@dataclasses.dataclass(frozen=True)
class _Kept:
    """What is kept of a variable.

    Attributes:
        count: How many numbers were measured.
        total: Sum of all their hashes modulo 2^64: tells any change of a whole variable.
        every: One in so many readings has its own fingerprint, for datasets that were cut.
        kept: These fingerprints, in hexadecimal.
    """

    count: int
    total: str
    every: int
    kept: str


def fingerprints(
    arrays: Mapping[str, tuple[Sequence[str], NDArray[np.float64]]],
    coordinates: Mapping[str, NDArray[Any]],
    attrs: Mapping[str, Any],
) -> dict[str, str]:
    """Fingerprints of what was measured, as attributes.

    Numbers that were computed in float64 count in float64. All others count in float32, so that a
    dataset that was stored in float32 is still the same.

    Args:
        arrays: Dims and numbers by variable, NaN where nothing was measured.
        coordinates: Labels along each dim.
        attrs: The run's other attributes, which say in what its products were computed.

    Returns:
        `ATTRIBUTE`, JSON of some tens of kB at most, and `COUNTED_IN`.
    """
    counted_in = "float64" if attrs.get("compute_dtype") == "float64" else "float32"
    by_name = {}
    labels: dict[tuple[str, ...], _Hashes] = {}
    for name, (dims, values) in arrays.items():
        measured = ~np.isnan(values)
        if not measured.any():
            continue
        key = tuple(dims)
        if key not in labels:
            labels[key] = _labels({dim: coordinates[dim] for dim in key}, key)
        places = labels[key][measured]
        hashes = _hashes(name, places, values[measured], counted_in)
        every = -(-len(hashes) // MOST_KEPT)
        kept = np.unique(hashes[_sampled(places, every)] >> np.uint64(64 - _BITS))
        by_name[name] = _Kept(
            count=len(hashes),
            total=f"{int(hashes.sum(dtype=np.uint64)):016x}",
            every=every,
            kept=kept.astype(">u2").tobytes().hex(),
        )
    text = json.dumps({name: dataclasses.astuple(entry) for name, entry in by_name.items()})
    return {ATTRIBUTE: text, COUNTED_IN: counted_in}


def changed(ds: xr.Dataset) -> str:
    """What tells that numbers are not those that the run recorded, in words; "" if nothing does.

    Of a dataset without fingerprints, as of one that was made by hand, nothing is known.

    Args:
        ds: A dataset, whole, or some of its probes, steps or settings.
    """
    measurement = MEASUREMENTS.get(str(ds.attrs.get("command")))
    if measurement is None:
        return ""
    schema = measurement.schema
    if ATTRIBUTE not in ds.attrs:
        # Attributes in which runs differ are dropped where they are joined, and equal ones kept.
        joined = COUNTED_IN in ds.attrs or ("asked" in ds.attrs and "run" not in ds.attrs)
        return "it was made of several runs" if joined else ""
    recorded: Mapping[str, Sequence[Any]] = json.loads(ds.attrs[ATTRIBUTE])
    counted_in = str(ds.attrs.get(COUNTED_IN))
    for name, variable in schema.variables.items():
        if name not in ds.data_vars:
            continue
        array, dims = ds[name], variable.dims or schema.dims
        if gone := [dim for dim in dims if dim not in ds.coords]:
            return f"its coordinate {gone[0]} is gone"
        if not set(array.dims) <= set(dims):
            continue  # repeated along a dim by masking, and of no use
        entry = _Kept(*recorded[name]) if name in recorded else _Kept(0, "", 1, "")
        if why := _difference(name, array, dims, entry, counted_in):
            return why
    return ""


def _difference(
    name: str, array: xr.DataArray, dims: Sequence[str], recorded: _Kept, counted_in: str
) -> str:
    values = np.asarray(array.values, dtype=np.float64)
    measured = ~np.isnan(values)
    count = int(measured.sum())
    if count > recorded.count:
        return f"{name} has {count} numbers, of which the run measured {recorded.count}"
    if not count:
        return ""
    axes = tuple(str(dim) for dim in array.dims)
    places = _labels({dim: array[dim].values for dim in dims}, axes)[measured]
    hashes = _hashes(name, places, values[measured], counted_in)
    if count == recorded.count:
        same = f"{int(hashes.sum(dtype=np.uint64)):016x}" == recorded.total
    else:
        kept = np.frombuffer(bytes.fromhex(recorded.kept), dtype=">u2")
        own = hashes[_sampled(places, recorded.every)] >> np.uint64(64 - _BITS)
        same = bool(np.isin(own, kept).all())
    return "" if same else f"{name} holds other numbers than the run recorded"


def _hashes(name: str, places: _Hashes, values: NDArray[np.float64], counted_in: str) -> _Hashes:
    """A hash of each number, its place and its variable's name."""
    values = values + 0.0  # of two zeros, one
    if counted_in == "float64":
        bits = values.view(np.uint64)
    else:
        with np.errstate(over="ignore"):
            bits = values.astype(np.float32).view(np.uint32).astype(np.uint64)
    with np.errstate(over="ignore"):
        bits = (bits + _word(name)) * _GOLDEN + places
    return _mixed(bits)


def _labels(coordinates: Mapping[str, Any], axes: tuple[str, ...]) -> _Hashes:
    """A hash of each place's labels, whatever the order of its dims; shaped as the axes say.

    Args:
        coordinates: Labels by dim; of one that is no axis, the label that was chosen.
        axes: Dims of the array.
    """
    total: Any = np.uint64(0)
    with np.errstate(over="ignore"):
        for dim, labels in coordinates.items():
            flat = np.atleast_1d(np.asarray(labels)).tolist()
            words = np.array([_word(f"{dim}={label}") for label in flat], dtype=np.uint64)
            shape = [-1 if axis == dim else 1 for axis in axes]
            total = total + words.reshape(shape if dim in axes else [1] * len(axes))
    return _mixed(np.asarray(total, dtype=np.uint64))


def _sampled(places: _Hashes, every: int) -> NDArray[np.bool_]:
    """Which places have a fingerprint of their own; the same ones in a part of them."""
    return np.asarray(places % np.uint64(every) == 0)


def _mixed(words: _Hashes) -> _Hashes:
    """Each word mixed, so that one bit changes about half of all (Evensen's rrmxmx, shortened)."""
    with np.errstate(over="ignore"):
        for _ in range(2):
            words = words ^ (words >> _HALF)
            words *= _MIX
    words ^= words >> _HALF
    return words


def _word(text: str) -> np.uint64:
    return np.uint64(
        int.from_bytes(hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).digest())
    )
