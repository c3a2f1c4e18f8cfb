"""The ladder of steps against errors that are known, and the rule along a training run."""

import math

import pytest
import torch

from helpers import toys
from hessview.operators import Hessian
from hessview.operators.step_size import calibrate


def products(noise, bend, *, order=2, size=4000, finite=math.inf):
    """Products of norm 1 that err by noise / h, another one each time, and by bend h^order."""
    true, curved = toys.numbers(size, seed=1), toys.numbers(size, seed=2)
    true, curved = true / true.norm(), curved / curved.norm()
    steps = []

    def at(step):
        steps.append(step)
        if step > finite:
            return None
        error = toys.numbers(size, seed=10 + len(steps)) / math.sqrt(size)
        return true + noise / step * error + bend * step**order * curved

    return at, steps


def norm(vector):
    return float(vector.norm())


@pytest.mark.parametrize("order", [1, 2, 4])
@pytest.mark.parametrize("away", [1e-4, 1e-2, 0.3, 1.0, 5.0, 100.0])
def test_noise_truncation_and_the_best_step_are_found_from_wherever_one_starts(order, away):
    noise, bend = 3e-7, 0.4
    best = (noise / (order * bend)) ** (1 / (order + 1))
    at, steps = products(noise, bend, order=order)
    found = calibrate(at, norm, away * best, least=1e-12, most=1e6, order=order)
    # A norm over 4,000 elements knows its own size to about 1 %.
    assert found.noise == pytest.approx(noise, rel=0.05)
    assert found.bend == pytest.approx(bend, rel=0.05)
    assert found.epsilon == pytest.approx(best, rel=0.05)
    assert found.products == len(steps) == len(set(steps)) <= 16
    ladder = sorted(math.log(step / (away * best), 4) for step in steps)
    assert ladder == pytest.approx([round(rung) for rung in ladder], abs=1e-9)


def test_a_product_without_truncation_is_taken_at_the_longest_steps():
    at, _ = products(1e-6, 0.0)
    found = calibrate(at, norm, 1e-3, least=1e-9, most=2.0)
    assert math.isnan(found.bend)
    assert 0.1 < found.epsilon <= 2.0


def test_a_product_without_noise_is_taken_at_the_shortest_steps():
    at, _ = products(0.0, 1.0)
    found = calibrate(at, norm, 1e-3, least=1e-6, most=1.0)
    assert math.isnan(found.noise)
    assert 1e-6 <= found.epsilon < 4e-5


def test_a_linear_function_is_not_searched():
    found = calibrate(lambda step: torch.zeros(3), norm, 0.1, least=1e-9, most=1.0)
    assert found.products == 2


def test_where_the_loss_is_not_finite_the_ladder_ends():
    at, _ = products(1e-4, 1e-9, finite=0.5)
    found = calibrate(at, norm, 0.01, least=1e-9, most=1e6)
    assert 0.01 < found.epsilon < 0.5


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("steps", [0, 30, 400])
def test_along_training_the_step_stays_near_the_best(surface_of, relative, dtype, steps):
    # 400 steps of Adam interpolate: |g| falls by 100, while the best rho rises above tau.
    objective = toys.gpt(dtype=dtype, steps=steps)
    exact_of = toys.gpt(steps=steps)
    for parameter, twin in zip(
        exact_of.module.parameters(), objective.module.parameters(), strict=True
    ):
        parameter.data.copy_(twin.data)  # the very same point
    surface = surface_of(objective)
    operator = Hessian(surface)
    vector = surface.space.probe(0, 0)
    for _ in range(3):  # random, then towards the top eigenvector
        exact = toys.exact_product(exact_of, vector)
        product = operator.matvec(vector, measure_error=True)
        grid = [product.epsilon * 4.0**k for k in (-3, -2, -1, 1, 2, 3)]
        best = min(relative(Hessian(surface, h).matvec(vector).vector, exact) for h in grid)
        error = relative(product.vector, exact)
        assert error < 3 * best
        assert 0.5 * error < product.error < 8 * error
        vector = (exact / exact.norm()).to(dtype)


@pytest.mark.parametrize("away", [0.1, 1.0, 30.0, 1e3])
def test_products_that_only_fade_are_not_taken_for_quiet_ones(away):
    # d/dx log cosh x = tanh x, which is bounded: far out, products and their changes fall like 1/h.
    step = 3e-3 * away

    def at(where):
        noise = toys.numbers(3, seed=int(1e6 * where)) * 1e-8 / where
        return torch.tensor([math.tanh(where) / where, 0.0, 0.0]).double() + noise

    found = calibrate(at, norm, step, least=1e-9, most=1e9)
    assert 1e-3 < found.epsilon < 2e-2  # noise and truncation meet at (3e-8 / 2)^(1/3)
