"""The rule that chooses the step: where it lands, and how near that is to the best."""

import math

import pytest
import torch
import torch.nn.functional as F

from helpers import toys
from hessview.job.objective import Objective
from hessview.operators import Hessian
from hessview.operators.step_size import ATTEMPTS

DTYPES = [torch.float32, torch.float64]


def directions(surface, eigen):
    """A random direction, one in the bulk, and the top eigenvector."""
    vectors = eigen[1].to(surface.space.dtype)
    return {
        "random": surface.space.probe(0, 0),
        "bulk": vectors[:, -20].contiguous(),
        "top": vectors[:, -1].contiguous(),
    }


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("which", ["random", "bulk", "top"])
def test_the_step_is_near_the_best_and_rho_within_its_bounds(
    surface_of, gpt_hessian, gpt_eigen, relative, dtype, which
):
    surface = surface_of(toys.gpt(dtype=dtype))
    vector = directions(surface, gpt_eigen)[which]
    exact = gpt_hessian @ vector.double()
    operator, tau = Hessian(surface), math.cbrt(torch.finfo(dtype).eps)
    operator.matvec(surface.space.probe(0, 1))  # as in Lanczos, a random direction comes first
    product = operator.matvec(vector, measure_error=True)
    assert tau / 3 <= product.rho <= 2 * tau
    assert product.rho == pytest.approx(product.epsilon * product.norm / surface.gradient_norm)
    grid = [product.epsilon * 10 ** (k / 3) for k in range(-6, 7)]
    best = min(relative(Hessian(surface, h).matvec(vector).vector, exact) for h in grid)
    error = relative(product.vector, exact)
    assert error < 3.5 * best
    # D is 0.9 to 4 times the true error on smooth models; the margin is for a lucky product.
    assert 0.5 * error < product.error < 8 * error


@pytest.mark.parametrize("dtype", DTYPES)
def test_from_one_direction_to_another_the_rule_follows(surface_of, gpt_eigen, dtype):
    surface = surface_of(toys.gpt(dtype=dtype))
    operator, tau = Hessian(surface), math.cbrt(torch.finfo(dtype).eps)
    found = directions(surface, gpt_eigen)
    steps = {}
    for which in ("random", "top", "random", "bulk", "top", "random"):
        product = operator.matvec(found[which])
        assert tau / 3 <= product.rho <= 2 * tau
        # The first also calibrates the rule, on a ladder of up to 16 products.
        assert product.gradients <= 2 * ATTEMPTS + (0 if steps else 2 * 17)
        steps[which] = product.epsilon
    assert steps["random"] > 3 * steps["top"]


def test_once_warm_a_product_costs_two_gradients(surface_of):
    surface = surface_of(toys.gpt(dtype=torch.float32))
    operator = Hessian(surface)
    first = operator.matvec(surface.space.probe(0, 0))
    assert first.gradients > 2
    assert [operator.matvec(surface.space.probe(0, i)).gradients for i in (1, 2, 3)] == [2] * 3


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("distance", [0.0, 1e-9, 1e-5])
def test_at_a_stationary_point_products_stay_accurate(surface_of, relative, dtype, distance):
    # 0.5 (x - c)'A(x - c) near its minimum c: the gradient is nothing but rounding.
    basis, _ = torch.linalg.qr(toys.numbers(40, 40))
    values = torch.cat([torch.linspace(0.1, 1, 39).double(), torch.tensor([30.0]).double()])
    matrix = ((basis * values) @ basis.T).to(dtype)
    centre = toys.numbers(40, seed=1).to(dtype)

    def loss(module, _):
        away = module() - centre
        return 0.5 * away @ matrix @ away

    at = (centre.double() + distance * toys.numbers(40, seed=2)).to(dtype)
    surface = surface_of(Objective(toys.Point(at), loss, [None]))
    if distance == 0:
        assert surface.gradient_norm == 0
    operator = Hessian(surface)
    # The third derivative vanishes here, so longer steps were better; the rule cannot know. It
    # steps 0.01 tau |x| typical/|Hv|, and errs by the parameters' rounding, eps |x|, over that.
    bound = 500 * torch.finfo(dtype).eps ** (2 / 3)
    vectors = [surface.space.probe(0, 0), basis[:, -1].to(dtype), basis[:, 5].to(dtype)]
    for vector in vectors:
        exact = matrix.double() @ vector.double()
        assert relative(operator.matvec(vector.contiguous()).vector, exact) < bound


def test_a_stationary_point_that_is_not_a_quadratic(surface_of, relative):
    # sum cosh(x_i) has its minimum at 0, where rounding is least, and a shift away from it.
    centre = toys.numbers(10, seed=1).double()
    objective = Objective(
        toys.Point(centre), lambda module, _: torch.cosh(module() - centre).sum(), [None]
    )
    surface = surface_of(objective)
    assert surface.gradient_norm == 0
    vector = surface.space.probe(0, 0)
    assert relative(Hessian(surface).matvec(vector).vector, vector) < 1e-8


def test_parameters_that_are_all_zero(surface_of, relative):
    at = torch.zeros(6, dtype=torch.float64)
    objective = Objective(
        toys.Point(at), lambda module, _: (module().exp() + module().square()).sum(), [None]
    )
    surface = surface_of(objective)
    assert surface.parameter_norm == 0
    vector = surface.space.probe(0, 0)
    assert relative(Hessian(surface).matvec(vector).vector, 3 * vector) < 1e-8


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_linear_loss_has_no_curvature(surface_of, dtype):
    slope = toys.numbers(8, seed=2).to(dtype)
    objective = Objective(
        toys.Point(toys.numbers(8).to(dtype)), lambda module, _: slope @ module(), [None]
    )
    surface = surface_of(objective)
    product = Hessian(surface).matvec(surface.space.probe(0, 0), measure_error=True)
    assert product.vector.tolist() == [0] * 8
    assert (product.norm, product.rho, product.error) == (0, 0, 0)
    assert math.isfinite(product.epsilon)
    assert product.epsilon <= surface.parameter_norm


