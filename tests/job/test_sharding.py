"""Any number of ranks gives what one process gives, and what calculus says.

One launch for each number of ranks runs every case of ranks/numerics.py; tests read its file.
"""

import copy
import functools

import pytest
import torch
from torch import nn

from helpers import toys
from hessview.job.control import Reduction
from hessview.job.loss import ShardedLoss
from hessview.operators import OPERATORS, Hessian
from hessview.spectral.lanczos import lanczos

pytestmark = [pytest.mark.ranks, pytest.mark.timeout(400)]

EPSILON = 2e-2  # as in ranks/numerics.py

# Sums over ranks are done in another order, which moves gradients by some roundings and
# products by these over the step: measured 1e-16 and 1e-10.
GRADIENT, PRODUCT = 1e-13, 1e-8

GPT = {
    "float64": toys.gpt,
    "more_ranks_than_batches": lambda: toys.gpt(count=1),
    "sharded_by_the_user_along_other_dimensions": toys.gpt,
    "activation_checkpointing": toys.gpt,
    "gathered_after_backward": toys.gpt,
    "data_parallel": toys.gpt,
}


def with_frozen_and_unused():
    objective = toys.gpt()
    objective.module.layers[0].qkv.weight.requires_grad_(False)
    objective.module.unused = nn.Parameter(torch.ones(5, dtype=torch.float64))
    return objective


def regression():
    return toys.linear_regression(toys.numbers(23, 6), toys.numbers(23, seed=1))


CASES = {**GPT, "frozen_and_unused": with_frozen_and_unused, "empty_shards": regression}


@pytest.fixture(scope="module")
def launched(torchrun):
    """Results by number of ranks."""
    return functools.cache(lambda world: torchrun("numerics", world))


@pytest.fixture(params=[1, 2, 3])
def ranks(request, launched):
    """Results of so many ranks, and their number."""
    return copy.deepcopy(launched(request.param)), request.param


@pytest.fixture
def many(launched):
    """Results of two ranks, where nothing depends on how many."""
    return launched(2)


@functools.cache
def alone(name):
    """The case in this process, on the plain module."""
    return numbers_of(CASES[name]())


def numbers_of(objective, epsilon="auto"):
    surface = ShardedLoss(objective, Reduction())
    surface.measure()
    gradient = surface.space.zeros()
    surface.gradient(gradient)
    operator = Hessian(surface, epsilon)
    probe = surface.space.probe(0, 0)
    product = operator.matvec(probe)
    process = lanczos(lambda v: operator.matvec(v).vector, probe, 4, space=surface.space)
    return {
        "size": surface.space.size,
        "loss": surface.loss,
        "gradient_norm": surface.gradient_norm,
        "probe": probe,
        "gradient": gradient,
        "product": product.vector,
        "coefficients": torch.tensor([(s.alpha, s.beta) for s in process], dtype=torch.float64),
    }


def relative(found, expected):
    return float((found.double() - expected.double()).norm() / expected.double().norm())


@pytest.mark.parametrize("name", CASES)
def test_ranks_equal_one_process(ranks, name):
    results, world = ranks
    found, expected = results[name], alone(name)
    assert found["size"] == expected["size"]
    assert torch.equal(found["probe"], expected["probe"])
    assert found["loss"] == pytest.approx(expected["loss"], rel=1e-13)
    assert found["value"] == pytest.approx(expected["loss"], rel=1e-13)
    assert found["gradient_norm"] == pytest.approx(expected["gradient_norm"], rel=1e-12)
    assert relative(found["gradient"], expected["gradient"]) < GRADIENT
    assert relative(found["product"], expected["product"]) < PRODUCT
    scale = float(expected["coefficients"].abs().max())
    difference = (found["coefficients"] - expected["coefficients"]).abs().max()
    assert float(difference) < 1e-6 * scale
    assert found["restored"]
    if name == "data_parallel":
        assert found["local"] == found["size"]
    elif name != "empty_shards":
        assert found["local"] <= found["size"] / world + 200


@pytest.mark.parametrize("name", CASES)
def test_ranks_equal_double_backward(ranks, name):
    found, objective = ranks[0][name], CASES[name]()
    value, flat = toys.gradient_function(objective)
    flat.requires_grad_()
    (gradient,) = torch.autograd.grad(value(flat), flat, create_graph=True)
    (product,) = torch.autograd.grad(gradient @ found["probe"], flat)
    assert relative(found["gradient"], gradient.detach()) < 1e-12
    assert relative(found["product"], product) < PRODUCT


def test_in_float32_ranks_differ_by_rounding_alone(ranks):
    found = ranks[0]["float32"]
    expected = numbers_of(toys.gpt(dtype=torch.float32), EPSILON)
    assert torch.equal(found["probe"], expected["probe"])
    assert relative(found["gradient"], expected["gradient"]) < 2e-6
    # The gradients' rounding over the step: 1e-7 |g| / (h |Hv|).
    assert relative(found["product"], expected["product"]) < 3e-4
    assert found["restored"]


