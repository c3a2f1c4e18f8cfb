"""The Hessian against closed forms, dense matrices and double backward."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.stats import wasserstein_distance
from torch import nn

from helpers import toys
from hessview.job.objective import Objective
from hessview.operators import OPERATORS, Hessian
from hessview.spectral.lanczos import lanczos
from hessview.spectral.quadrature import ritz


def columns(surface, epsilon="auto"):
    """The whole matrix, a product a column."""
    operator = Hessian(surface, epsilon)
    return torch.stack([operator.matvec(row).vector for row in unit_vectors(surface)])


def unit_vectors(surface):
    return torch.eye(surface.space.size, dtype=surface.space.dtype)


def coefficients(surface, steps, probe=0):
    operator = Hessian(surface)
    process = lanczos(
        lambda v: operator.matvec(v).vector,
        surface.space.probe(0, probe),
        steps,
        space=surface.space,
    )
    alpha, beta = zip(*((step.alpha, step.beta) for step in process), strict=True)
    return np.array(alpha), np.array(beta)


def known_spectrum(size=24):
    basis, _ = torch.linalg.qr(toys.numbers(size, size))
    values = torch.cat([torch.linspace(-1, 1, size - 2), torch.tensor([5.0, 20.0])]).double()
    return (basis * values) @ basis.T, values


def test_a_quadratic_gives_its_matrix_and_its_spectrum(surface_of):
    matrix, values = known_spectrum()
    surface = surface_of(toys.quadratic(matrix, toys.numbers(24, seed=1)))
    torch.testing.assert_close(columns(surface), matrix, rtol=0, atol=2e-8)
    found = ritz(*coefficients(surface, 24))
    np.testing.assert_allclose(found.nodes, np.sort(values.numpy()), rtol=0, atol=1e-7)


def test_linear_regression_gives_the_gram_matrix(surface_of):
    inputs, targets = toys.numbers(23, 6), toys.numbers(23, seed=1)
    surface = surface_of(toys.linear_regression(inputs, targets))
    expected = 2 * inputs.T @ inputs / 23
    torch.testing.assert_close(columns(surface), expected, rtol=0, atol=1e-9)
    found = ritz(*coefficients(surface, 6))
    np.testing.assert_allclose(found.nodes, np.linalg.eigvalsh(expected.numpy()), rtol=1e-8)


def test_softmax_regression_gives_its_closed_form(surface_of):
    inputs, labels = toys.numbers(31, 5), torch.arange(31) % 4
    objective = toys.softmax_regression(inputs, labels, 4)
    surface = surface_of(objective)
    p = (inputs @ objective.module.weight.detach().T).softmax(-1)
    spread = torch.diag_embed(p) - p[:, :, None] * p[:, None, :]
    expected = torch.einsum("nij,na,nb->iajb", spread, inputs, inputs).reshape(20, 20) / 31
    torch.testing.assert_close(columns(surface), expected, rtol=0, atol=1e-9)
    logits = inputs @ objective.module.weight.detach().T
    assert surface.loss == pytest.approx(float(F.cross_entropy(logits, labels)))


def test_the_loss_is_the_mean_over_all_terms_not_over_batches(surface_of):
    objective = toys.gpt()
    counts = [toys.token_loss(objective.module, ids)[1] for ids in objective.batches]
    assert len(set(counts)) > 1  # otherwise the two means are one
    totals = [
        float(toys.token_loss(objective.module, ids)[0].detach()) for ids in objective.batches
    ]
    surface = surface_of(objective)
    assert surface.loss == pytest.approx(sum(totals) / sum(counts), rel=1e-14)
    assert surface.weight == sum(counts)
    assert surface.value() == pytest.approx(surface.loss, rel=1e-14)


def test_gradient_and_norms_are_those_of_double_precision_autograd(surface_of, relative):
    objective = toys.gpt()
    expected = toys.exact_gradient(objective)
    surface = surface_of(objective)
    gradient = surface.space.zeros()
    share = surface.gradient(gradient)
    assert relative(gradient, expected) < 1e-13
    assert share == pytest.approx(surface.loss)
    assert surface.gradient_norm == pytest.approx(float(expected.norm()))
    flat = torch.cat([p.flatten() for p in toys.named_trainable(objective).values()])
    assert surface.parameter_norm == pytest.approx(float(flat.norm()))
    surface.gradient(gradient, factor=-3.0)
    assert relative(gradient, -2 * expected) < 1e-13


def test_quadrature_of_a_gpt_equals_its_dense_spectrum(surface_of, gpt_eigen):
    exact = gpt_eigen[0].numpy()
    surface = surface_of(toys.gpt())
    runs = [ritz(*coefficients(surface, 70, probe)) for probe in range(3)]
    for found in runs:
        assert found.nodes[-1] == pytest.approx(exact[-1], rel=1e-7)
        assert found.nodes[0] == pytest.approx(exact[0], abs=1e-3 * exact[-1])
    nodes, weights = (np.concatenate([getattr(r, n) for r in runs]) for n in ("nodes", "weights"))
    distance = wasserstein_distance(nodes, exact, weights)
    assert distance / np.ptp(exact) < 2e-3


def test_moments_of_a_probe_are_exact_in_float32(surface_of, gpt_hessian, gpt_eigen):
    surface = surface_of(toys.gpt(dtype=torch.float32))
    alpha, beta = coefficients(surface, 10)
    measure = ritz(alpha, beta)
    vector = surface.space.probe(0, 0).double()
    power = vector
    scale = float(gpt_eigen[0][-1])
    for order in range(1, 6):
        power = gpt_hessian @ power
        found = float(measure.weights @ measure.nodes**order)
        assert found == pytest.approx(float(vector @ power), rel=2e-3, abs=1e-4 * scale**order)


def test_a_larger_gpt_equals_double_backward(surface_of, relative):
    objective = toys.gpt(width=128, layers=4, vocabulary=64, length=16, steps=8, count=2)
    surface = surface_of(objective)
    assert 5e5 < surface.space.size < 1e6
    operator = Hessian(surface)
    vector = surface.space.probe(0, 0)
    for _ in range(3):  # towards the top eigenvector
        product = operator.matvec(vector)
        exact = toys.exact_product(objective, vector)
        assert relative(product.vector, exact) < 1e-7
        vector = exact / exact.norm()


def test_tied_frozen_and_unused_parameters(surface_of, relative):
    objective = toys.gpt(tied=True)
    module = objective.module
    module.layers[0].qkv.weight.requires_grad_(False)
    module.unused = nn.Parameter(torch.ones(5, dtype=torch.float64))
    surface = surface_of(objective)
    names = [piece.name for piece in surface.space.pieces]
    assert "token.weight" in names
    assert "head.weight" not in names  # it is the same parameter, counted once
    assert "layers.0.qkv.weight" not in names
    value, flat = toys.gradient_function(objective)
    assert surface.space.size == len(flat)
    vector = surface.space.probe(0, 0)
    product = Hessian(surface).matvec(vector)
    flat.requires_grad_()
    # Unused parameters are zeros of the gradient, so the last of them is no special case.
    (gradient,) = torch.autograd.grad(value(flat), flat, create_graph=True)
    (exact,) = torch.autograd.grad(gradient @ vector, flat)
    assert relative(product.vector, exact) < 1e-8
    unused = dict(zip(names, surface.space.split(product.vector), strict=True))["unused"]
    assert unused.tolist() == [0] * 5


def test_a_child_called_module_keeps_its_name(surface_of, relative):
    class Wrapper(nn.Linear):
        def __init__(self):
            super().__init__(3, 2, dtype=torch.float64)
            self.module = nn.Linear(3, 3, dtype=torch.float64)

        def forward(self, x):
            return super().forward(torch.tanh(self.module(x)))

    torch.manual_seed(0)
    inputs = toys.numbers(5, 3)
    objective = Objective(Wrapper(), lambda module, x: (module(x) ** 2).sum(), [inputs])
    surface = surface_of(objective)
    assert surface.space.size == 20
    probe = surface.space.probe(0, 0)
    expected = toys.exact_product(objective, probe)
    assert relative(Hessian(surface).matvec(probe).vector, expected) < 1e-8


def test_the_hessian_of_an_untied_twin_differs(surface_of):
    # So that the test of tied parameters above could fail.
    tied, untied = surface_of(toys.gpt(tied=True)), surface_of(toys.gpt(tied=False))
    extra = toys.VOCABULARY * toys.WIDTH
    assert untied.space.size - tied.space.size == extra


@pytest.mark.parametrize("name", ["hessian", "hessian_one_reduction", "gauss_newton"])
@pytest.mark.parametrize("scale", [1e-7, 1.0, 1e6])
def test_float16_neither_loses_small_gradients_nor_overflows(
    request, surface_of, relative, name, scale
):
    # Entries of the gradient are about 1e-2 * scale; float16 goes from 6e-8 to 65504.
    plain = toys.gpt(dtype=torch.float16)

    def loss(module, ids):
        total, weight = plain.loss(module, ids)
        return scale * total, weight

    def terms(logits, ids):
        return scale * plain.terms(logits, ids)

    surface = surface_of(
        Objective(plain.module, loss, plain.batches, outputs=plain.outputs, terms=terms)
    )
    dense = "gpt_gauss_newton" if name == "gauss_newton" else "gpt_hessian"
    probe = surface.space.probe(0, 0)
    expected = scale * request.getfixturevalue(dense) @ probe.double()
    product = OPERATORS[name](surface, "auto").matvec(probe, measure_error=True)
    assert relative(product.vector, expected) < 0.05
    assert product.error < 0.1


def test_the_gradient_of_a_scalar_mean_gets_weight_one(surface_of):
    at = toys.numbers(3)
    objective = Objective(
        toys.Point(at), lambda module, scale: scale * module().square().sum(), [1.0, 3.0]
    )
    surface = surface_of(objective)
    assert surface.loss == pytest.approx(2 * float(at.square().sum()))
    torch.testing.assert_close(columns(surface), 4 * torch.eye(3).double(), atol=1e-9, rtol=0)


@pytest.mark.parametrize("name", ["hessian", "hessian_one_reduction", "exact"])
@pytest.mark.parametrize("scale", [1e-28, 1e-12, 1e12, 1e28])
def test_a_loss_in_any_unit_has_its_hessian_in_that_unit(
    surface_of, gpt_hessian, relative, name, scale
):
    plain = toys.gpt(dtype=torch.float32)

    def loss(module, ids):
        total, weight = plain.loss(module, ids)
        return scale * total, weight

    surface = surface_of(Objective(plain.module, loss, plain.batches))
    probe = surface.space.probe(0, 0)
    product = OPERATORS[name](surface, "auto").matvec(probe, measure_error=True)
    expected = gpt_hessian @ probe.double()
    assert relative(product.vector.double() / scale, expected) < 1e-3
    assert product.norm / scale == pytest.approx(float(expected.norm()), rel=1e-3)
    assert product.error < 1e-2
