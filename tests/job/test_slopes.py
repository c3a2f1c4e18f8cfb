"""The gradient's check: what is right passes, however small or rounded; what is wrong does not."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parameters_to_vector

import hessview
from helpers import toys
from hessview.errors import ObjectiveError
from hessview.job.estimators.base import STAND_IN
from hessview.job.objective import Objective
from hessview.job.slopes import small_displacement
from hessview.job.worker import Worker
from hessview.record.commands import Density

REFUSED = "the gradient must be that of the mean loss over all ranks"


class Scaled(torch.autograd.Function):
    """The identity, with a gradient that is a multiple of its own."""

    @staticmethod
    def forward(context, x, factor):
        context.factor = factor
        return x.clone()

    @staticmethod
    def backward(context, gradient):
        return context.factor * gradient, None


def scaled(objective, factor):
    def loss(module, batch):
        total, weight = objective.loss(module, batch)
        return Scaled.apply(total, factor), weight

    return Objective(objective.module, loss, objective.batches)


def extremes(worker, steps, **options):
    """Largest and smallest Ritz value of one probe."""
    readings = worker.execute(Density(steps=steps, probes=1, **options))
    values = [one.values for one in readings if "alpha" in getattr(one, "values", {})]
    alpha, beta = ([one[key] for one in values] for key in ("alpha", "beta"))
    found = np.linalg.eigvalsh(np.diag(alpha) + np.diag(beta[:-1], 1) + np.diag(beta[:-1], -1))
    return found[-1], found[0]


def dense(objective):
    wide = [
        tuple(part.double() if part.is_floating_point() else part for part in batch)
        for batch in objective.batches
    ]
    return torch.linalg.eigvalsh(
        toys.dense_hessian(Objective(objective.module.double(), objective.loss, wide))
    )


def squares(module, batch):
    return (module(batch[0]) - batch[1]).square().sum(), len(batch[0])


def line(how):
    """A linear model of targets that it can meet, solved in float32 by several means."""
    inputs, truth = toys.numbers(20, 5, dtype=torch.float32), toys.numbers(5, 1, seed=1)
    module = nn.Linear(5, 1, bias=False)
    module.weight.data = truth.float().T.contiguous()
    targets = inputs @ module.weight.T.detach()
    if how == "least squares":
        module.weight.data = torch.linalg.lstsq(inputs, targets).solution.T.contiguous()
    if how == "gradient descent":
        module.weight.data = module.weight.data + 0.1
        optimizer = torch.optim.SGD(module.parameters(), 0.1)
        descend(module, squares, [(inputs, targets)], optimizer, 400)
    return Objective(module, squares, list(zip(inputs.split(5), targets.split(5), strict=True)))


def descend(module, loss, batches, optimizer, steps):
    def closure():
        optimizer.zero_grad()
        sums = [loss(module, batch) for batch in batches]
        mean = sum(total for total, _ in sums) / sum(weight for _, weight in sums)
        mean.backward()
        return mean

    for _ in range(steps):
        optimizer.step(closure)


def network(how):
    """A network of more parameters than samples, trained in float32 until it meets them."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = nn.Sequential(nn.Linear(3, 30), nn.Tanh(), nn.Linear(30, 1))
    batches = [(toys.numbers(10, 3).float(), toys.numbers(10, 1, seed=1).float())]
    if how == "Adam":
        descend(module, squares, batches, torch.optim.Adam(module.parameters(), 1e-2), 1500)
    else:
        optimizer = torch.optim.LBFGS(
            module.parameters(), max_iter=500, tolerance_grad=0, line_search_fn="strong_wolfe"
        )
        descend(module, squares, batches, optimizer, 2)
    return Objective(module, squares, batches)


def separable(seed):
    """A classifier of two classes that it tells apart, trained to a loss of 1e-7."""
    inputs = toys.numbers(20, 5, seed=seed).float()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = nn.Linear(5, 2)
    batches = [(inputs, (inputs[:, 0] > 0).long())]

    def loss(module, batch):
        return F.cross_entropy(module(batch[0]), batch[1], reduction="sum"), len(batch[1])

    optimizer = torch.optim.LBFGS(module.parameters(), max_iter=300, line_search_fn="strong_wolfe")
    descend(module, loss, batches, optimizer, 5)
    return Objective(module, loss, batches)


