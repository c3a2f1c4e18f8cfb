"""Whatever holds runs, as a list of datasets."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol, TypeGuard, runtime_checkable

import xarray as xr

from hessview.errors import InputError


@runtime_checkable
class Live(Protocol):
    """What a page needs of a run that may still go on; `hessview.Run` is one."""

    @property
    def dataset(self) -> xr.Dataset:
        """What is measured so far."""
        ...

    def on_change(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call back after every event of the run, from any thread; returns how to stop that."""
        ...


def is_live(run: object) -> TypeGuard[Live]:
    """Whether this is a run, not just its data."""
    return not isinstance(run, xr.Dataset | xr.DataTree) and isinstance(run, Live)


def runs_of(given: Any) -> list[Live | xr.Dataset]:
    """The runs in what was given, in order.

    Args:
        given: A run, a dataset, the tree of a run directory, or an iterable of these.

    Returns:
        Runs and datasets, at least one.

    Raises:
        InputError: Something else, or nothing.
    """
    found = list(_walk(given))
    if not found:
        raise InputError(
            "there is no run to show; pass runs, their datasets, or hessview.open_runs(run_dir)."
        )
    return found


def dataset_of(run: Live | xr.Dataset) -> xr.Dataset:
    """The dataset of a run, as it is now."""
    return run if isinstance(run, xr.Dataset) else run.dataset


def _walk(given: Any) -> Iterator[Live | xr.Dataset]:
    if isinstance(given, xr.DataTree):
        yield from (node.to_dataset() for node in given.leaves if node.data_vars)
    elif isinstance(given, xr.Dataset) or is_live(given):
        yield given
    elif isinstance(given, Iterable) and not isinstance(given, str | bytes):
        for entry in given:
            yield from _walk(entry)
    else:
        raise InputError(
            f"a {type(given).__name__} is no run; pass a run, its dataset, the tree of "
            "hessview.open_runs(run_dir), or a list of these."
        )
