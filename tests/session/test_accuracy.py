"""The accuracy of products, asked for as a user does."""

import numpy as np
import pytest

import hessview
from helpers.quadratic import CURVATURES, objective
from hessview import views
from hessview.analysis.accuracy import theory
from hessview.errors import InputError


def test_a_session_measures_the_v_of_a_model():
    epsilons = np.logspace(-6, 0, 4)
    with hessview.local(objective()) as session:
        run = session.accuracy(epsilons=epsilons, probes=1)
        ds = run.wait(60)
    assert dict(ds.sizes) == {"direction": 2, "epsilon": 4}
    assert ds.direction.values.tolist() == ["random 1", "top"]
    np.testing.assert_array_equal(ds.epsilon, epsilons)
    assert ds.attrs["state"] == "done"
    # A quadratic: products are exact but for rounding, and the top curvature is the largest.
    assert float(ds.curvature.sel(direction="top")) == pytest.approx(CURVATURES.max())
    assert (ds.auto_relative_error < 1e-13).all()
    found = theory(ds)
    assert not (found.floor > 1e-12).any()  # NaN where no truncation was found, as there is none
    assert (found.predicted.attrs["units"], found.optimum.attrs["units"]) == ("1", "1")
    assert views.accuracy(ds).data


@pytest.mark.parametrize(
    ("epsilons", "text"),
    [
        ([1e-2, 1e-3], r"epsilons=\[0.01, 0.001\] is not allowed; use one or more numbers, asc"),
        ([1e-3, 1e-3], r"ascending and each once"),
        ([-1e-3], r"epsilons=-0.001 is not allowed; use a finite number > 0"),
        ([1e-3, float("nan")], r"epsilons=nan is not allowed; use a finite number > 0"),
        ([], r"epsilons=\[\] is not allowed"),
    ],
)
def test_steps_that_make_no_sense_are_refused_before_anything_is_sent(epsilons, text):
    with hessview.local(objective()) as session:
        with pytest.raises(InputError, match=text):
            session.accuracy(epsilons=epsilons)
        with pytest.raises(InputError, match=text):
            session.sweep(epsilons=epsilons)
        assert session.runs == []
