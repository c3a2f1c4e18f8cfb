"""A run's dataset, from whatever holds one."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import xarray as xr

from hessview.errors import InputError


def as_dataset(given: Any) -> xr.Dataset:
    """The dataset of one run, with attributes as they were when it was made.

    Args:
        given: A dataset, also one that comes from a file; a leaf of the tree of `open_runs`; or a
            `Run`, of which what is measured so far counts.

    Raises:
        InputError: Something else, or a tree of runs.
    """
    if isinstance(given, xr.DataTree):
        if not given.data_vars:
            raise InputError(
                f"a tree of {len(given.children)} runs came where one run belongs; choose one of "
                f"{list(given.children)}, such as tree[{next(iter(given.children), '')!r}]."
            )
        given = given.to_dataset()
    ds = given if isinstance(given, xr.Dataset) else getattr(given, "dataset", None)
    if not isinstance(ds, xr.Dataset):
        raise InputError(
            f"a {type(given).__name__} is no dataset; pass that of a run, such as run.wait()."
        )
    # netCDF hands numbers back as numpy's.
    changed = {k: v.item() for k, v in ds.attrs.items() if isinstance(v, np.generic)}
    return ds.assign_attrs(changed) if changed else ds


def as_datasets(given: Any) -> list[xr.Dataset]:
    """The datasets of several runs, in order.

    Args:
        given: The tree of `open_runs`, an iterable of what `as_dataset` takes, or one of these.

    Raises:
        InputError: Something else.
    """
    if isinstance(given, xr.DataTree):
        return [as_dataset(leaf) for leaf in given.leaves if leaf.data_vars]
    alone = isinstance(given, str | xr.Dataset) or hasattr(given, "dataset")
    if alone or not isinstance(given, Iterable):
        return [as_dataset(given)]
    return [ds for entry in given for ds in as_datasets(entry)]