@pytest.mark.parametrize("how", ["least squares", "gradient descent", "the solution itself"])
def test_a_line_that_meets_its_targets(how):
    objective = line(how)
    worker = Worker(objective)
    assert worker.surface.loss < 1e-12
    inputs = torch.cat([batch[0] for batch in objective.batches]).double()
    truth = torch.linalg.eigvalsh(2 * inputs.T @ inputs / len(inputs))
    # The products of a quadratic have no error but rounding: 1e-3 is that of float32 at h = 1e-6.
    assert extremes(worker, 5) == pytest.approx(
        (truth[-1].item(), truth[0].item()), abs=1e-3 * truth[-1].item()
    )
    with pytest.raises(ObjectiveError, match=REFUSED):
        Worker(scaled(objective, 2.0))


@pytest.mark.parametrize("how", ["Adam", "L-BFGS"])
def test_a_network_that_meets_its_targets(how):
    objective = network(how)
    worker = Worker(objective)
    assert worker.surface.loss < 1e-9
    largest, _ = extremes(worker, 20)
    with pytest.raises(ObjectiveError, match=REFUSED):
        Worker(scaled(objective, 0.5))
    assert largest == pytest.approx(dense(objective)[-1].item(), rel=1e-2)


@pytest.mark.parametrize("seed", range(6))
def test_classes_that_are_told_apart(seed):
    """Softmax less one rounds to a constant: differences miss half of it, at D = 1e-4.

    The products' asymmetry shows it, and exact ones in float64 take their place.
    """
    objective = separable(seed)
    with hessview.local(objective) as session:
        assert session.job.loss < 1e-5
        ds = session.density(steps=8, probes=2).wait(60)
    found = hessview.summary(ds).sel(quantity="largest")
    truth = float(dense(objective)[-1])
    if np.isnan(found.value):
        assert "withheld: not a derivative" in str(found.basis.values)
    else:
        assert abs(float(found.value) - truth) <= float(found.uncertainty) < 1e-4 * truth
        assert "double backward in float64" in ds.attrs["note"] + ds.attrs.get(STAND_IN, "")


@pytest.mark.parametrize("steps", [3, 8])
def test_most_classes_that_are_told_apart_have_their_number(steps):
    told = []
    for seed in range(6):
        with hessview.local(separable(seed)) as session:
            found = hessview.summary(session.density(steps=steps, probes=2).wait(60))
        told.append(bool(np.isfinite(found.sel(quantity="largest").value)))
    assert sum(told) >= 4


