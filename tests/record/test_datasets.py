"""Whatever holds a run's dataset may be given where one is wanted."""

import numpy as np
import pytest
import xarray as xr

import hessview
from helpers.emulated import dataset
from hessview.errors import InputError
from hessview.record.datasets import as_dataset, as_datasets


class Run:
    def __init__(self, ds):
        self.dataset = ds


@pytest.fixture
def ds():
    return dataset()


def test_a_run_and_a_leaf_of_a_tree_count_as_their_dataset(ds):
    tree = xr.DataTree.from_dict({"/one": ds, "/two": ds})
    expected = hessview.summary(ds)
    for given in (Run(ds), tree["one"]):
        xr.testing.assert_identical(as_dataset(given), ds)
        xr.testing.assert_identical(hessview.summary(given), expected)
        assert hessview.views.density(given) == hessview.views.density(ds)
    assert len(as_datasets(tree)) == len(as_datasets([Run(ds), tree["two"]])) == 2
    assert len(as_datasets(ds)) == len(as_datasets(Run(ds))) == 1


def test_a_tree_of_runs_is_not_one_run(ds):
    tree = xr.DataTree.from_dict({"/one": ds, "/two": ds})
    with pytest.raises(InputError, match=r"a tree of 2 runs came .* one of \['one', 'two'\]"):
        hessview.views.density(tree)
    with pytest.raises(InputError, match="a str is no dataset; pass that of a run"):
        hessview.summary("runs/one")
    with pytest.raises(InputError, match="a str is no dataset"):
        hessview.join_training(["runs/one"])


def test_numbers_of_a_file_are_pythons_again(ds):
    read = ds.assign_attrs(probes=np.int64(2), tau=np.float64(0.5))
    assert {type(as_dataset(read).attrs[name]) for name in ("probes", "tau")} == {int, float}
    assert as_dataset(ds) is ds