class OfVeryUnequalLayers(torch.nn.Module):
    """A layer whose size means nothing, as its outputs are normalised, and one of usual size."""

    def __init__(self, scale):
        super().__init__()
        torch.manual_seed(0)
        self.large, self.usual = torch.nn.Linear(12, 16), torch.nn.Linear(16, 4)
        with torch.no_grad():
            self.large.weight.mul_(scale)
            self.large.bias.mul_(scale)

    def forward(self, x):
        return self.usual(torch.tanh(F.layer_norm(self.large(x), [16])))


@pytest.mark.parametrize("scale", [1.0, 1e4, 1e6])
def test_a_layer_that_outweighs_the_others_does_not_set_the_step(surface_of, relative, scale):
    inputs, labels = toys.numbers(64, 12), torch.arange(64) % 4

    def loss(module, _):
        return F.cross_entropy(module(inputs.to(module.usual.weight.dtype)), labels)

    objective = Objective(OfVeryUnequalLayers(scale), loss, [None])
    surface = surface_of(objective)
    twin = Objective(OfVeryUnequalLayers(scale).double(), loss, [None])
    for parameter, own in zip(twin.module.parameters(), objective.module.parameters(), strict=True):
        parameter.data.copy_(own.data)
    matrix = toys.dense_hessian(twin)
    operator = Hessian(surface)
    for vector in (surface.space.probe(0, 0), torch.linalg.eigh(matrix)[1][:, -1].float()):
        product = operator.matvec(vector.contiguous(), measure_error=True)
        assert relative(product.vector, matrix @ vector.double()) < 1e-3
        assert product.error < 1e-3


@pytest.mark.parametrize("which", [500, 704, 1060])
def test_along_little_curvature_products_have_the_absolute_error_of_a_usual_one(
    surface_of, gpt_hessian, gpt_eigen, which
):
    surface = surface_of(toys.gpt(dtype=torch.float32))
    operator = Hessian(surface)

    def miss(vector):
        product = operator.matvec(vector, measure_error=True)
        error = float((product.vector.double() - gpt_hessian @ vector.double()).norm())
        return error, product.error * product.norm

    usual, _ = miss(surface.space.probe(0, 0))
    assert abs(float(gpt_eigen[0][which])) < 0.05 * float(gpt_eigen[0][-1])
    error, told = miss(gpt_eigen[1][:, which].float().contiguous())
    assert error < 3 * usual  # of steps without a limit: 20 and 50 times, at 500 and at 1060
    assert 0.5 * error < told < 8 * error


def test_a_step_that_is_too_long_for_a_direction_is_shortened_where_d_is_measured(surface_of):
    # sum cosh(k x) / k^2: curvature 1 along both, the fourth derivative 1 and 1e6.
    rates = torch.tensor([1.0, 1000.0], dtype=torch.float64)
    objective = Objective(
        toys.Point(torch.zeros(2, dtype=torch.float64)),
        lambda module, _: (torch.cosh(rates * module()) / rates**2).sum() + module().sum(),
        [None],
    )
    surface = surface_of(objective)
    operator = Hessian(surface)
    first, second = torch.eye(2, dtype=torch.float64)
    operator.matvec(first)
    blind = operator.matvec(second)
    operator._step_size.settle(3e-3, 1.0)  # an epsilon that is far too long for the second
    product = operator.matvec(second, measure_error=True)
    assert abs(blind.norm - 1) < 1e-3
    assert product.epsilon < 1e-3
    assert abs(product.norm - 1) < product.error < 0.1
    given = Hessian(surface, 3e-3).matvec(second, measure_error=True)
    assert given.epsilon == 3e-3
    assert given.error > 1


def test_a_jump_is_no_derivative_whatever_the_step(surface_of):
    # |x| beside x^2 / 2, at 1e-9 from its kink: |Hv(h) - Hv(2h)| is half of a product that is
    # nothing but the jump over 2h, and so that jump's error of 100 % would pass for one of 50 %.
    objective = Objective(
        toys.Point(torch.tensor([1e-9, 1.0], dtype=torch.float64)),
        lambda module, _: module()[0].abs() + 0.5 * module().square().sum(),
        [None],
    )
    surface = surface_of(objective)
    for step in (1e-6, 1e-3):
        product = Hessian(surface, step).matvec(torch.eye(2).double()[0], measure_error=True)
        assert product.norm == pytest.approx(1 + 1 / step)
        assert product.error == pytest.approx(1, rel=2e-3)


def test_kinks_are_told_by_the_measured_error(surface_of):
    # |x - c| piled up: the gradient jumps, there is no derivative to be had at this scale.
    centres = toys.numbers(1000, seed=4, dtype=torch.float64) * 1e-7

    def loss(module, _):
        x = module()
        return (x[0] - centres).abs().mean() + x.square().sum()

    surface = surface_of(Objective(toys.Point(torch.zeros(2).double() + 1e-8), loss, [None]))
    vector = torch.tensor([1.0, 0.0], dtype=torch.float64)
    product = Hessian(surface, 1e-6).matvec(vector, measure_error=True)
    assert product.error > 0.3