def test_a_surrogate_whose_value_is_zero():
    """As those of policy gradients with normalised advantages."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = nn.Sequential(nn.Linear(12, 16), nn.Tanh(), nn.Linear(16, 4))
    inputs, chosen = toys.numbers(64, 12).float(), torch.arange(64) % 4
    advantage = toys.numbers(64, seed=2)
    advantage = ((advantage - advantage.mean()) / advantage.std()).float()
    with torch.no_grad():
        before = module(inputs).log_softmax(-1).gather(1, chosen[:, None])

    def loss(module, batch):
        rows, actions, old, gains = batch
        ratio = (module(rows).log_softmax(-1).gather(1, actions[:, None]) - old).exp()[:, 0]
        return -(ratio * gains).sum(), len(rows)

    objective = Objective(module, loss, [(inputs, chosen, before, advantage)])
    worker = Worker(objective)
    assert abs(worker.surface.loss) < 1e-6 < worker.surface.gradient_norm
    with pytest.raises(ObjectiveError, match=REFUSED):
        Worker(scaled(objective, 2.0))
    largest, smallest = extremes(worker, 30)
    truth = dense(objective)
    assert (largest, smallest) == pytest.approx((truth[-1].item(), truth[0].item()), rel=1e-3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_minimum_of_a_loss_that_is_not_zero(dtype):
    inputs, labels = toys.numbers(30, 4), torch.arange(30) % 3
    objective = toys.softmax_regression(inputs, labels, 3)

    def loss(module, batch):
        total, weight = objective.loss(module, batch)
        return total + 0.05 * weight * module.weight.square().sum(), weight

    ridge = Objective(objective.module, loss, objective.batches)
    value, at = toys.gradient_function(ridge)
    for _ in range(8):  # Newton's method
        gradient = torch.autograd.functional.jacobian(value, at)
        at = at - torch.linalg.solve(torch.autograd.functional.hessian(value, at), gradient)
    module = ridge.module.to(dtype)
    module.weight.data = at.view(3, 4).to(dtype)
    batches = [(rows.to(dtype), classes) for rows, classes in ridge.batches]
    there = Objective(module, loss, batches)
    worker = Worker(there)
    assert worker.surface.gradient_norm < (1e-14 if dtype == torch.float64 else 1e-6)
    with pytest.raises(ObjectiveError, match=REFUSED):
        Worker(scaled(there, 2.0))


@pytest.mark.parametrize("steps", [0, 60])
def test_models_in_bfloat16(steps):
    objective = toys.gpt(dtype=torch.bfloat16, steps=steps)
    assert "gradient_check" not in Worker(objective).notes
    for factor in (0.5, 2.0):
        with pytest.raises(ObjectiveError, match=REFUSED):
            Worker(scaled(objective, factor))


def test_a_part_with_a_small_share_of_the_gradient():
    """A factor that is forgotten for it changes the whole gradient's norm by 1.5 % only."""

    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.large, self.other = nn.Parameter(torch.ones(4)), nn.Parameter(torch.ones(4))

    def loss(factor):
        def total(module, batch):
            other = Scaled.apply(module.other, factor)
            return (module.large.square().sum() + 0.1 * other.exp().sum()), 1

        return total

    Worker(Objective(Two(), loss(1.0), [None]))
    with pytest.raises(ObjectiveError, match=r"the gradient of 'other' and others has the norm "):
        Worker(Objective(Two(), loss(2.0), [None]))


class Stale(torch.autograd.Function):
    """What gathered copies are that outlive the shards: values of old, gradients of now."""

    @staticmethod
    def forward(context, x, old):
        return old.clone()

    @staticmethod
    def backward(context, gradient):
        return gradient, None


def test_parameters_whose_change_does_not_reach_the_loss():
    module = nn.Linear(4, 2)
    old = module.weight.detach().clone()
    rows = toys.numbers(6, 4).float()

    def loss(module, batch):
        return F.linear(batch, Stale.apply(module.weight, old), module.bias).square().sum(), 6

    with pytest.raises(ObjectiveError, match=REFUSED):
        Worker(Objective(module, loss, [rows]))


@pytest.mark.parametrize("kind", ["straight through", "stop gradient"])
def test_a_gradient_that_is_no_derivative(kind):
    module = nn.Linear(4, 2)
    rows = toys.numbers(6, 4).float()

    def loss(module, batch):
        found = module(batch)
        if kind == "straight through":
            found = found + (found.round() - found).detach()
            return (found + 0.3).square().sum(), 6
        return (found * found.detach()).sum(), 6

    with pytest.raises(ObjectiveError, match=r"A loss whose gradient is not its derivative"):
        Worker(Objective(module, loss, [rows]))


def test_a_gradient_that_is_rounding_alone_is_checked_nearby():
    objective = line("the solution itself")
    assert Worker(objective).notes.get("gradient_check", "") == ""


def test_parameters_that_the_loss_does_not_use():
    objective = toys.gpt(dtype=torch.float32)
    objective.module.register_parameter("unused", nn.Parameter(torch.ones(3)))
    assert Worker(objective).notes == {}


def test_what_cannot_be_checked_is_said():
    """A loss that is so large that its own rounding hides what its gradient does."""
    module = toys.Point(torch.ones(3))
    worker = Worker(Objective(module, lambda m, _: 1e9 + m().square().sum(), [None]))
    assert (
        "could not be checked: it is too small for the loss to show it"
        in worker.notes["gradient_check"]
    )


def test_where_it_is_checked_again_every_parameter_moves_by_its_size():
    objective = toys.gpt(dtype=torch.float32)
    surface = Worker(objective).surface
    moved, at = small_displacement(surface), parameters_to_vector(objective.module.parameters())
    assert surface.gradient_norm > 0
    found = torch.cat([part.flatten() for part in surface.space.split(moved)]).abs()
    assert torch.allclose(found, 0.01 * at.detach().abs())
