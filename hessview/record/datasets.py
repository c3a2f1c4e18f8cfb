"""A run's dataset, from whatever holds one, and whether it still is that of a run."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from hessview.errors import InputError, RecordError
from hessview.record.fingerprints import changed


def as_dataset(source: Any) -> xr.Dataset:
    """The dataset of one run, with attributes as they were when it was made.

    Args:
        source: A dataset, also one that comes from a file; a leaf of the tree of `open_runs`; or a
            `Run`, of which what is measured so far counts.

    Raises:
        InputError: Something else, or a tree of runs.
    """
    if isinstance(source, xr.DataTree):
        if not source.data_vars:
            raise InputError(
                f"a tree of {len(source.children)} runs came where one run belongs; choose one of "
                f"{list(source.children)}, such as tree[{next(iter(source.children), '')!r}]."
            )
        source = source.to_dataset()
    ds = source if isinstance(source, xr.Dataset) else getattr(source, "dataset", None)
    if not isinstance(ds, xr.Dataset):
        raise InputError(
            f"a {type(source).__name__} is no dataset; pass that of a run, such as run.wait()."
        )
    # netCDF hands numbers back as numpy's.
    changed = {k: v.item() for k, v in ds.attrs.items() if isinstance(v, np.generic)}
    return ds.assign_attrs(changed) if changed else ds


def as_datasets(source: Any) -> list[xr.Dataset]:
    """The datasets of several runs, in order.

    Args:
        source: The tree of `open_runs`, an iterable of what `as_dataset` takes, or one of these.

    Raises:
        InputError: Something else.
    """
    if isinstance(source, xr.DataTree):
        return [as_dataset(leaf) for leaf in source.leaves if leaf.data_vars]
    alone = isinstance(source, str | xr.Dataset) or hasattr(source, "dataset")
    if alone or not isinstance(source, Iterable):
        return [as_dataset(source)]
    return [ds for entry in source for ds in as_datasets(entry)]


def as_run(ds: xr.Dataset, name: str, dims: tuple[str, ...]) -> xr.Dataset:
    """The dataset with all dims of a run, if what was measured is still in it.

    One entry along a dim may have been chosen, as with ds.isel(probe=0): its coordinate stays. A
    mean or a maximum over a dim leaves none, and what follows from it is no number of any run.

    Args:
        ds: A dataset.
        name: A variable of it that spans the dims.
        dims: Dims of the run, in order.

    Returns:
        The dataset with every dim, of length 1 where one entry was chosen.

    Raises:
        RecordError: The variable was reduced over a dim, or is over others besides; or numbers are
            others than those that the run recorded.
    """
    present = ds[name].dims
    if gone := [dim for dim in dims if dim not in present and dim not in ds.coords]:
        raise RecordError(
            f"{name} is over {list(map(str, present))}, without {gone[0]}: an average over "
            f"{gone[0]} (or a maximum, a median) is no run, and numbers made of it would be wrong; "
            f"pass the run's own dataset, or one entry of it, such as ds.isel({gone[0]}=0)."
        )
    if beyond := [str(dim) for dim in present if dim not in dims]:
        raise RecordError(
            f"{name} is also over {beyond}; choose one, such as with ds.isel({beyond[0]}=0)."
        )
    check_recorded(ds)
    for dim in dims:
        if dim not in present:
            ds = ds.expand_dims(dim)
    return ds


def check_recorded(ds: xr.Dataset) -> None:
    """Refuse a dataset whose numbers are not those that its run recorded.

    Args:
        ds: A dataset, whole, or a part of it.

    Raises:
        RecordError: They are others.
    """
    if doubt := changed(ds):
        raise RecordError(
            f"this is no run's dataset any more: {doubt}. What is made of numbers that were "
            "averaged, scaled, filled in or joined says nothing of any operator; pass the run's "
            "own dataset, or a part of it, and calculate with what comes out."
        )


def check_unmasked(ds: xr.Dataset, name: str, reading: tuple[str, ...]) -> None:
    """Refuse a dataset of which entries were taken out of readings.

    Args:
        ds: A dataset.
        name: A variable of which a reading holds a row.
        reading: The dims that say which reading; the others are within one.

    Raises:
        RecordError: A reading is there in part.
    """
    rest = [dim for dim in ds[name].dims if dim not in reading]
    measured = ds[name].notnull()
    partly: NDArray[np.bool_] = (measured.any(rest) & ~measured.all(rest)).values
    if partly.any():
        raise RecordError(
            f"{name} has gaps within {int(partly.sum())} of {partly.size} readings: it was masked, "
            "and numbers made of the rest would be wrong; pass the run's own dataset."
        )
