"""`ds.hessview`: what stands in attributes as text and numbers, as the values that it was."""

import json
import subprocess
import sys

import numpy as np
import pytest
import xarray as xr

import hessview
from helpers.emulated import dataset as density_dataset
from helpers.every_command import dataset_of
from hessview.errors import InputError, RecordError
from hessview.record.commands import Accuracy, Benchmark, Coupling, Density
from hessview.record.measurements import MEASUREMENTS, command_from_json
from hessview.record.provenance import attributes

NAMES = ("accuracy", "benchmark", "coupling", "epsilon_sweep", "fraction_sweep")


@pytest.mark.parametrize("name", NAMES)
def test_the_command_is_the_one_that_was_sent(name):
    ds = dataset_of(name)
    command = ds.hessview.command
    assert type(command) is MEASUREMENTS[name].command
    assert command == command_from_json(json.loads(ds.attrs["asked"]))


def test_its_arguments_have_the_types_that_they_were_given_with():
    accuracy = dataset_of("accuracy").hessview.command
    assert isinstance(accuracy, Accuracy)
    assert accuracy.top is True
    assert isinstance(accuracy.epsilons, tuple)


def test_provenance_holds_values_not_json():
    known = dataset_of("accuracy").hessview.provenance
    assert known["blocks"] == {"embedding": 28311552, "layer.0": 3540096}
    assert known["mesh"] == {"shard": 2}
    assert known["versions"]["torch"] == "2.13.0"
    assert known["subset"] == ["*"]
    assert known["top"] is True
    assert known["parameters"] == 134515008
    assert "fingerprints" not in known
    assert not any(
        isinstance(value, str) and value[:1] in "{[" for value in known.values() if value
    )


def test_blocks_keep_the_models_order():
    assert list(dataset_of("coupling").hessview.blocks.items()) == [
        ("embedding", 60),
        ("layers.0", 40),
        ("layers.1", 40),
        ("head", 30),
    ]


@pytest.mark.parametrize("write", ["to_netcdf", "to_zarr"])
@pytest.mark.parametrize("name", NAMES)
def test_files_give_the_same_values(write, name, tmp_path):
    ds = dataset_of(name)
    path = getattr(hessview, write)(ds, tmp_path / f"run.{write[3:]}")
    opened = xr.open_dataset(path)
    assert opened.hessview.provenance == ds.hessview.provenance
    assert opened.hessview.command == ds.hessview.command
    opened.close()


def test_a_leaf_has_its_own_and_a_tree_of_runs_says_which_there_are():
    tree = xr.DataTree.from_dict({"a": dataset_of("coupling"), "b": density_dataset()})
    assert isinstance(tree["a"].hessview.command, Coupling)
    assert isinstance(tree["b"].hessview.command, Density)
    with pytest.raises(InputError, match=r"choose one of \['a', 'b'\], such as tree\['a'\]"):
        tree.hessview.command  # noqa: B018
    assert "choose one of" in repr(tree.hessview)


def test_a_text_that_looks_like_json_stays_a_text():
    ds = dataset_of("coupling").assign_attrs(model="[1, 2]", host='{"a": 1}', blocks="{broken")
    known = ds.hessview.provenance
    assert known["model"] == "[1, 2]"
    assert known["host"] == '{"a": 1}'
    assert known["blocks"] == "{broken"
    with pytest.raises(RecordError, match="does not say what blocks"):
        ds.hessview.blocks  # noqa: B018


def test_large_seeds_and_numpy_numbers_become_whole_numbers():
    values = {"seed": 2**70, "top": True, "nothing": None, "unknown": float("nan")}
    written = attributes(values)
    assert set(written) == {"seed", "top"}
    known = xr.Dataset(attrs={**written, "parameters": np.int64(3)}).hessview.provenance
    assert known["seed"] == 2**70
    assert known["top"] is True
    assert type(known["parameters"]) is int


def test_what_a_dataset_does_not_say_is_not_guessed():
    with pytest.raises(RecordError, match="does not say what was asked for"):
        xr.Dataset().hessview.command  # noqa: B018
    ds = dataset_of("benchmark")
    del ds.attrs["asked"]
    assert isinstance(ds.hessview.command, Benchmark)  # every argument is still there
    del ds.attrs["depths"]
    with pytest.raises(RecordError, match="does not say the depths of its benchmark"):
        ds.hessview.command  # noqa: B018
    coupling = dataset_of("coupling")
    del coupling.attrs["asked"]
    with pytest.raises(RecordError, match="not which the run was asked for"):
        coupling.hessview.command  # noqa: B018
    with pytest.raises(RecordError, match="command cannot be read"):
        dataset_of("density").assign_attrs(asked='{"command": "weigh"}').hessview.command  # noqa: B018


def test_attributes_that_change_are_read_anew():
    ds = dataset_of("coupling")
    assert ds.hessview.provenance["state"] == "done"
    ds.attrs["state"] = "failed"
    assert ds.hessview.provenance["state"] == "failed"


@pytest.mark.parametrize(
    "code",
    [
        "import xarray, hessview; print(xarray.Dataset.hessview)",
        "import hessview; hessview.open_runs; import xarray; print(xarray.DataTree.hessview)",
    ],
)
def test_the_accessor_is_there_without_more_than_importing(code):
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
