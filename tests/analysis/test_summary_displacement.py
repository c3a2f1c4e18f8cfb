"""Whether what rounded displacements do is told where it matters, and only there."""

import numpy as np
import pytest

from helpers import emulated
from hessview.analysis.headline import rounding, worst_effect


@pytest.mark.parametrize(("size", "felt"), [(1.0, True), (1e-3, False), (0.0, False)])
def test_products_in_a_null_space_tell_nothing_of_a_displacement(size, felt):
    ds = emulated.by_hand(emulated.dataset(probes=1, steps=12))
    alpha, beta, effect, error = (
        ds[name].values.copy()
        for name in ("alpha", "beta", "perturbation_effect", "perturbation_error")
    )
    largest = np.hypot(alpha, beta).max()
    alpha[0, 8], beta[0, 7:9], effect[:] = size * largest, 1e-5 * largest, 1e-3
    effect[0, 8], error[:] = 4.0, 1e-9
    for name, values in zip(
        ("alpha", "beta", "perturbation_effect", "perturbation_error"),
        (alpha, beta, effect, error),
        strict=True,
    ):
        ds[name] = ds[name].copy(data=values)
    assert worst_effect(ds) == (4.0 if felt else 1e-3)
    assert ("400%" in rounding(ds)) == felt
