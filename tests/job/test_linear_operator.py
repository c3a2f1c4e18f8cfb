"""`hessview.operator`: products with flat vectors, against dense matrices, and for SciPy."""

import copy

import numpy as np
import pytest
import scipy.sparse.linalg
import torch
from torch import nn

import hessview
from helpers import toys
from hessview.errors import InputError, ObjectiveError

# As in tests/operators/test_base.py.
CLOSE = dict.fromkeys(hessview.operators, 1e-8) | {
    "hessian_forward": 1e-6,
    "exact": 1e-12,
}


@pytest.fixture(scope="module")
def objective():
    return toys.gpt()


@pytest.fixture(scope="module")
def dense(objective):
    hessian = toys.dense_hessian(objective).numpy()
    matrices = dict.fromkeys(hessview.operators, hessian)
    matrices["gauss_newton"] = toys.dense_gauss_newton(objective).detach().numpy()
    matrices["fisher"] = toys.dense_fisher(objective).detach().numpy()
    return matrices


@pytest.fixture(scope="module")
def exact(objective):
    return hessview.operator(objective, "exact")


def vector_of(size, seed=0, scale=7.0):
    return scale * np.random.default_rng(seed).standard_normal(size)


def distance(found, expected):
    return np.linalg.norm(found - expected) / np.linalg.norm(expected)


@pytest.mark.parametrize("name", list(hessview.operators))
def test_products_are_those_of_the_dense_matrix(objective, dense, name):
    op = hessview.operator(objective, name)
    vector = vector_of(op.shape[0])
    assert op.shape == dense[name].shape
    assert distance(op @ vector, dense[name] @ vector) < CLOSE[name]
    measured = op.measure(vector)
    error = distance(measured.vector, dense[name] @ vector)
    assert error <= max(3 * measured.error, 1e-14)
    assert measured.gradients > 0
    assert np.isfinite(measured.epsilon) == hessview.operators[name].has_epsilon


def test_scipy_finds_the_eigenvalues_of_the_dense_matrix(objective, dense):
    linear = hessview.operator(objective).linear_operator()
    assert isinstance(linear, scipy.sparse.linalg.LinearOperator)
    values, vectors = scipy.sparse.linalg.eigsh(linear, k=3, which="LA", tol=1e-9)
    expected = np.linalg.eigvalsh(dense["hessian"])[-3:]
    np.testing.assert_allclose(values, expected, rtol=1e-8)
    for value, vector in zip(values, vectors.T, strict=True):
        assert distance(dense["hessian"] @ vector, value * vector) < 1e-7


def test_scipy_solves_with_it(exact, dense):
    shifted = exact.linear_operator() + 20 * scipy.sparse.linalg.aslinearoperator(
        scipy.sparse.identity(exact.shape[0])
    )
    right = vector_of(exact.shape[0])
    solution, failed = scipy.sparse.linalg.cg(shifted, right, rtol=1e-10)
    assert not failed
    assert (
        distance(solution, np.linalg.solve(dense["exact"] + 20 * np.eye(len(right)), right)) < 1e-8
    )


def test_a_vector_may_have_any_norm_and_the_matrix_is_linear_and_symmetric(exact):
    one, other = (vector_of(exact.shape[0], seed) for seed in (1, 2))
    for size in (1e-200, 1e200):  # whose squares are no numbers
        assert distance((exact @ (size * one)) / size, exact @ one) < 1e-12
    assert distance(exact @ (one + other), exact @ one + exact @ other) < 1e-12
    assert one @ (exact @ other) == pytest.approx(other @ (exact @ one), rel=1e-12)
    zero = np.zeros(exact.shape[0])
    assert not (exact @ zero).any()
    assert exact.measure(zero).error == 0


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.int64])
def test_tensors_give_tensors_of_their_type(exact, dtype):
    vector = torch.from_numpy(vector_of(exact.shape[0])).round().to(dtype)
    product = exact @ vector
    assert product.dtype == (dtype if dtype.is_floating_point else torch.float64)
    expected = exact @ vector.double().numpy()
    assert distance(product.double().numpy(), expected) < (
        1e-6 if dtype == torch.float32 else 1e-14
    )


def test_several_vectors_at_once_and_columns_keep_their_shape(exact, dense):
    vectors = np.stack([vector_of(exact.shape[0], seed) for seed in range(3)], 1)
    assert distance(exact @ vectors, dense["exact"] @ vectors) < 1e-12
    assert distance(exact.linear_operator() @ vectors, dense["exact"] @ vectors) < 1e-12
    assert (exact @ torch.from_numpy(vectors)).shape == vectors.shape
    assert exact.matvec(vectors[:, :1]).shape == (exact.shape[0], 1)
    assert exact.matmat(vectors[:, :0]).shape == (exact.shape[0], 0)


