"""What does not train is held constant; what changes gradients on their way is set aside."""

import dataclasses
import functools
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import prune

import hessview
from helpers import toys
from helpers.frozen import ROW, TOKENS, Frozen, frozen, next_token, padded
from hessview.errors import ObjectiveError
from hessview.job.control import Reduction
from hessview.job.loss import ShardedLoss
from hessview.job.objective import Objective
from hessview.job.untrained import without_gradient
from hessview.operators import OPERATORS
from hessview.spectral.vectors import Piece, Space

ORACLES = {"gauss_newton": toys.dense_gauss_newton, "fisher": toys.dense_fisher}
CLOSE = dict.fromkeys(OPERATORS, 1e-8) | {"hessian_forward": 1e-6, "exact": 1e-12}


@pytest.fixture
def relative():
    """|found - expected| / |expected|."""

    def error(found, expected):
        return float((found - expected).norm() / expected.norm())

    return error


def measured(objective, held=None):
    surface = ShardedLoss(objective, Reduction(), held=held)
    surface.measure()
    return surface


@functools.cache
def dense(name, tied):
    """The matrix of an operator where the row is free."""
    return ORACLES.get(name, toys.dense_hessian)(toys.gpt(tied=tied))


def free_of(objective, surface):
    """Which elements of the flat vector are dimensions of the surface's space."""
    flat = torch.ones(sum(p.numel() for p in toys.named_trainable(objective).values()))
    return surface.space.hold(flat).bool()


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("name", sorted(OPERATORS))
def test_a_padding_row_is_held_constant(relative, name, tied):
    whole = dense(name if name in ORACLES else "hessian", tied)
    surface = measured(padded(tied=tied))
    free = free_of(toys.gpt(tied=tied), surface)
    assert surface.space.size == len(whole) - toys.WIDTH == int(free.sum())
    part = whole[free][:, free]
    operator = OPERATORS[name](surface, "auto")
    for index in range(2):
        vector = surface.space.probe(0, index)
        assert not vector[~free].any()
        product = operator.matvec(vector)
        assert not product.vector[~free].any()
        assert relative(product.vector[free], part @ vector[free]) < CLOSE[name]
        # The row does matter: with it in the displacement, and out of the gradient, all is off.
        assert relative(
            (whole @ torch.ones_like(vector))[free], part @ torch.ones(len(part)).double()
        )
        vector = product.vector / product.norm


def test_the_row_that_is_held_does_matter(relative):
    whole = dense("hessian", True)
    surface = measured(padded(tied=True))
    free = free_of(toys.gpt(), surface)
    probe = measured(toys.gpt()).space.probe(0, 0)
    assert relative((whole @ (probe * free))[free], (whole @ probe)[free]) > 0.05


def test_probes_keep_the_signs_of_all_other_elements():
    with_row, without = measured(toys.gpt()).space, measured(padded(tied=True)).space
    free = free_of(toys.gpt(), measured(padded(tied=True)))
    old, new = with_row.probe(3, 1), without.probe(3, 1)
    assert torch.equal(old.sign()[free], new.sign()[free])
    assert float(without.squares(new)) == pytest.approx(1, abs=1e-14)
    assert float(new.abs().max()) == pytest.approx(1 / math.sqrt(without.size))


@pytest.mark.parametrize(("axis", "cut"), [(0, 3), (0, 6), (1, 3)])
def test_any_sharding_holds_the_same_elements(axis, cut):
    from hessview.job.untrained import positions

    shape, rows = (8, 5), (1, 6)
    full = Piece(name="w", full_shape=shape, shape=shape, offset=(0, 0), held=10)
    whole = Space([full], held={"w": positions(full, rows)}).probe(0, 0).view(shape)
    assert (whole == 0).nonzero()[:, 0].unique().tolist() == [1, 6]
    drawn = []
    for start, stop in ((0, cut), (cut, shape[axis])):
        box, offset = list(shape), [0, 0]
        box[axis], offset[axis] = stop - start, start
        piece = dataclasses.replace(full, shape=tuple(box), offset=tuple(offset))
        space = Space([piece], held={"w": positions(piece, rows)})
        assert space.size == 30
        drawn.append(space.probe(0, 0).view(box))
    assert torch.equal(torch.cat(drawn, dim=axis), whole)


def test_the_trace_is_that_of_what_trains():
    objective = padded(tied=False)
    with hessview.local(objective) as session:
        ds = session.density(steps=1, probes=40, error_every=0).wait(120)
    surface = measured(objective)
    free = free_of(objective, surface)
    diagonal = dense("hessian", False).diagonal()[free]
    assert ds.attrs["parameters"] == len(diagonal)
    samples = ds.alpha.values[:, 0] * len(diagonal)
    error = samples.std(ddof=1) / math.sqrt(len(samples))
    assert abs(samples.mean() - float(diagonal.sum())) < 4 * error
    assert ds.attrs["held_constant"] == f"token.weight: row {ROW} is held constant (padding_idx)"


