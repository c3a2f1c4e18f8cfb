"""What every operator must be: symmetric, linear, its dense oracle, and a good guest."""

import pytest
import torch
import toys

from hessview.errors import ObjectiveError, RunCancelledError
from hessview.job.objective import Objective
from hessview.operators import OPERATORS

ORACLES = {"hessian": "gpt_hessian"}  # fixtures

# Central differences in float64 reach 5e-11 to 4e-9 with the automatic step.
CLOSE = 1e-8


@pytest.fixture(params=sorted(OPERATORS))
def operator_of(request):
    return OPERATORS[request.param]


@pytest.fixture(params=sorted(OPERATORS))
def dense(request):
    """An operator on the small GPT, its space, and its dense matrix."""
    return OPERATORS[request.param], request.getfixturevalue(ORACLES[request.param])


def state(module):
    """Everything that a guest must leave as it was, bit by bit."""
    tensors = {k: v.clone() for k, v in module.state_dict().items()}
    grads = {k: None if p.grad is None else p.grad.clone() for k, p in module.named_parameters()}
    modes = [child.training for child in module.modules()]
    return tensors, grads, modes


def assert_same(before, after):
    for old, new in zip(before[:2], after[:2], strict=True):
        assert old.keys() == new.keys()
        for key, value in old.items():
            if value is None:
                assert new[key] is None, key
            else:
                assert torch.equal(value, new[key]), key
    assert before[2] == after[2]


def raising_at(objective, call, error):
    """The same objective, whose loss raises at the n-th call from now on; once."""
    calls = []

    def loss(module, batch):
        calls.append(batch)
        result = objective.loss(module, batch)
        if len(calls) == call:
            raise error
        return result

    return Objective(objective.module, loss, objective.batches), calls


def test_every_operator_has_an_oracle():
    assert ORACLES.keys() == OPERATORS.keys()


@pytest.mark.parametrize("index", [0, 1])
def test_products_equal_the_dense_oracle(dense, surface_of, relative, index):
    make, matrix = dense
    surface = surface_of(toys.gpt())
    vector = surface.space.probe(0, index)
    product = make(surface, "auto").matvec(vector)
    assert relative(product.vector, matrix @ vector) < CLOSE
    assert product.norm == pytest.approx(float((matrix @ vector).norm()), rel=CLOSE)


def test_eigenvectors_keep_their_direction(dense, surface_of):
    make, matrix = dense
    values, vectors = torch.linalg.eigh(matrix)
    operator = make(surface_of(toys.gpt()), "auto")
    for which in (0, 100, -2, -1):
        product = operator.matvec(vectors[:, which].contiguous())
        residual = (product.vector - values[which] * vectors[:, which]).norm()
        assert float(residual) < CLOSE * float(values.abs().max()), which


def test_it_is_symmetric(operator_of, surface_of):
    surface = surface_of(toys.gpt())
    operator = operator_of(surface, "auto")
    u, v = surface.space.probe(0, 0), surface.space.probe(0, 1)
    hu, hv = operator.matvec(u).vector, operator.matvec(v).vector
    assert float(u @ hv) == pytest.approx(float(hu @ v), abs=CLOSE * float(hu.norm()))
    # Two vectors that have something to do with each other: the forms are not both about 0.
    assert abs(float(hu @ hv)) > 1e-3 * float(hu.norm() * hv.norm())
    w = hu / hu.norm()
    hw = operator.matvec(w).vector
    assert float(v @ hw) == pytest.approx(float(hv @ w), rel=1e-5)


