"""What every operator must be: symmetric, linear, its dense oracle, and a good guest."""

import dataclasses

import pytest
import torch

from helpers import toys
from hessview.errors import ObjectiveError, RunCancelledError
from hessview.job.objective import Objective
from hessview.operators import FACTS, OPERATORS
from hessview.operators.finite_difference import Differences

ORACLES = {
    "hessian": "gpt_hessian",
    "hessian_one_reduction": "gpt_hessian",
    "hessian_fourth_order": "gpt_hessian",
    "hessian_forward": "gpt_hessian",
    "gauss_newton": "gpt_gauss_newton",
    "fisher": "gpt_fisher",
    "exact": "gpt_hessian",
}
STEPPING = sorted(name for name, make in OPERATORS.items() if issubclass(make, Differences))

# Relative errors in float64 with the automatic step: central differences reach 5e-11 to 4e-9,
# extrapolated ones 2e-12, forward ones, whose error is of first order, 4e-8.
CLOSE = dict.fromkeys(OPERATORS, 1e-8) | {
    "hessian_fourth_order": 1e-10,
    "hessian_forward": 1e-6,
    "exact": 1e-12,
}


@pytest.fixture(params=sorted(OPERATORS))
def name(request):
    return request.param


@pytest.fixture
def close(name):
    return CLOSE[name]


@pytest.fixture
def operator_of(name):
    return OPERATORS[name]


@pytest.fixture
def dense(request, name):
    """An operator, and its dense matrix on the small GPT."""
    return OPERATORS[name], request.getfixturevalue(ORACLES[name])


def state(module):
    """Everything that a guest must leave as it was, bit by bit."""
    tensors = {k: v.clone() for k, v in module.state_dict().items()}
    grads = {k: None if p.grad is None else p.grad.clone() for k, p in module.named_parameters()}
    modes = [child.training for child in module.modules()]
    hooks = [(len(m._forward_hooks), len(m._forward_pre_hooks)) for m in module.modules()]
    return tensors, grads, modes, hooks


def assert_same(before, after):
    for old, new in zip(before[:2], after[:2], strict=True):
        assert old.keys() == new.keys()
        for key, value in old.items():
            if value is None:
                assert new[key] is None, key
            else:
                assert torch.equal(value, new[key]), key
    assert before[2:] == after[2:]


def raising_at(objective, call, error):
    """The same objective, whose n-th pass from now on raises; once."""
    calls = []

    def counted(function):
        def run(module, batch):
            calls.append(batch)
            result = function(module, batch)
            if len(calls) == call:
                raise error
            return result

        return run

    changed = {"loss": counted(objective.loss), "outputs": counted(objective.outputs)}
    return dataclasses.replace(objective, **changed), calls


def test_every_operator_has_an_oracle():
    assert ORACLES.keys() == OPERATORS.keys()


def test_every_operator_says_what_it_is():
    words = [facts.about for facts in FACTS.values()]
    assert all("\n" not in about and len(about) > 20 for about in words)
    assert len(set(words)) == len(words)
    assert "17-44 times less accurate" in FACTS["hessian_forward"].about


@pytest.mark.parametrize("index", [0, 1])
def test_products_equal_the_dense_oracle(dense, close, surface_of, relative, index):
    make, matrix = dense
    surface = surface_of(toys.gpt())
    vector = surface.space.probe(0, index)
    product = make(surface, "auto").matvec(vector)
    assert relative(product.vector, matrix @ vector) < close
    assert product.norm == pytest.approx(float((matrix @ vector).norm()), rel=close)


def test_eigenvectors_keep_their_direction(dense, close, surface_of):
    make, matrix = dense
    values, vectors = torch.linalg.eigh(matrix)
    operator = make(surface_of(toys.gpt()), "auto")
    for which in (0, 100, -2, -1):
        product = operator.matvec(vectors[:, which].contiguous())
        residual = (product.vector - values[which] * vectors[:, which]).norm()
        assert float(residual) < close * float(values.abs().max()), which


def test_it_is_symmetric(operator_of, close, surface_of):
    surface = surface_of(toys.gpt())
    operator = operator_of(surface, "auto")
    u, v = surface.space.probe(0, 0), surface.space.probe(0, 1)
    hu, hv = operator.matvec(u).vector, operator.matvec(v).vector
    assert float(u @ hv) == pytest.approx(float(hu @ v), abs=close * float(hu.norm()))
    # Two vectors that have something to do with each other: the forms are not both about 0.
    assert abs(float(hu @ hv)) > 1e-3 * float(hu.norm() * hv.norm())
    w = hu / hu.norm()
    hw = operator.matvec(w).vector
    assert float(v @ hw) == pytest.approx(float(hv @ w), rel=max(1e-5, 100 * close))


