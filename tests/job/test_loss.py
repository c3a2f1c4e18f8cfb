"""Losses of all kinds: what they return, what they hold, how large they are."""

import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from helpers import toys
from hessview.errors import ObjectiveError
from hessview.job.objective import Objective
from hessview.job.worker import Worker
from hessview.record.commands import Density
from hessview.record.events import Reading


def coefficients(objective, **options):
    readings = Worker(objective).execute(Density(**{"steps": 5, "probes": 1, **options}))
    values = [one.values for one in readings if isinstance(one, Reading)]
    return np.array([[one["alpha"], one["beta"]] for one in values if "alpha" in one])


def refused(objective, told):
    with pytest.raises(ObjectiveError, match=told):
        Worker(objective)


# What comes with the loss


def paired(second, *, outputs=2, rows=4):
    """A loss that returns (loss, something made of the model's outputs)."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, outputs))
    module[-1].bias.data.fill_(2.0)  # so that outputs could pass for numbers of terms
    batches = [
        (toys.numbers(rows, 3, seed=seed).float(), torch.ones(rows, outputs)) for seed in range(3)
    ]

    def loss(module, batch):
        found = module(batch[0])
        return F.mse_loss(found, batch[1]), second(found)

    return Objective(module, loss, batches)


@pytest.mark.parametrize(
    ("second", "told"),
    [
        (lambda z: z, r"a tensor of shape \(4, 2\)"),
        (lambda z: z.sum(), r"a tensor that depends on the parameters \(it requires grad\)"),
        (lambda z: z.detach(), r"a tensor of shape \(4, 2\)"),
        (lambda z: None, "None"),
        (lambda z: "3", "'3'"),
        (lambda z: True, "True"),
        (lambda z: torch.tensor(True), "True"),
        (lambda z: 1j, "complex"),
        (lambda z: [3], "list"),
        (lambda z: -2.0, "-2"),
        (lambda z: torch.tensor(-2), "-2"),
        (lambda z: float("nan"), "nan"),
        (lambda z: np.float64("inf"), "inf"),
        (lambda z: np.ones(2), "ndarray"),
    ],
)
def test_what_is_no_number_of_terms_is_refused_by_name(second, told):
    refused(
        paired(second),
        f"the loss function returned {told} where the number of terms is expected; return "
        r"\(summed loss, number of terms\), .* Of a pair such as \(loss, logits\), return the loss",
    )


def test_one_logit_of_one_sample_is_no_number_of_terms():
    refused(paired(lambda z: z, outputs=1, rows=1), "a tensor that depends on the parameters")
    # Without its graph it looks like one, but it changes with the parameters.
    refused(
        paired(lambda z: z.detach(), outputs=1, rows=1),
        r"the number of terms that the loss function returns changes with the parameters, from ",
    )


@pytest.mark.parametrize(
    "four", [4, 4.0, np.int64(4), np.array([4]), torch.tensor(4), torch.tensor([[4.0]])]
)
def test_numbers_of_all_kinds_are_numbers_of_terms(four):
    worker = Worker(paired(lambda z: four))
    assert worker.surface.weight == 12


def test_a_batch_without_terms_counts_for_nothing():
    objective = toys.gpt()
    none = torch.zeros_like(objective.batches[0])  # padding only
    more = Objective(objective.module, objective.loss, [*objective.batches, none])
    assert np.array_equal(coefficients(more), coefficients(objective))


def test_a_complex_loss_is_refused():
    module = toys.Point(torch.ones(2))
    loss = lambda module, batch: torch.complex(module().sum(), module().sum())  # noqa: E731
    refused(Objective(module, loss, [None]), r"returned a torch\.complex64 scalar; return a real")


def test_means_over_unequal_batches_are_noted():
    module = nn.Linear(3, 2)
    batches = [toys.numbers(rows, 3).float() for rows in (5, 7)]
    mean = Objective(module, lambda m, x: m(x).square().mean(), batches)
    assert Worker(mean).notes == {
        "unequal_batches": "each batch's mean counts alike, though batches hold 5 to 7 samples; "
        "return (summed loss, number of terms) for the mean over samples"
    }
    equal = Objective(module, mean.loss, [batches[0], batches[0] + 1])
    summed = Objective(module, lambda m, x: (m(x).square().sum(), len(x)), batches)
    assert Worker(equal).notes == Worker(summed).notes == {}


def test_an_error_of_the_loss_says_what_two_tensors_as_batches_are():
    module = nn.Linear(3, 2)
    batches = (torch.ones(4, 3), torch.ones(4, 2))
    loss = lambda module, batch: F.mse_loss(module(batch[0]), batch[1].sum(0).view(7, 7))  # noqa: E731
    with pytest.raises(RuntimeError) as caught:
        Worker(Objective(module, loss, batches))
    assert "batches is a tuple of two tensors, hence two batches" in caught.value.__notes__[0]


@pytest.mark.parametrize(
    ("module", "told"),
    [
        (nn.Linear(3, 2, device="meta"), "parameter 'weight' is on \"meta\", where there are no"),
        (nn.LazyLinear(2), "parameter 'weight' has no shape yet, as those of lazy modules; run "),
    ],
)
def test_parameters_without_numbers_are_refused(module, told):
    refused(Objective(module, lambda m, x: m(x).sum(), [torch.ones(2, 3)]), re.escape(told))


# Derivatives by the inputs


def network():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1)).double()


def slopes(module, batch):
    """Outputs and their derivatives by the inputs."""
    inputs = batch.clone().requires_grad_()
    height = module(inputs)
    (slope,) = torch.autograd.grad(height.sum(), inputs, create_graph=True)
    return height.squeeze(-1), slope


def physics(module, batch):
    height, slope = slopes(module, batch)
    return slope[:, 0] - slope[:, 1] + height**3


def forces(module, batch):
    height, slope = slopes(module, batch)
    return torch.cat([height[:, None], slope + batch], dim=1)


def penalty(module, batch):
    height, slope = slopes(module, batch)
    return torch.cat([height[:, None], slope.norm(dim=1, keepdim=True) - 1], dim=1)


def score(module, batch):
    """Hyvärinen's score matching: second derivatives by the inputs."""
    inputs = batch.clone().requires_grad_()
    (slope,) = torch.autograd.grad(module(inputs).sum(), inputs, create_graph=True)
    trace = sum(
        torch.autograd.grad(slope[:, axis].sum(), inputs, create_graph=True)[0][:, axis]
        for axis in range(2)
    )
    return torch.cat([slope, (1 + trace.square())[:, None].sqrt()], dim=1)