def test_bfloat16_compute_over_float32_shards_errs_as_expected(ranks):
    found = ranks[0]["bfloat16_compute"]
    expected = alone("float64")
    tau = 2.0 ** (-7 / 3)
    assert tau / 3 <= found["rho"] <= 3 * tau
    # 2 to 12 % is the best there is; and D, the measured error, says so.
    error = relative(found["product"], expected["product"])
    assert 1e-3 < error < 0.3
    assert 0.01 < found["error"] < 1.0
    assert found["restored"]


def test_an_empty_rank_holds_nothing(many):
    assert many["empty_shards"]["size"] == 6
    # Rank 0 writes the file: the other one held what is left.
    assert many["empty_shards"]["local"] == 6


def test_copies_that_the_caller_left_gathered_are_not_believed(ranks):
    found = ranks[0]["left_gathered_by_the_user"]
    assert found["loss"] == pytest.approx(alone("float64")["loss"], rel=1e-13)
    assert found["gradient_norm"] == pytest.approx(alone("float64")["gradient_norm"], rel=1e-12)


def test_after_a_loss_that_raised_all_is_as_before(many):
    assert len(many["raising"]) == 6
    for place, found in many["raising"].items():
        assert found["restored"], place
        assert found["equal"], place


def test_a_product_costs_two_gradients_and_one_small_reduction(ranks):
    results, world = ranks
    found = results["collectives"]
    gradient, product = found["gradient"], found["product"]
    assert gradient.pop("largest_all_reduce") == 0
    assert product.pop("largest_all_reduce") <= 8
    reductions = product.pop("allreduce", 0)
    assert reductions <= 1
    if world == 1:
        return  # FSDP leaves out what has nowhere to go
    # The root once, each of two layers once forward and once backward; each reduced once.
    assert gradient == {"allgather_base": 5, "reduce_scatter_base": 3}
    assert product == {name: 2 * count for name, count in gradient.items()}
    assert reductions == 1


def test_cancelling_on_rank_0_stops_all_ranks_at_the_same_step(many):
    found = many["cancelled"]
    assert (found["readings"], found["state"], found["again"]) == (2, "cancelled", "done")
    assert found["restored"]
    assert found["parameters"] == sum(found["blocks"].values()) == alone("float64")["size"]
    assert list(found["blocks"]) == ["embedding", "layers.0", "layers.1", "head"]
    assert found["mesh"] == {"shard": 2}


def test_a_loss_that_one_rank_finds_not_finite_fails_on_all(many):
    found = many["not_finite_nearby"]
    assert len(found["texts"]) == 2
    assert len(set(found["texts"])) == 1
    assert found["texts"][0].startswith("the loss is not finite on rank 0 at epsilon=")
    assert found["restored"]


@pytest.mark.parametrize(
    ("case", "start"),
    {
        "unsharded": "parameter 'token.weight' is not sharded on a job of 2 ranks, so its "
        "gradient would differ between them; pass the module to fully_shard (or to "
        "DistributedDataParallel) first.",
        "partly_sharded": "parameter 'token.weight' is not sharded on a job of 2 ranks",
        "other_batches": "rank 1 has other batches than rank 0; give every rank the whole data "
        "set, in the same order: each takes its own share of it.",
        "no_gradient_synchronisation": "gradient synchronisation is off in 'the module', so that "
        "ranks keep their gradients to themselves; call set_requires_gradient_sync(True) first",
        "synchronisation_switched_off_later": "gradient synchronisation is off in 'layers.0'",
        "scaled_gradients": "the gradient of ",
        "random_on_one_rank": "two passes over the same batches gave loss 1.9",
        "nan_on_one_rank": "the loss is nan and its gradient's norm nan at the given parameters "
        "(the loss is not finite on ranks 0, 1); both must be finite: check the weights and",
        "dropout_on_one_rank": "dropout is on in 'drop' (p=0.1), so each pass has another loss; "
        "call module.eval() first, or, in a training loop, ",
    }.items(),
)
def test_what_is_refused_is_refused_on_all_ranks_alike(many, case, start):
    texts = many[case]
    assert len(texts) == 2
    assert texts[0].startswith(start)
    assert texts[1] == texts[0]


def test_replicas_of_shards_are_counted_once(launched):
    found = launched(4)["hybrid"]
    expected = alone("float64")
    assert found["size"] == expected["size"]
    assert torch.equal(found["probe"], expected["probe"])
    assert found["loss"] == pytest.approx(expected["loss"], rel=1e-13)
    assert found["gradient_norm"] == pytest.approx(expected["gradient_norm"], rel=1e-12)
    assert relative(found["gradient"], expected["gradient"]) < GRADIENT
    assert relative(found["product"], expected["product"]) < PRODUCT
    assert found["norm"] == pytest.approx(float(expected["product"].norm()), rel=1e-7)
    assert found["restored"]
    surface = ShardedLoss(toys.gpt(), Reduction())
    surface.measure()
    for name, product in found["operators"].items():
        one = OPERATORS[name](surface, 1e-4).matvec(surface.space.probe(0, 0))
        assert relative(product, one.vector) < 1e-9, name
