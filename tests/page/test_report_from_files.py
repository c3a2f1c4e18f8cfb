"""Runs that went through a file look as they did before."""

import pytest
import xarray as xr

from helpers.emulated import dataset
from helpers.every_command import dataset_of
from hessview.analysis.store import to_netcdf, to_zarr
from hessview.page.live import runs_of
from hessview.page.report import report
from hessview.page.state import page_state

COMMANDS = ["density", "accuracy", "epsilon_sweep", "fraction_sweep", "coupling", "benchmark"]


@pytest.mark.parametrize(("write", "suffix"), [(to_netcdf, ".nc"), (to_zarr, ".zarr")])
@pytest.mark.parametrize("command", COMMANDS)
def test_the_page_of_a_file_is_that_of_its_run(command, write, suffix, tmp_path):
    ds = dataset() if command == "density" else dataset_of(command)
    tree = xr.DataTree.from_dict({"/one": ds})
    with xr.open_datatree(write(tree, tmp_path / f"runs{suffix}")) as kept:
        assert page_state(runs_of(kept), final=True) == page_state([ds], final=True)
        report(kept, tmp_path / "report.html")
