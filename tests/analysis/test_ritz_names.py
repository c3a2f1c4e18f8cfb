"""No dimension bears the name of what is not its own index: xarray could not select by it."""

import numpy as np
import pytest

import hessview
from helpers.emulated import dataset as density_dataset
from helpers.every_command import dataset_of
from hessview.analysis.ritz import convergence
from hessview.analysis.training import history

NAMES = ("accuracy", "benchmark", "coupling", "epsilon_sweep", "fraction_sweep")


def every_dataset():
    density = density_dataset()
    joined = hessview.join_training([density.assign_attrs(training_step=step) for step in (1, 2)])
    yield from ((name, dataset_of(name)) for name in NAMES)
    yield from ((f"summary of {name}", hessview.summary(dataset_of(name))) for name in NAMES)
    yield "density", density
    yield "summary of density", hessview.summary(density)
    yield "ritz", hessview.ritz(density)
    yield "spectral_density", hessview.spectral_density(density)
    yield "convergence", convergence(density)
    yield "join_training", joined
    yield "history", history(joined)


DATASETS = dict(every_dataset())


@pytest.mark.parametrize("name", DATASETS)
def test_each_dimension_can_be_selected_by(name):
    ds = DATASETS[name]
    for dim in ds.dims:
        if dim in ds.variables:
            assert ds[dim].dims == (dim,)
            label = ds[dim].values[-1]
            assert ds.sel({dim: label}).sizes.get(dim) is None
        assert ds.isel({dim: 0}).sizes.get(dim) is None


def test_ritz_values_can_be_stacked_and_told_apart():
    found = hessview.ritz(density_dataset())
    flat = found.stack(each=("probe", "position")).dropna("each")
    assert flat.sizes["each"] == int(np.isfinite(found.node).sum())
    assert (found.node.diff("position").fillna(1) > 0).all()
