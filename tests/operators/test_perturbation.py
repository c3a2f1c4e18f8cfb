"""What the parameters' data type makes of a step, from the operator to the kernel's warning."""

import math

import numpy as np
import pytest
import torch
from torch import nn

import hessview
from helpers import toys
from hessview.analysis.headline import DROWNED, rounding, worst_effect
from hessview.errors import AccuracyWarning, ObjectiveError
from hessview.job.control import Reduction
from hessview.job.loss import ShardedLoss
from hessview.operators import Hessian
from hessview.operators.perturbation import Rounding, missing_part, perturbation_error
from hessview.spectral.vectors import Piece, Space


def surface_of(objective):
    surface = ShardedLoss(objective, Reduction())
    surface.measure()
    return surface


def test_it_is_the_rounding_of_each_parameter():
    at = torch.tensor([1.25, 1.25, 1.25, 1.25], dtype=torch.bfloat16)
    objective = toys.quadratic(torch.eye(4), at)
    surface = surface_of(objective)
    # Between 1 and 2, neighbours in bfloat16 are 1/128 apart; this moves by 1/256 (to even: not
    # at all), 1/64 (exactly), nothing, and 1/100 (to 1/128).
    move = torch.tensor([1 / 256, 1 / 64, 0.0, 1 / 100])
    step = float(move.norm())
    expected = torch.tensor([1 / 256, 0.0, 0.0, 1 / 100 - 1 / 128]).norm() / step
    found = perturbation_error(Rounding(surface, to_nearest=True), move / step, step)
    assert found == pytest.approx(float(expected), rel=1e-5)
    assert torch.equal(objective.module.x.detach(), at)


def test_every_operator_with_d_tells_it():
    surface = surface_of(toys.gpt(dtype=torch.float32))
    vector = surface.space.probe(0, 0)
    operator = Hessian(surface, 1e-3)
    product = operator.matvec(vector, measure_error=True)
    assert product.perturbation_error == perturbation_error(Rounding(surface), vector, 1e-3)
    assert 1e-5 < product.perturbation_error < 1e-2
    # The first product is the ordinary one that others are compared with.
    assert product.perturbation_effect == product.perturbation_error
    other = operator.matvec(product.vector / product.norm, measure_error=True)
    assert other.norm > 2 * product.norm
    share = product.norm / other.norm
    assert other.perturbation_effect == pytest.approx(other.perturbation_error * share)
    plain = Hessian(surface, 1e-3).matvec(vector)
    assert plain.perturbation_error != plain.perturbation_error


# In units of the spacing of the numbers about these parameters, which lie on bfloat16's grid.
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("spacings", [0.25, 0.6, 3.3])
def test_displacements_that_round_are_right_on_average(dtype, spacings):
    size = 40_000
    at = 1 + (10 + torch.arange(size) % 90) / 128
    surface = surface_of(toys.quadratic_form(at.to(dtype)))
    direction = surface.space.probe(0, 0)
    step = spacings * torch.finfo(dtype).eps * size**0.5
    rounding = Rounding(surface)
    assert rounding.coarse(step)
    moved = []
    for sign in (1, -1):
        shard = rounding.displaced(0, surface.shards()[0], direction, sign * step)
        assert shard.dtype == dtype
        moved.append((shard.double() - at.double()) / step)
    assert torch.equal(moved[0], -moved[1])  # so that even orders cancel
    along = float(moved[0] @ direction.double())
    # Each element errs by up to a spacing, independently: |w - v|^2 is f (1 - f) / spacings^2.
    part = spacings % 1
    error = (part * (1 - part)) ** 0.5 / spacings
    assert abs(along - 1) < 5 * error / size**0.5
    found = perturbation_error(rounding, direction, step)
    assert found == pytest.approx(error, rel=0.02)
    # To nearest, all elements fail alike, which is no noise but another length.
    nearest = Rounding(surface, to_nearest=True).displaced(0, surface.shards()[0], direction, step)
    if spacings < 0.5:
        assert torch.equal(nearest.to(dtype), surface.shards()[0])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_an_eigenvalue_is_right_where_no_element_moves_by_half_a_spacing(dtype):
    surface = surface_of(
        toys.quadratic_form((1 + (10 + torch.arange(40_000) % 90) / 128).to(dtype))
    )
    direction = surface.space.probe(3, 0)
    surface.objective.module.direction = direction.double()
    step = 0.2 * torch.finfo(dtype).eps * 200
    product = Hessian(surface, step).matvec(direction, measure_error=True)
    assert float(product.vector @ direction) == pytest.approx(5, rel=0.05)
    # |w - v| is 2, but it hardly points along the one direction that has curvature.
    assert product.perturbation_error == pytest.approx(2, rel=0.02)


def test_randomness_follows_the_elements_not_the_ranks():
    shape = (6, 10)
    whole = Space([Piece(name="w", full_shape=shape, shape=shape, offset=(0, 0))]).uniform(7)
    part = Space([Piece(name="w", full_shape=shape, shape=(2, 10), offset=(3, 0))]).uniform(7)
    assert torch.equal(whole.view(shape)[3:5], part.view(2, 10))
    assert not torch.equal(
        whole, Space([Piece(name="v", full_shape=shape, shape=shape, offset=(0, 0))]).uniform(7)
    )


def test_random_numbers_are_uniform():
    size = 100_000
    found = Space([Piece(name="w", full_shape=(size,), shape=(size,), offset=(0,))]).uniform(1)
    assert 0 <= float(found.min()) < float(found.max()) < 1
    ordered = found.double().sort().values
    gap = (ordered - (torch.arange(size) + 0.5) / size).abs().max()
    assert float(gap) < 2 / size**0.5  # Kolmogorov and Smirnov: 1.95 / sqrt(n) in 1 of 1,000