def test_it_is_linear(operator_of, close, surface_of, relative):
    surface = surface_of(toys.gpt())
    operator = operator_of(surface, "auto")
    u, v = surface.space.probe(0, 0), surface.space.probe(0, 1)
    mixed = 0.6 * u - 2.0 * v
    length = mixed.norm()
    expected = 0.6 * operator.matvec(u).vector - 2.0 * operator.matvec(v).vector
    assert relative(length * operator.matvec(mixed / length).vector, expected) < close
    assert relative(operator.matvec(-u).vector, -operator.matvec(u).vector) < close


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
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
        for index in range(2):
            operator.matvec(surface.space.probe(0, index), measure_error=True)
    assert_same(before, state(objective.module))
    # The very tensors, which an optimizer or a hook may hold.
    assert all(p.grad is g for p, g in zip(objective.module.parameters(), grads, strict=True))


# A product at a given step makes 1 to 4 passes over 4 batches.
@pytest.mark.parametrize(
    ("call", "error"),
    [(1, ValueError("upset")), (4, ValueError("upset")), (5, KeyboardInterrupt()), (8, OSError())],
)
def test_it_leaves_everything_as_it_was_also_when_the_loss_raises(
    operator_of, surface_of, call, error
):
    objective = toys.gpt(count=4, steps=0, dtype=torch.float32)
    objective.module.head.weight.grad = torch.ones_like(objective.module.head.weight)
    surface = surface_of(objective)
    probe = surface.space.probe(0, 0)
    surface.objective, passes = raising_at(objective, 0, error)
    expected = operator_of(surface, 1e-3).matvec(probe)
    call = min(call, len(passes))  # a double backward is one pass over the batches
    surface.objective, calls = raising_at(objective, call, error)
    before = state(objective.module)
    with pytest.raises(type(error)) as caught:
        operator_of(surface, 1e-3).matvec(probe)
    assert caught.value is error
    assert len(calls) == call
    assert_same(before, state(objective.module))
    # And it can compute again: the same product, to the last bit.
    again = operator_of(surface, 1e-3).matvec(probe)
    assert torch.equal(again.vector, expected.vector)


def test_it_leaves_everything_as_it_was_when_cancelled(operator_of, surface_of):
    objective = toys.gpt(steps=0, dtype=torch.float32)
    surface = surface_of(objective)
    before = state(objective.module)
    surface.space.reduce.wants_stop = lambda: True
    with pytest.raises(RunCancelledError, match="the run was cancelled; what was measured is kept"):
        operator_of(surface, "auto").matvec(surface.space.probe(0, 0))
    assert_same(before, state(objective.module))


@pytest.mark.parametrize("name", STEPPING)
@pytest.mark.parametrize("epsilon", [3e-5, 1e-3, 0.25])
def test_an_epsilon_that_is_given_is_used_as_it_is(operator_of, surface_of, epsilon):
    surface = surface_of(toys.gpt(steps=0))
    operator = operator_of(surface, epsilon)
    product = operator.matvec(surface.space.probe(0, 0), measure_error=True)
    assert product.epsilon == epsilon
    assert product.gradients == 2 * operator.facts.cost
    plain = operator.matvec(surface.space.probe(0, 0))
    assert plain.gradients == operator.facts.cost
    assert plain.error != plain.error
    assert torch.equal(plain.vector, product.vector)
    if ORACLES[_name_of(operator)] == "gpt_hessian":
        assert product.rho == pytest.approx(epsilon * product.norm / surface.gradient_norm)


def _name_of(operator):
    return next(name for name, make in OPERATORS.items() if make is type(operator))


LOGARITHM = torch.full((3,), 2e-4, dtype=torch.float64)


def logarithm():
    """-sum log(x), which ends at 0: at a distance of 2e-4 from there, a step of 1 is too far."""
    return Objective(
        toys.Point(LOGARITHM),
        lambda module, _: -torch.log(module()).sum(),
        [None],
        outputs=lambda module, _: module(),
        terms=lambda z, _: -torch.log(z),
    )


# The outputs of this model are its parameters, finite wherever they are; Gauss-Newton sees no more.
@pytest.mark.parametrize("name", [name for name in STEPPING if name != "gauss_newton"])
def test_a_loss_that_is_not_finite_nearby_is_refused(operator_of, surface_of):
    objective = logarithm()
    surface = surface_of(objective)
    before = state(objective.module)
    with pytest.raises(
        ObjectiveError,
        match=r"the (loss|gradient) is not finite( on rank 0)? at epsilon=1 from the",
    ):
        operator_of(surface, 1.0).matvec(surface.space.probe(0, 0))
    assert_same(before, state(objective.module))


def test_a_loss_that_is_not_finite_nearby_is_approached(operator_of, surface_of, relative):
    surface = surface_of(logarithm())
    vector = surface.space.probe(0, 0)
    # Hessian, Gauss-Newton matrix and Fisher matrix are one here: diag(1 / x^2).
    product = operator_of(surface, "auto").matvec(vector)
    assert relative(product.vector, vector / LOGARITHM**2) < 1e-6
