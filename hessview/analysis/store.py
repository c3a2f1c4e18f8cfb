"""Records on disk as datasets, and their export; needs neither a job nor torch."""

import warnings
from pathlib import Path

import xarray as xr

from hessview.errors import InputError, RecordError, RecordWarning
from hessview.record.collect import collect
from hessview.record.log import read_events
from hessview.transport.trust import check_record

Data = xr.Dataset | xr.DataTree


def open_runs(run_dir: str | Path) -> xr.DataTree:
    """All runs of a run directory, whether or not its job still lives.

    Reads only. A torn last line is passed over. Damaged lines, and runs that cannot be read, are
    left out with a RecordWarning, and what they held counts as not measured. A run's state is the
    last one written: of a job that was killed it stays "running".

    Args:
        run_dir: The job's run directory, the one that holds events.jsonl.

    Returns:
        A tree with one dataset per run, under the run's identity, in the order asked for.

    Raises:
        RunDirectoryError: It is no run directory; those below it are named.
        JobStartingError: Its job is still starting, and has recorded nothing yet.
        JobNotFoundError: It holds no record.
        RecordError: It holds no run, or a record of another version.
    """
    path = check_record(Path(run_dir))
    collector = collect(read_events(path))
    if not collector.runs:
        raise RecordError(
            f"{path} holds no run; attach to the job and ask for one, such as session.density()."
        )
    datasets, refusal = {}, None
    for run in collector.runs:
        try:
            datasets[f"/{run}"] = collector.dataset(run)
        except RecordError as error:  # it costs this run only
            refusal = error
            warnings.warn(f"run {run!r} is left out: {error}", RecordWarning, stacklevel=2)
    if refusal is not None and not datasets:
        raise refusal
    return xr.DataTree.from_dict(datasets)


def to_netcdf(data: Data, path: str | Path) -> Path:
    """Write a dataset or a tree of runs as one netCDF-4 file.

    Args:
        data: A run's dataset, or the tree that `open_runs` gave.
        path: File to make; an existing one is left alone.

    Returns:
        The path, for xarray's open_dataset or open_datatree.

    Raises:
        InputError: The path exists.
    """
    target = _vacant(path)
    data.to_netcdf(target, engine="h5netcdf")
    return target


def to_zarr(data: Data, path: str | Path) -> Path:
    """Write a dataset or a tree of runs as a Zarr store.

    Args:
        data: A run's dataset, or the tree that `open_runs` gave.
        path: Directory to make, named *.zarr for xarray to know it; an existing one is left alone.

    Returns:
        The path, for xarray's open_dataset or open_datatree.

    Raises:
        InputError: The path exists.
    """
    target = _vacant(path)
    # Format 2, which all Zarr libraries read: it has consolidated metadata. Format 3 has none,
    # so that xarray warns on writing with it, or on opening without it.
    data.to_zarr(target, mode="w-", zarr_format=2, consolidated=True)
    return target


def _vacant(path: str | Path) -> Path:
    target = Path(path)
    if target.exists():
        raise InputError(f"{target} exists; choose another path, or remove it first.")
    return target