@pytest.mark.parametrize("outputs", [physics, forces, penalty, score])
def test_losses_that_hold_derivatives_by_their_inputs(outputs, dense_lanczos):
    batches = [toys.numbers(9, 2, seed=seed) for seed in range(3)]
    objective = Objective(
        network(),
        lambda module, batch: (outputs(module, batch).square().sum(), len(batch)),
        batches,
        outputs=outputs,
        terms=lambda z, batch: z.square(),
    )
    start = Worker(objective).surface.space.probe(0, 0).numpy()
    value, flat = toys.gradient_function(objective)
    hessian = torch.autograd.functional.hessian(value, flat).numpy()
    truth = np.stack(dense_lanczos(hessian, start, 5), axis=1)
    # A difference in float64 is right to 1e-8; Lanczos steps pass errors on.
    assert coefficients(objective) == pytest.approx(truth, rel=1e-5, abs=1e-5 * truth.max())
    for operator, dense in (("gauss_newton", gauss_newton), ("fisher", fisher)):
        truth = np.stack(dense_lanczos(dense(objective, flat).numpy(), start, 5), axis=1)
        found = coefficients(objective, operator=operator)
        assert found == pytest.approx(truth, rel=1e-5, abs=1e-5 * truth.max())


def jacobians(objective, flat):
    named = dict(objective.module.named_parameters())
    sizes = [parameter.numel() for parameter in named.values()]
    for batch in objective.batches:

        def outputs(at, batch=batch):
            parts = torch.split(at, sizes)
            parts = {
                name: part.view(one.shape)
                for (name, one), part in zip(named.items(), parts, strict=True)
            }
            call = lambda inputs: torch.func.functional_call(objective.module, parts, (inputs,))  # noqa: E731
            return objective.outputs(call, batch)

        yield torch.autograd.functional.jacobian(outputs, flat), outputs(flat).detach(), batch


def gauss_newton(objective, flat):
    """2 J'J over the number of samples, as the terms are squares of the outputs."""
    found = [(j.flatten(0, -2), len(batch)) for j, _, batch in jacobians(objective, flat)]
    return sum(2 * j.T @ j for j, _ in found) / sum(size for _, size in found)


def fisher(objective, flat):
    """Terms are the squares of single outputs, with the gradients 2 z dz."""
    total, weight = 0.0, 0
    for j, z, batch in jacobians(objective, flat):
        gradients = 2 * z.flatten()[:, None] * j.flatten(0, -2)
        total, weight = total + gradients.T @ gradients, weight + len(batch)
    return total / weight


