import pytest

from helpers import emulated
from helpers.coupled import dataset, operator
from hessview.page.status import progress, status

SIZES = (3, 4, 5)
NAMES = ("a", "b", "c")


@pytest.mark.parametrize(("stop", "done"), [(0, 0), (2, 2), (4, 4), (None, 6)])
def test_a_coupling_counts_its_columns(stop, done):
    ds = dataset(operator(SIZES), SIZES, probes=2, stop=stop, end="", names=NAMES)
    assert progress(ds) == (done, 6)
    # A second a column, in the emulation.
    left = {0: "", 2: "about 4 s left", 4: "about 2 s left", 6: ""}
    assert status(ds)["left"] == left[done]


@pytest.mark.parametrize(("stop", "said"), [(5, False), (6, True), (7, False), (12, True)])
def test_a_probe_with_all_steps_waits_for_its_extremes(stop, said):
    ds = emulated.dataset(probes=2, steps=6, stop=stop, end="")
    assert (status(ds)["left"] == "extremes are being measured anew") == said
    assert "anew" not in status(ds.assign_attrs(state="done"))["left"]
    assert "anew" not in status(ds.assign_attrs(error_every=0))["left"]


def test_a_probe_whose_extremes_are_in_waits_for_nothing():
    ds = emulated.dataset(probes=2, steps=6, stop=6, end="")
    ds["pair_value"] = ds.pair_value.copy(data=[[1.0, 0.0], [float("nan")] * 2])
    assert status(ds)["left"] == "about 9 s left"  # 1.4 s a step, rounded up
