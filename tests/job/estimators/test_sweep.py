"""Sweeps against densities one by one, and their distances against dense spectra."""

import numpy as np
import pytest
import torch
from scipy.stats import wasserstein_distance

import hessview
from helpers import toys
from hessview.analysis.sweep import distances
from hessview.errors import InputError
from hessview.job.control import Reduction
from hessview.job.estimators.density import density
from hessview.job.estimators.sweep import epsilon_sweep, fraction_sweep
from hessview.job.loss import ShardedLoss
from hessview.job.objective import Objective
from hessview.record.commands import Density, EpsilonSweep, FractionSweep


def surface_of(objective):
    surface = ShardedLoss(objective, Reduction())
    surface.measure()
    return surface


def first(objective, count):
    return Objective(objective.module, objective.loss, objective.batches[:count])


def coefficients(objective, **options):
    readings = density(Density(**options), surface_of(objective))
    return np.array([one.values["alpha"] for one in readings if "alpha" in one.values])


@pytest.fixture(scope="module")
def fractions():
    """A sweep over one, two and three of three batches, deep enough for the whole spectrum."""
    with hessview.local(toys.gpt()) as session:
        yield session.sweep(fractions=[1 / 3, 2 / 3, 1], steps=60, probes=2).wait(120)


def test_every_setting_is_the_density_that_one_would_ask_for():
    with hessview.local(toys.gpt()) as session:
        ds = session.sweep(epsilons=[1e-5, 1e-2], steps=5, probes=2, seed=4).wait(60)
    for place, epsilon in enumerate([1e-5, 1e-2]):
        found = ds.alpha.isel(epsilon=place).values.ravel()
        alone = coefficients(toys.gpt(), steps=5, probes=2, seed=4, epsilon=epsilon)
        np.testing.assert_array_equal(found, alone)
    assert dict(ds.alpha.sizes) == {"epsilon": 2, "probe": 2, "step": 5}
    assert "epsilon" not in ds.data_vars
    assert np.isfinite(ds.rho).all()


def test_a_part_of_the_data_is_its_first_batches(fractions):
    assert fractions.batches.values.tolist() == [1, 2, 3]
    for place, count in enumerate((1, 2, 3)):
        alone = surface_of(first(toys.gpt(), count))
        assert float(fractions.part_loss[place]) == pytest.approx(alone.loss, rel=1e-12)
        assert float(fractions.part_weight[place]) == alone.weight
        assert float(fractions.part_gradient_norm[place]) == pytest.approx(alone.gradient_norm)
        found = fractions.alpha.isel(fraction=place, probe=0).values[:5]
        np.testing.assert_allclose(
            found, coefficients(first(toys.gpt(), count), steps=5, probes=1), rtol=1e-6
        )


def test_distances_between_parts_are_those_of_their_dense_spectra(fractions):
    found = distances(fractions)
    dense = [
        torch.linalg.eigvalsh(toys.dense_hessian(first(toys.gpt(), count))).numpy()
        for count in (1, 2, 3)
    ]
    width = np.ptp(dense[2])
    for place in (0, 1):
        expected = wasserstein_distance(dense[place], dense[2])
        assert expected / width > 2e-3  # or there would be nothing to tell
        # Two probes of 1,408 dimensions; the quadrature's own distance is 1e-3 of the range.
        assert float(found.distance[place]) == pytest.approx(expected, abs=1.5e-3 * width)
        assert float(found.relative_distance[place]) == pytest.approx(
            float(found.distance[place]) / width, rel=1e-3
        )
    assert float(found.distance[2]) == 0
    assert found.attrs["reference"] == 1
    assert (found.low[:2] < found.distance[:2]).all()
    assert (found.high[:2] > found.distance[:2]).all()


def test_the_epsilon_with_the_least_d_is_the_reference_and_bad_steps_lie_far_off():
    epsilons = [1e-13, 1e-9, 1e-5, 1e-1]
    with hessview.local(toys.gpt()) as session:
        ds = session.sweep(epsilons=epsilons, steps=20).wait(60)
    found = distances(ds)
    assert found.attrs["reference"] == 1e-5
    apart = found.relative_distance.values
    assert apart[2] == 0
    assert apart[1] < 1e-4
    assert apart[0] > 20 * apart[1]
    assert apart[3] > 20 * apart[1]
    assert found.product_error.values[0] > 1000 * found.product_error.values[2]
    assert np.isnan(found.low.values).all()  # one probe has no ends
    chosen = distances(ds, reference=1e-9)
    assert float(chosen.distance[1]) == 0
    assert float(chosen.distance[2]) == pytest.approx(float(found.distance[1]), rel=1e-12)
    with pytest.raises(InputError, match=r"reference=0.5 is none of the settings; use one of \["):
        distances(ds, reference=0.5)


def test_parts_that_hold_the_same_batches_are_refused():
    command = FractionSweep(fractions=(0.5, 0.6, 1.0), steps=2)
    with pytest.raises(
        InputError, match=r"of 3 batches are \[2, 2, 3\] batches, .* further apart than 1/3"
    ):
        next(fraction_sweep(command, surface_of(toys.gpt())))


def test_steps_of_an_operator_without_any_are_refused():
    command = EpsilonSweep(epsilons=(1e-4, 1e-3), steps=2, operator="exact")
    with pytest.raises(
        InputError,
        match=r"operator 'exact' has no epsilon, so .*; use operator=\"hessian\", or densi",
    ):
        next(epsilon_sweep(command, surface_of(toys.gpt())))


@pytest.mark.parametrize(
    ("fractions", "text"),
    [
        ([0.5, 1.5], r"fractions=\[0\.5, 1\.5\] is not allowed; use numbers in \(0, 1\]"),
        ([0.0, 0.5], r"fractions=0\.0 is not allowed; use a finite number > 0"),
        ([-0.5], r"fractions=-0\.5 is not allowed; use a finite number > 0"),
        ([float("nan")], r"fractions=nan is not allowed; use a finite number > 0"),
        ([1.0, 0.5], r"fractions=\[1\.0, 0\.5\] is not allowed; use one or more numbers, ascendin"),
        ([0.5, 0.5], r"ascending and each once"),
        ([], r"fractions=\[\] is not allowed"),
    ],
)
def test_parts_that_make_no_sense_are_refused_before_anything_is_sent(fractions, text):
    with hessview.local(toys.gpt()) as session:
        with pytest.raises(InputError, match=text):
            session.sweep(fractions=fractions)
        assert session.runs == []


@pytest.mark.parametrize("options", [{}, {"epsilons": [1e-3], "fractions": [1.0]}])
def test_a_sweep_is_over_one_thing(options):
    with (
        hessview.local(toys.gpt()) as session,
        pytest.raises(InputError, match="either epsilons or fractions, and one of them"),
    ):
        session.sweep(**options)