def test_it_is_linear(operator_of, surface_of, relative):
    surface = surface_of(toys.gpt())
    operator = operator_of(surface, "auto")
    u, v = surface.space.probe(0, 0), surface.space.probe(0, 1)
    mixed = 0.6 * u - 2.0 * v
    length = mixed.norm()
    expected = 0.6 * operator.matvec(u).vector - 2.0 * operator.matvec(v).vector
    assert relative(length * operator.matvec(mixed / length).vector, expected) < CLOSE
    assert relative(operator.matvec(-u).vector, -operator.matvec(u).vector) < CLOSE


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_it_leaves_everything_as_it_was(operator_of, surface_of, dtype):
    objective = toys.gpt(dtype=dtype, steps=0)
    objective.module.layers[0].norm_1.weight.requires_grad_(False)
    for index, parameter in enumerate(objective.module.parameters()):
        if index % 2:
            parameter.grad = torch.full_like(parameter, 0.25 * index)
    surface = surface_of(objective)
    grads = [p.grad for p in objective.module.parameters()]
    before = state(objective.module)
    operator = operator_of(surface, "auto")
    with torch.no_grad():
        for index in range(3):
            operator.matvec(surface.space.probe(0, index), measure_error=True)
    assert_same(before, state(objective.module))
    # The very tensors, which an optimizer or a hook may hold.
    assert all(p.grad is g for p, g in zip(objective.module.parameters(), grads, strict=True))


# A product makes 2 gradients of 4 batches each, an attempt.
@pytest.mark.parametrize("call", [1, 2, 4, 5, 8, 9, 13])
@pytest.mark.parametrize("error", [ValueError("the loss is upset"), KeyboardInterrupt()])
def test_it_leaves_everything_as_it_was_also_when_the_loss_raises(
    operator_of, surface_of, call, error
):
    objective = toys.gpt(count=4, steps=0, dtype=torch.float32)
    objective.module.head.weight.grad = torch.ones_like(objective.module.head.weight)
    expected = operator_of(surface_of(objective), "auto").matvec(
        surface_of(objective).space.probe(0, 0)
    )
    assert expected.gradients >= 4
    surface = surface_of(objective)
    surface.objective, calls = raising_at(objective, call, error)
    before = state(objective.module)
    operator = operator_of(surface, "auto")
    with pytest.raises(type(error)) as caught:
        operator.matvec(surface.space.probe(0, 0))
    assert caught.value is error
    assert len(calls) == call
    assert_same(before, state(objective.module))
    # And it can compute again: the same product, to the last bit.
    again = operator_of(surface, "auto").matvec(surface.space.probe(0, 0))
    assert torch.equal(again.vector, expected.vector)


def test_it_leaves_everything_as_it_was_when_cancelled(operator_of, surface_of):
    objective = toys.gpt(steps=0, dtype=torch.float32)
    surface = surface_of(objective)
    before = state(objective.module)
    surface.space.reduce.wants_stop = lambda: True
    with pytest.raises(RunCancelledError, match="the run was cancelled; what was measured is kept"):
        operator_of(surface, "auto").matvec(surface.space.probe(0, 0))
    assert_same(before, state(objective.module))


@pytest.mark.parametrize("epsilon", [3e-5, 1e-3, 0.25])
def test_an_epsilon_that_is_given_is_used_as_it_is(operator_of, surface_of, epsilon):
    surface = surface_of(toys.gpt(steps=0))
    operator = operator_of(surface, epsilon)
    product = operator.matvec(surface.space.probe(0, 0), measure_error=True)
    assert product.epsilon == epsilon
    assert product.gradients == 4
    plain = operator.matvec(surface.space.probe(0, 0))
    assert plain.gradients == 2
    assert plain.error != plain.error
    assert torch.equal(plain.vector, product.vector)
    assert product.rho == pytest.approx(epsilon * product.norm / surface.gradient_norm)


def test_a_loss_that_is_not_finite_nearby_is_refused_or_approached(
    operator_of, surface_of, relative
):
    # log(x) ends at 0: at a distance of 2e-4 from there, a step of 1 is too far.
    at = torch.full((3,), 2e-4, dtype=torch.float64)
    objective = Objective(toys.Point(at), lambda module, _: -torch.log(module()).sum(), [None])
    surface = surface_of(objective)
    vector = surface.space.probe(0, 0)
    before = state(objective.module)
    with pytest.raises(
        ObjectiveError,
        match=r"loss or its gradient is not finite at epsilon=1 from the parameters; use a smaller",
    ):
        operator_of(surface, 1.0).matvec(vector)
    assert_same(before, state(objective.module))
    product = operator_of(surface, "auto").matvec(vector)
    assert relative(product.vector, vector / at**2) < 1e-6