# Size


def sized(dtype, scale):
    objective = toys.gpt(dtype=dtype)

    def loss(module, batch):
        total, weight = objective.loss(module, batch)
        return total * scale, weight

    return Objective(
        objective.module,
        loss,
        objective.batches,
        outputs=objective.outputs,
        terms=lambda z, batch: objective.terms(z, batch) * scale,
    )


TOLERANCE = {torch.float64: 1e-8, torch.float32: 1e-3, torch.float16: 0.1, torch.bfloat16: 0.2}
"""Twice the errors that differences have in these types at any scale; exact ones have less."""


@pytest.mark.parametrize("scale", [1e-30, 1e-10, 1e20, 1e30])
@pytest.mark.parametrize(
    ("dtype", "operator"),
    [
        (torch.float32, "hessian"),
        (torch.float32, "hessian_one_reduction"),
        (torch.float32, "gauss_newton"),
        (torch.float32, "exact"),
        (torch.float64, "hessian"),
        (torch.float16, "hessian"),
        (torch.bfloat16, "hessian"),
    ],
)
def test_losses_of_any_size_have_their_curvature(dtype, operator, scale):
    usual = coefficients(sized(dtype, 1.0), operator=operator, steps=3)
    found = coefficients(sized(dtype, scale), operator=operator, steps=3) / scale
    assert abs(found - usual).max() <= TOLERANCE[dtype] * abs(usual).max()


# Passes that differ


def noisy(size, kind):
    """A network whose outputs are multiplied by numbers near 1 that chance draws."""
    module = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 2))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for layer in (module[0], module[2]):
            layer.reset_parameters()

    def loss(module, batch):
        hidden = module[1](module[0](batch))
        if kind == "dropout":
            hidden = F.dropout(hidden, size)
        if kind == "rounding":
            hidden = hidden * (1 + size * torch.randn_like(hidden))
        return module[2](hidden).square().sum(), len(batch)

    return Objective(module, loss, [toys.numbers(6, 3, seed=seed).float() for seed in range(3)])


@pytest.mark.parametrize("size", [2.0**-23, 1e-7, 1e-6])
def test_passes_that_differ_by_rounding_are_measured_and_noted(size):
    worker = Worker(noisy(size, "rounding"))
    told = re.fullmatch(
        r"two passes over the same batches differ by (\S+) of the gradient and by (\S+) of the "
        r"loss, as where kernels add in no fixed order; of a product that is about (\S+)",
        worker.notes["noise"],
    )
    gradient, _, product = (float(number) for number in told.groups())
    assert size / 10 < gradient < 10 * size
    # nu / (2 tau |g|), with tau the third root of machine epsilon
    assert product == pytest.approx(gradient / (2 * (2.0**-23) ** (1 / 3)), rel=0.1)
    quiet = coefficients(noisy(size, None), steps=2)
    readings = worker.execute(Density(steps=2, probes=1))
    found = [one.values["alpha"] for one in readings if "alpha" in getattr(one, "values", {})]
    assert abs(found - quiet[:, 0]).max() <= max(10 * product, 1e-3) * abs(quiet).max()


@pytest.mark.parametrize(
    ("size", "kind"), [(1e-3, "rounding"), (0.1, "rounding"), (0.1, "dropout"), (0.01, "dropout")]
)
def test_passes_that_differ_by_chance_are_refused(size, kind):
    refused(
        noisy(size, kind),
        r"two passes over the same batches gave loss .*; turn off dropout and other randomness",
    )


def test_passes_that_agree_are_not_noted():
    assert "noise" not in Worker(noisy(0, None)).notes


def test_noise_beside_a_gradient_that_is_rounding_is_compared_with_those_nearby():
    """At a minimum of loss zero, the last bits are all that the gradient has."""
    inputs, truth = toys.numbers(20, 5).float(), toys.numbers(5, 1).float()
    module = nn.Linear(5, 1, bias=False)
    module.weight.data = truth.T.contiguous()
    targets = inputs @ truth

    def loss(module, batch):
        found = module(batch[0])
        found = found * (1 + 2.0**-23 * torch.randn_like(found).sign())
        return (found - batch[1]).square().sum(), len(batch[0])

    worker = Worker(Objective(module, loss, [(inputs, targets)]))
    assert worker.surface.gradient_norm < 1e-6
    assert worker.notes["noise"].startswith("two passes over the same batches differ by ")
