"""What the parameters' data type makes of a step, from the operator to the kernel's warning."""

import pytest
import torch
import toys

import hessview
from hessview.errors import AccuracyWarning
from hessview.job.reduction import Reduction
from hessview.job.surface import ShardedLoss
from hessview.operators import Hessian
from hessview.operators.perturbation import perturbation_error


def surface_of(objective):
    surface = ShardedLoss(objective, Reduction())
    surface.measure()
    return surface


def test_it_is_the_rounding_of_each_parameter():
    at = torch.tensor([1.0, 1.0, 1.0, 1.0], dtype=torch.bfloat16)
    objective = toys.quadratic(torch.eye(4), at)
    surface = surface_of(objective)
    # Above 1, neighbours in bfloat16 are 1/128 apart; this moves by 1/256 (to even: not at all),
    # 1/64 (exactly), nothing, and 1/100 (to 1/128).
    move = torch.tensor([1 / 256, 1 / 64, 0.0, 1 / 100])
    step = float(move.norm())
    expected = torch.tensor([1 / 256, 0.0, 0.0, 1 / 100 - 1 / 128]).norm() / step
    found = perturbation_error(surface, move / step, step)
    assert found == pytest.approx(float(expected), rel=1e-5)
    assert torch.equal(objective.module.x.detach(), at)


def test_every_operator_with_d_tells_it():
    surface = surface_of(toys.gpt(dtype=torch.float32))
    vector = surface.space.probe(0, 0)
    product = Hessian(surface, 1e-3).matvec(vector, measure_error=True)
    assert product.perturbation_error == perturbation_error(surface, vector, 1e-3)
    assert 1e-5 < product.perturbation_error < 1e-2
    plain = Hessian(surface, 1e-3).matvec(vector)
    assert plain.perturbation_error != plain.perturbation_error


@pytest.mark.filterwarnings("default")
def test_a_summary_warns_of_steps_that_bfloat16_rounds_off():
    with hessview.local(toys.gpt(dtype=torch.bfloat16)) as session:
        ds = session.density(steps=2, probes=1, epsilon=1e-2).wait(60)
    with pytest.warns(
        AccuracyWarning,
        match=r"in bfloat16 round the displacement: it is off by up to \d\d%, and products with "
        r"it; load the weights in float32, or use longer steps\.",
    ):
        hessview.summary(ds)


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(
    ("dtype", "epsilon", "cure"),
    [
        (torch.float32, 1e-7, r"it; load the weights in float64, or use longer steps\."),
        (torch.float64, 1e-16, r"it; use longer steps\."),
    ],
)
def test_the_cure_for_rounding_is_a_wider_type_than_that_of_the_weights(dtype, epsilon, cure):
    with hessview.local(toys.gpt(dtype=dtype)) as session:
        ds = session.density(steps=2, probes=1, epsilon=epsilon).wait(60)
    with pytest.warns(AccuracyWarning, match=cure):
        hessview.summary(ds)


def test_a_summary_of_float32_does_not_warn():
    with hessview.local(toys.gpt(dtype=torch.float32)) as session:
        assert hessview.summary(session.density(steps=2, probes=1).wait(60)) is not None
