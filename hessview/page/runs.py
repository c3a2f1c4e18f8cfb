"""Whatever holds runs, as a list of datasets."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol, TypeGuard, runtime_checkable

import xarray as xr

from hessview.data.as_dataset import as_dataset, as_datasets
from hessview.errors import InputError
from hessview.messages import ENDED

DETACHED = "detached"
"""State of a run that may go on, but not before our eyes."""


@runtime_checkable
class Live(Protocol):
    """What a page needs of a run that may still go on; `hessview.Run` is one."""

    id: str

    @property
    def dataset(self) -> xr.Dataset:
        """What is measured so far."""
        ...

    @property
    def lost(self) -> Exception | None:
        """Why nothing more can arrive, None while it may."""
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
        given: A session (all its runs), a run, a dataset, the tree of a run directory, or an
            iterable of these.

    Returns:
        Runs and datasets, at least one.

    Raises:
        InputError: Something else, or nothing.
    """
    found = list(_walk(given))
    if not found:
        raise InputError(
            "there is no run to show; pass a session that has some, runs, their datasets, or "
            "hessview.open_runs(run_dir)."
        )
    return found


def dataset_of(run: Live | xr.Dataset) -> xr.Dataset:
    """The dataset of a run, as it is now.

    Args:
        run: A run or its dataset.

    Returns:
        The dataset. Of a run under way from which nothing more can arrive, the state is
        `DETACHED` and the error says why.
    """
    if isinstance(run, xr.Dataset):
        return run
    lost = run.lost  # asked first: what was collected before the loss is in the dataset
    ds = run.dataset
    if lost is not None and ds.attrs.get("state") not in ENDED:
        return ds.assign_attrs(state=DETACHED, error=str(lost))
    return ds


def is_over(run: Live) -> bool:
    """Whether nothing more can arrive of a run."""
    return dataset_of(run).attrs.get("state") in ENDED | {DETACHED}


def session_of(run: Any) -> Any:
    """The session that can be asked about a run, None of a record or one that is only watched."""
    session = getattr(run, "session", None) if is_live(run) else None
    return None if session is None or session.read_only else session


def _walk(given: Any) -> Iterator[Live | xr.Dataset]:
    from hessview.session.session import Session

    if isinstance(given, xr.DataTree):
        yield from as_datasets(given)
    elif isinstance(given, xr.Dataset):
        yield as_dataset(given)
    elif is_live(given):
        yield given
    elif isinstance(given, Session):
        yield from given.runs
    elif isinstance(given, Iterable) and not isinstance(given, str | bytes):
        for entry in given:
            yield from _walk(entry)
    else:
        raise InputError(
            f"a {type(given).__name__} is no run; pass a session, a run, its dataset, the tree "
            "of hessview.open_runs(run_dir), or a list of these."
        )