def test_parts_lie_as_torch_lays_them_out(objective, exact):
    trained = dict(objective.module.named_parameters())
    assert list(exact.parameters) == list(trained)
    flat = nn.utils.parameters_to_vector(trained.values()).detach()
    parts = exact.split(flat)
    assert all(torch.equal(part, trained[name]) for name, part in parts.items())
    np.testing.assert_array_equal(exact.flatten(parts), flat.numpy())
    parts["extra"] = flat
    with pytest.raises(InputError, match=r"differ from the parameters in \['extra'\]"):
        exact.flatten(parts)
    del parts["extra"]
    name = next(iter(parts))
    parts[name] = parts[name][:1]
    with pytest.raises(InputError, match=f"the part of {name!r} has shape"):
        exact.flatten(parts)


def test_a_subset_is_a_block_of_the_matrix(objective, dense, exact):
    op = hessview.operator(objective, "exact", subset="layers.0.*")
    kept = np.concatenate([np.arange(exact.shape[0])[exact.parameters[n]] for n in op.parameters])
    vector = vector_of(len(kept))
    assert distance(op @ vector, dense["exact"][np.ix_(kept, kept)] @ vector) < 1e-12


def test_everything_is_left_as_it_was(objective):
    module = objective.module
    for parameter in module.parameters():
        parameter.grad = torch.ones_like(parameter)
    before = copy.deepcopy(module.state_dict())
    state = torch.get_rng_state()
    op = hessview.operator(objective)
    op @ vector_of(op.shape[0])
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert all(torch.equal(p.grad, torch.ones_like(p)) for p in module.parameters())
    assert torch.equal(torch.get_rng_state(), state)
    assert not any(m.training for m in module.modules())
    module.zero_grad()


def test_once_the_weights_change_products_are_refused():
    objective = toys.gpt()
    op = hessview.operator(objective)
    vector = vector_of(op.shape[0])
    op @ vector
    with torch.no_grad():
        next(objective.module.parameters())[0, 0] += 1e-12
    with pytest.raises(ObjectiveError, match=r"the parameters have changed.*make it anew"):
        op @ vector
    assert np.isfinite(hessview.operator(objective) @ vector).all()


@pytest.mark.parametrize(
    ("vector", "match"),
    [
        (lambda n: np.zeros(n + 1), r"a vector of shape \(1409,\) is not allowed; use \(1408,\)"),
        (lambda n: np.zeros((2, n)), "vectors of shape|a vector of shape"),
        (lambda n: np.zeros(n, complex), "a vector of complex128 is not allowed; use real"),
        (lambda n: np.full(n, np.nan), "the vector is not finite"),
        (lambda n: torch.full((n,), torch.inf), "the vector is not finite"),
    ],
)
def test_vectors_that_make_no_sense_are_refused(exact, vector, match):
    with pytest.raises(InputError, match=match):
        exact @ vector(exact.shape[0])


def test_arguments_that_make_no_sense_are_refused_before_anything_is_computed(objective):
    with pytest.raises(InputError, match=r"operator 'hesian' is unknown.*did you mean"):
        hessview.operator(objective, "hesian")
    with pytest.raises(InputError, match="subset='nothing' matches none"):
        hessview.operator(objective, subset="nothing")
    with pytest.raises(InputError, match="epsilon=-1"):
        hessview.operator(objective, epsilon=-1)
    with pytest.raises(InputError, match=r"the objective is a Gpt; pass hessview\.Objective"):
        hessview.operator(objective.module)
    quadratic = toys.quadratic(toys.numbers(4, 4), toys.numbers(4))
    with pytest.raises(InputError, match="works on the model's outputs"):
        hessview.operator(quadratic, "fisher")


def test_dropout_that_is_switched_on_meanwhile_is_refused_and_evaluation_switches_it_off():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Dropout(0.5), nn.Linear(4, 1)).double()
    inputs = toys.numbers(5, 3)
    objective = hessview.Objective(module.eval(), lambda m, x: m(x).square().mean(), [inputs])
    op, off = hessview.operator(objective), hessview.operator(objective, evaluation=True)
    vector = vector_of(op.shape[0])
    expected = op @ vector
    module.train()
    with pytest.raises(ObjectiveError, match="dropout is on"):
        op @ vector
    np.testing.assert_array_equal(off @ vector, expected)
    assert module.training


def test_padding_is_rows_and_columns_of_zeros():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Embedding(6, 3, padding_idx=0), nn.Flatten(), nn.Linear(12, 1))
    ids = torch.tensor([[0, 1, 2, 3], [4, 5, 0, 1]])
    objective = hessview.Objective(module.double(), lambda m, x: m(x).square().mean(), [ids])
    op = hessview.operator(objective, "exact")
    product = op.split(op @ vector_of(op.shape[0]))["0.weight"]
    assert not product[0].any()
    assert product[1:].any()