def test_blocks_count_what_trains():
    with hessview.local(padded(tied=False)) as session:
        ds = session.density(steps=2, probes=1).wait(60)
    assert (
        ds.attrs["parameters"]
        == sum(p.numel() for p in toys.gpt(tied=False).module.parameters()) - toys.WIDTH
    )


@pytest.mark.parametrize("how", ["rows", "columns", "a mask", "all", "functional", "a hook"])
def test_what_is_frozen_by_hand_is_found_and_held_constant(relative, how):
    objective = frozen(how)
    found = without_gradient(measured(objective))
    surface = measured(objective, found)
    marks = torch.cat([m.flatten() for m in objective.module.held().values()])
    free = free_of(objective, surface)
    assert bool((~free)[marks].all())
    matrix = toys.dense_hessian(frozen("nothing"))
    # Beside it, elements on which nothing depends may be held, without a difference to numbers.
    assert not matrix[~free & ~marks].any()
    part = matrix[free][:, free]
    vector = surface.space.probe(0, 0)
    for name in ("hessian", "exact"):
        product = OPERATORS[name](surface, "auto").matvec(vector)
        assert relative(product.vector[free], part @ vector[free]) < CLOSE[name], name
    (name,) = {name for name, mark in objective.module.held().items() if mark.any()}
    assert f"{name}: " in surface.untrained()["held_constant"]
    assert (
        "the loss depends on such, but they receive no gradient"
        in surface.untrained()["held_constant"]
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_it_is_found_in_narrower_types_too(dtype):
    found = without_gradient(measured(frozen("rows", dtype)))
    assert found["layer.weight"].total == 18


class Adapter(nn.Module):
    """Low-rank adapters as they begin: the second factor is zero, so the first gets no gradient."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.base, self.down = nn.Linear(6, 5), nn.Linear(6, 2, bias=False)
        self.up, self.gain = nn.Linear(2, 5, bias=False), nn.Parameter(torch.zeros(()))
        nn.init.zeros_(self.up.weight)
        self.branch = nn.Linear(5, 5)

    def forward(self, x):
        x = torch.tanh(self.base(x) + self.up(self.down(x)))
        return x + self.gain * self.branch(x)


class Rectified(nn.Module):
    """Units that are off for all data, one of them only just, and a parameter nobody reads."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.last = nn.Linear(6, 8), nn.Linear(8, 3)
        self.unread = nn.Parameter(torch.ones(4))
        with torch.no_grad():
            self.first.bias[:3] = -50.0
            self.first.weight[3] = 0.0
            self.first.bias[3] = -1e-4

    def forward(self, x):
        return self.last(torch.relu(self.first(x)))


@pytest.mark.parametrize(
    "module",
    [
        Adapter,
        Rectified,
        lambda: prune.random_unstructured(nn.Linear(6, 3), "weight", 0.5),
    ],
)
def test_nothing_is_held_that_merely_has_no_gradient_here(module):
    module = module().double()
    inputs = toys.numbers(20, 6)
    objective = Objective(module, lambda module, _: module(inputs).square().mean(), [None])
    surface = measured(objective)
    gradient = surface.space.zeros()
    surface.gradient(gradient)
    assert (gradient == 0).any()
    assert without_gradient(surface) == {}
    matrix, vector = toys.dense_hessian(objective), surface.space.probe(0, 0)
    product = OPERATORS["exact"](surface, "auto").matvec(vector)
    torch.testing.assert_close(product.vector, matrix @ vector, rtol=1e-10, atol=1e-12)


def test_rows_of_unseen_tokens_are_no_reason_to_hold_any():
    objective = frozen("nothing")  # tokens 7 and 8 are never seen
    assert without_gradient(measured(objective)) == {}
    assert measured(objective).untrained() == {}


def test_a_job_finds_it_and_says_so_in_every_run():
    objective = frozen("rows")
    with hessview.local(objective) as session:
        runs = [
            session.density(steps=3, probes=1).wait(60),
            session.density(steps=3, probes=1, subset=("layer.*",)).wait(60),
        ]
    for ds in runs:
        assert "layer.weight: 18 of 42 elements are held constant" in ds.attrs["held_constant"]
    assert runs[1].attrs["parameters"] == 7 * 6 + 7 - 18


def scale(_, slopes, __=None):
    return tuple(None if slope is None else 0.1 * slope for slope in slopes)


MEDDLING = {
    "a module's hook": lambda m: m.layer.register_full_backward_hook(lambda *a: scale(*a[:2])),
    "a module's hook before": lambda m: m.layer.register_full_backward_pre_hook(scale),
    "a parameter's mask": lambda m: m.head.weight.register_hook(lambda g: g * (g > 0)),
    "a hook after": lambda m: m.head.weight.register_post_accumulate_grad_hook(
        lambda p: setattr(p, "grad", 0.1 * p.grad)
    ),
    "frequencies": lambda m: setattr(m.token, "scale_grad_by_freq", True),
}


class Plain(Frozen):
    def forward(self, ids):
        return self.head(torch.tanh(self.layer(self.token(ids))))


@pytest.mark.parametrize("how", MEDDLING)
def test_what_changes_gradients_is_set_aside_and_named(relative, how):
    clean = Objective(Plain("nothing").double(), next_token, [TOKENS])
    objective = Objective(Plain("nothing").double(), next_token, [TOKENS])
    MEDDLING[how](objective.module)
    matrix = toys.dense_hessian(clean)
    surface = measured(objective)
    vector = surface.space.probe(0, 0)
    for name in ("hessian", "hessian_one_reduction", "exact"):
        product = OPERATORS[name](surface, "auto").matvec(vector)
        assert relative(product.vector, matrix @ vector) < 1e-8, name
    note = surface.untrained()["gradients_as_of_the_loss"]
    assert note.startswith("hooks and factors that may change the gradients of ")
    assert note.endswith(" are set aside")
    # It is there again afterwards.
    grads = []
    for each in (clean, objective):
        total, _ = each.loss(each.module, TOKENS)
        total.backward()
        read = [p.grad for p in each.module.parameters() if p.grad is not None]
        grads.append(torch.cat([gradient.flatten() for gradient in read]))
    assert relative(grads[1], grads[0]) > 0.01


def test_an_embedding_that_moves_when_it_is_read_is_refused():
    module = Plain("nothing")
    module.token.max_norm = 1.0
    with pytest.raises(
        ObjectiveError,
        match=r"embedding 'token' shortens its rows to max_norm=1 when they are read, which moves "
        r"the parameters and which no gradient sees; set max_norm=None",
    ):
        ShardedLoss(Objective(module, next_token, [TOKENS]), Reduction())
    module.token.weight.requires_grad_(False)
    module.token.max_norm = 1.0
    ShardedLoss(Objective(module, next_token, [TOKENS]), Reduction())  # one that is not moved


def test_a_bag_of_embeddings_has_padding_rows_too(relative):
    def bags(padding):
        torch.manual_seed(0)
        return nn.Sequential(nn.EmbeddingBag(7, 4, padding_idx=padding), nn.Linear(4, 3)).double()

    def loss(module, _):
        return F.cross_entropy(module(TOKENS), torch.arange(4) % 3)

    surface = measured(Objective(bags(2), loss, [None]))
    assert surface.space.size == 7 * 4 - 4 + 15
    vector = surface.space.probe(0, 0)
    product = OPERATORS["hessian"](surface, "auto").matvec(vector)

    def spelled_out(module, _):
        keep = (TOKENS != 2)[..., None]
        mean = (F.embedding(TOKENS, module[0].weight) * keep).sum(1) / keep.sum(1)
        return F.cross_entropy(module[1](mean), torch.arange(4) % 3)

    exact = toys.exact_product(Objective(bags(2), spelled_out, [None]), vector)
    assert relative(product.vector, exact) < 1e-8


EPSILON = 1e-4  # as in ranks/untrained.py


@pytest.fixture(scope="module")
def two_ranks(torchrun):
    return torchrun("untrained", 2)


@pytest.mark.ranks
@pytest.mark.timeout(400)
@pytest.mark.parametrize("how", ["by_rows", "by_columns", "replicated"])
@pytest.mark.parametrize("which", ["padded", "frozen"])
def test_two_ranks_hold_what_one_does(two_ranks, relative, which, how):
    found = two_ranks[which, how]
    objective = padded(tied=True) if which == "padded" else frozen("rows")
    surface = measured(objective)
    surface = measured(objective, without_gradient(surface))
    assert found["size"] == surface.space.size
    assert found["notes"] == surface.untrained()
    probe = surface.space.probe(0, 0)
    assert torch.equal(found["probe"], probe)
    for name in found.keys() & OPERATORS.keys():
        product = OPERATORS[name](surface, EPSILON).matvec(probe)
        assert relative(found[name], product.vector) < 1e-10, name
