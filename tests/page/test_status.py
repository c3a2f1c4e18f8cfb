import pytest
from coupled import dataset, operator

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