def test_a_step_under_which_nothing_moves_is_refused():
    surface = surface_of(toys.quadratic(torch.eye(4, dtype=torch.float64), torch.ones(4).double()))
    with pytest.raises(
        ObjectiveError,
        match=r"no parameter moves at epsilon=1e-25, so that there is no difference to take; use a "
        r"longer epsilon, or a wider dtype\.",
    ):
        Hessian(surface, 1e-25).matvec(surface.space.probe(0, 0))


@pytest.mark.filterwarnings("default")
def test_a_summary_warns_of_steps_that_bfloat16_rounds_off():
    with hessview.local(toys.gpt(dtype=torch.bfloat16)) as session:
        ds = session.density(steps=2, probes=1, epsilon=1e-2).wait(60)
    with pytest.warns(
        AccuracyWarning,
        match=r"in bfloat16 round the displacement: it is off by up to \d+%, which moves "
        r"products by up to about \d+%; load the weights in float32, or use a larger epsilon\.",
    ):
        hessview.summary(ds)


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(
    ("dtype", "epsilon", "cure"),
    [
        (
            torch.float32,
            1e-7,
            r"about \d+%; load the weights in float64, or use a larger epsilon\.",
        ),
        (torch.float64, 1e-16, r"about \d+%; use a larger epsilon\."),
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


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("effect", "told"), [(0.004, False), (0.3, True), (None, True)])
def test_what_counts_is_the_effect_on_products(effect, told):
    with hessview.local(toys.gpt(dtype=torch.float32)) as session:
        ds = session.density(steps=2, probes=1).wait(60)
    assert 0 < worst_effect(ds) < 1e-3
    ds["perturbation_error"] = 0 * ds.perturbation_error + 0.13
    ds["perturbation_effect"] = 0 * ds.perturbation_effect + (effect or 0.0)
    old = ds if effect else ds.drop_vars("perturbation_effect")
    text = rounding(old)
    assert bool(text) == told
    if told:
        assert "off by up to 13%, " in text
        words = "by up to about 30%" if effect else "was not estimated when this was recorded"
        assert words in text


def classifier(dtype, trained):
    """A small MLP in a type, trained in float64 before."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        layers = [nn.Linear(8, 24), nn.Tanh(), nn.Linear(24, 24), nn.Tanh(), nn.Linear(24, 3)]
        module = nn.Sequential(*layers).double()
        inputs, labels = torch.randn(128, 8, dtype=torch.float64), torch.randint(0, 3, (128,))
    optimizer = torch.optim.Adam(module.parameters(), 1e-2)
    for _ in range(trained):
        optimizer.zero_grad()
        nn.functional.cross_entropy(module(inputs), labels).backward()
        optimizer.step()
    module = module.to(dtype).eval()

    def loss(module, batch):
        inputs, labels = batch
        logits = module(inputs.to(next(module.parameters()).dtype)).double()
        return nn.functional.cross_entropy(logits, labels, reduction="sum"), len(labels)

    return hessview.Objective(
        module, loss, [(inputs[:64], labels[:64]), (inputs[64:], labels[64:])]
    )


MODELS = {
    "GPT": lambda dtype: toys.gpt(dtype=dtype),
    "MLP": lambda dtype: classifier(dtype, trained=0),
    "trained MLP": lambda dtype: classifier(dtype, trained=200),
}


@pytest.mark.parametrize("model", MODELS)
def test_the_effect_of_bfloat16_parameters_is_told_within_a_factor_of_three(model):
    """Against H (w - v) by the float64 Hessian at the rounded parameters."""
    objective, wide = MODELS[model](torch.bfloat16), MODELS[model](torch.float64)
    with torch.no_grad():
        for exact, rounded in zip(
            wide.module.parameters(), objective.module.parameters(), strict=True
        ):
            exact.copy_(rounded.double())
    hessian = toys.dense_hessian(wide)
    _, vectors = torch.linalg.eigh(hessian)
    surface = surface_of(objective)
    kind = surface.space.probe(0, 0).dtype
    operator = Hessian(surface)
    directions = [surface.space.probe(0, probe) for probe in range(4)]
    directions += [vectors[:, place].to(kind) for place in (-1, -2, 0)]
    found = []
    for direction in directions:
        product = operator.matvec(direction, measure_error=True)
        missing = missing_part(Rounding(surface), direction, product.epsilon).double()
        assert product.perturbation_error == pytest.approx(float(missing.norm()), rel=1e-4)
        effect = float((hessian @ missing).norm()) / product.norm
        assert effect / 3 < product.perturbation_effect < 3 * effect
        off = float((product.vector.double() - hessian @ direction.double()).norm()) / product.norm
        assert off < 3 * math.hypot(product.perturbation_effect, product.error)
        found.append(product.perturbation_effect)
    # Along the smallest eigenvalue of the trained one nothing but noise is left.
    assert (found[-1] > DROWNED) == (model == "trained MLP")


def test_where_no_difference_is_left_it_is_said():
    with hessview.local(classifier(torch.bfloat16, trained=200)) as session:
        ds = session.density(steps=6, probes=2, epsilon=5e-3, error_every=1).wait(120)
    assert worst_effect(ds) > DROWNED
    with pytest.warns(AccuracyWarning, match="is noise for the most part, and no difference gives"):
        found = hessview.summary(ds)
    trace = found.sel(quantity="trace")
    assert np.isnan(trace.value)
    assert "withheld" in str(trace.basis.item())
