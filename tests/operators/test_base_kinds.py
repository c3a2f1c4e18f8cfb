"""What only some operators do: orders of error, outputs and terms, subsets, limits."""

import dataclasses

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from helpers import toys
from hessview.errors import InputError, ObjectiveError
from hessview.job import memory
from hessview.job.control import Reduction
from hessview.job.loss import ShardedLoss
from hessview.job.objective import Objective
from hessview.operators import OPERATORS, exact


@pytest.mark.parametrize(
    ("name", "order"),
    [
        ("hessian", 2),
        ("hessian_one_reduction", 2),
        ("hessian_fourth_order", 4),
        ("hessian_forward", 1),
        ("gauss_newton", 2),
        ("fisher", 2),
    ],
)
def test_errors_fall_with_the_order_of_the_step(request, surface_of, relative, name, order):
    oracle = {"gauss_newton": "gpt_gauss_newton", "fisher": "gpt_fisher"}.get(name, "gpt_hessian")
    matrix = request.getfixturevalue(oracle)
    surface = surface_of(toys.gpt())
    vector = surface.space.probe(0, 0)
    steps = np.array([0.08, 0.04, 0.02])  # where truncation is all of the error in float64
    errors = [
        relative(OPERATORS[name](surface, h).matvec(vector).vector, matrix @ vector) for h in steps
    ]
    slope = np.polyfit(np.log(steps), np.log(errors), 1)[0]
    assert slope == pytest.approx(order, abs=0.15)


@pytest.mark.parametrize("name", ["gauss_newton", "fisher"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_automatic_step_of_outputs_is_near_the_best(request, surface_of, relative, name, dtype):
    matrix = request.getfixturevalue(f"gpt_{name}")
    top = torch.linalg.eigh(matrix)[1][:, -1]
    surface = surface_of(toys.gpt(dtype=dtype))
    operator = OPERATORS[name](surface, "auto")
    for vector in (surface.space.probe(0, 0), top.to(dtype).contiguous()):
        expected = matrix @ vector.double()
        product = operator.matvec(vector, measure_error=True)
        grid = [product.epsilon * 10 ** (k / 3) for k in range(-6, 7)]
        best = min(
            relative(OPERATORS[name](surface, h).matvec(vector).vector, expected) for h in grid
        )
        error = relative(product.vector, expected)
        assert error < 3.5 * best
        assert 0.3 * error < product.error < 10 * error


@pytest.mark.parametrize("name", sorted(OPERATORS))
def test_a_subset_gives_the_submatrix(request, relative, name):
    oracle = {"gauss_newton": "gpt_gauss_newton", "fisher": "gpt_fisher"}.get(name, "gpt_hessian")
    objective = toys.gpt()
    surface = ShardedLoss(objective, Reduction(), subset=("layers.1.*", "*.norm_1.bias"))
    surface.measure()
    kept = {piece.name for piece in surface.space.pieces}
    assert len(kept) == 13
    member = torch.cat(
        [
            torch.full((p.numel(),), key in kept)
            for key, p in toys.named_trainable(objective).items()
        ]
    )
    part = request.getfixturevalue(oracle)[member][:, member]
    assert surface.space.size == len(part) == 608
    assert surface.gradient_norm == pytest.approx(
        float(toys.exact_gradient(objective)[member].norm())
    )
    vector = surface.space.probe(0, 0)
    product = OPERATORS[name](surface, "auto").matvec(vector)
    assert relative(product.vector, part @ vector) < (1e-6 if name == "hessian_forward" else 1e-8)


def test_a_subset_leaves_the_gradients_of_others_alone():
    objective = toys.gpt()
    objective.module.norm.weight.grad = mark = torch.ones_like(objective.module.norm.weight)
    surface = ShardedLoss(objective, Reduction(), subset=("layers.0.*",))
    surface.measure()
    assert objective.module.norm.weight.grad is mark
    assert mark.tolist() == [1.0] * toys.WIDTH
    assert objective.module.token.weight.grad is None


@pytest.mark.parametrize("name", ["gauss_newton", "fisher"])
def test_outputs_and_terms_are_asked_for(surface_of, name):
    surface = surface_of(dataclasses.replace(toys.gpt(), terms=None))
    with pytest.raises(
        ObjectiveError,
        match=r"works on a model's outputs and the loss's terms, which the objective does not "
        r"give; pass Objective\(\.\.\., outputs=\.\.\., terms=\.\.\.\)",
    ):
        OPERATORS[name](surface, "auto").matvec(surface.space.probe(0, 0))


@pytest.mark.parametrize("name", ["gauss_newton", "fisher"])
def test_terms_must_sum_to_the_loss(surface_of, name):
    def mean(z, batch):
        return toys.token_terms(z, batch) / 2

    surface = surface_of(dataclasses.replace(toys.gpt(), terms=mean))
    with pytest.raises(
        ObjectiveError, match=r"the terms sum to .* per unit of weight, but the loss is .* must sum"
    ):
        OPERATORS[name](surface, "auto").matvec(surface.space.probe(0, 0))


def test_gauss_newton_of_squares_is_twice_the_gram_matrix(surface_of, relative):
    inputs, targets = toys.numbers(23, 6), toys.numbers(23, seed=1)
    objective = dataclasses.replace(
        toys.linear_regression(inputs, targets),
        outputs=lambda module, batch: module(batch[0])[:, 0],
        terms=lambda z, batch: (z - batch[1]).square(),
    )
    surface = surface_of(objective)
    vector = surface.space.probe(0, 0)
    product = OPERATORS["gauss_newton"](surface, "auto").matvec(vector)
    assert relative(product.vector, 2 * inputs.T @ inputs @ vector / 23) < 1e-10


def test_terms_that_are_linear_in_the_outputs_have_no_gauss_newton_curvature(surface_of):
    objective = Objective(
        toys.Point(toys.numbers(4)),
        lambda module, _: module().square().sum(),
        [None],
        outputs=lambda module, _: module().square(),
        terms=lambda z, _: z,
    )
    surface = surface_of(objective)
    product = OPERATORS["gauss_newton"](surface, "auto").matvec(surface.space.probe(0, 0))
    assert product.vector.tolist() == [0] * 4
    assert product.norm == 0


def test_exact_products_have_no_step(surface_of):
    surface = surface_of(toys.gpt())
    operator = OPERATORS["exact"](surface, 0.1)
    product = operator.matvec(surface.space.probe(0, 0))
    assert all(np.isnan([product.epsilon, product.rho, product.error]))
    assert product.gradients > 3 + 4  # it was held against a difference
    assert operator.matvec(surface.space.probe(0, 1)).gradients == 3


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_exact_products_tell_their_rounding(surface_of, gpt_hessian, relative, dtype):
    surface = surface_of(toys.gpt(dtype=dtype))
    operator = OPERATORS["exact"](surface, "auto")
    for index in range(3):
        vector = surface.space.probe(0, index)
        product = operator.matvec(vector, measure_error=True)
        error = relative(product.vector, gpt_hessian @ vector.double())
        # In float64 the oracle, which sums in another order, is rounded as much.
        assert 0.2 * error < product.error < 10 * error
        assert torch.finfo(dtype).eps <= product.error < 1e5 * torch.finfo(dtype).eps


class Hidden(torch.autograd.Function):
    """x^3, whose backward is right, and hides from autograd that it depends on x."""

    @staticmethod
    def forward(ctx, x, how):
        ctx.save_for_backward(x)
        ctx.how = how
        return x**3

    @staticmethod
    def backward(ctx, slope):
        (x,) = ctx.saved_tensors
        if ctx.how == "detaches":
            return slope * 3 * x.detach() ** 2, None
        if ctx.how == "a part":  # of 5 %, to see that a small share is found as well
            return slope * (2.85 * x**2 + 0.15 * x.detach() ** 2), None
        return torch.from_numpy(slope.detach().numpy() * 3 * x.detach().numpy() ** 2), None


def with_hidden(how, dtype=torch.float32):
    torch.manual_seed(0)
    module = nn.ModuleList([nn.Linear(3, 4), nn.Linear(4, 2)]).to(dtype)
    inputs, labels = toys.numbers(12, 3), torch.arange(12) % 2

    def loss(module, _):
        x = module[0](inputs.to(module[0].weight.dtype))
        x = Hidden.apply(x, how) if how else x**3
        return F.cross_entropy(module[1](x), labels)

    return Objective(module, loss, [None])


@pytest.mark.parametrize("how", ["detaches", "numpy", "a part"])
def test_what_autograd_does_not_see_contradicts_a_difference(surface_of, how):
    surface = surface_of(with_hidden(how))
    with pytest.raises(
        ObjectiveError,
        match=r"double backward differs by \d+% from a difference of gradients that is right to "
        r"\S+: a kernel's backward hides from autograd \(it detaches, or leaves torch\); use "
        r'operator="hessian"\.',
    ):
        OPERATORS["exact"](surface, "auto").matvec(surface.space.probe(0, 0))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_what_autograd_sees_does_not(surface_of, relative, dtype):
    surface = surface_of(with_hidden("", dtype))
    vector = surface.space.probe(0, 0)
    product = OPERATORS["exact"](surface, "auto").matvec(vector)
    assert (
        relative(product.vector, toys.exact_product(with_hidden("", torch.float64), vector)) < 1e-5
    )


@pytest.mark.parametrize("seed", range(12))
def test_kinks_contradict_nothing(surface_of, seed):
    # Differences hold jumps of the gradient, exact products do not, and neither is to blame.
    torch.manual_seed(seed)
    module = nn.Sequential(
        nn.Linear(6, 24), nn.ReLU(), nn.Linear(24, 24), nn.ReLU(), nn.Linear(24, 3)
    )
    inputs, labels = toys.numbers(200, 6).float(), torch.arange(200) % 3
    objective = Objective(module, lambda m, _: F.cross_entropy(m(inputs), labels), [None])
    surface = surface_of(objective)
    OPERATORS["exact"](surface, "auto").matvec(surface.space.probe(seed, 0))


def test_exact_is_refused_for_large_models(surface_of, monkeypatch):
    monkeypatch.setattr(exact, "LARGEST", 1000)
    surface = surface_of(toys.gpt())
    with pytest.raises(
        InputError,
        match=r"operator 'exact' gathers all 1,408 parameters on each rank; it allows up to 1,000: "
        r'use operator="hessian", and measure its error',
    ):
        OPERATORS["exact"](surface, "auto")


@pytest.mark.parametrize("name", ["exact", "hessian_one_reduction"])
def test_what_does_not_fit_into_memory_is_refused(surface_of, monkeypatch, name):
    surface = surface_of(toys.gpt())
    monkeypatch.setattr(memory, "free_memory", lambda *_: 10)
    with pytest.raises(InputError, match=rf"'{name}' .* on each rank, [\d.]+ KiB, and 10 B are fr"):
        OPERATORS[name](surface, "auto")


def test_exact_is_refused_under_tensor_parallelism(surface_of):
    surface = surface_of(toys.gpt())
    surface._copies = 2  # as if two ranks shared each batch
    with pytest.raises(ObjectiveError, match="not right where ranks compute activations together"):
        OPERATORS["exact"](surface, "auto").matvec(surface.space.probe(0, 0))


class Attention(nn.Module):
    """Fused attention, which has no second derivative but in its mathematical form."""

    def __init__(self, kernel=F.scaled_dot_product_attention):
        super().__init__()
        self.qkv = nn.Linear(8, 24)
        self.kernel = kernel

    def forward(self, x):
        q, k, v = (t.unflatten(-1, (2, 4)).transpose(1, 2) for t in self.qkv(x).chunk(3, -1))
        return self.kernel(q, k, v).sum((1, 3))


class NotTwice(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.square()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, slope):
        return 2 * ctx.saved_tensors[0] * slope


def attention(**options):
    torch.manual_seed(0)
    module = Attention(**options).double().eval()
    batch = toys.numbers(3, 5, 8)
    return Objective(module, lambda module, x: module(x).square().mean(), [batch])


def test_fused_attention_is_differentiated_twice_in_its_mathematical_form(surface_of, relative):
    surface = surface_of(attention())
    vector = surface.space.probe(0, 0)
    product = OPERATORS["exact"](surface, "auto").matvec(vector)
    assert relative(product.vector, OPERATORS["hessian"](surface).matvec(vector).vector) < 1e-8


@pytest.mark.parametrize(
    "kernel",
    [
        lambda q, k, v: NotTwice.apply(q) + k + v,  # the gradient that comes in depends on x
        lambda q, k, v: NotTwice.apply(q + k + v),
    ],
)
def test_what_cannot_be_differentiated_twice_is_told(surface_of, kernel):
    surface = surface_of(attention(kernel=kernel))
    with pytest.raises(
        ObjectiveError,
        match=r"the loss cannot be differentiated twice \(.*once_differentiable.*\); use kernels "
        r'that can, such as attn_implementation="eager", or operator="hessian"',
    ):
        OPERATORS["exact"](surface, "auto").matvec(surface.space.probe(0, 0))
    # Which does work.
    OPERATORS["hessian"](surface, "auto").matvec(surface.space.probe(0, 0))


@pytest.mark.parametrize(
    "normalise", [nn.utils.parametrizations.weight_norm, nn.utils.weight_norm], ids=["new", "old"]
)
@pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm` is deprecated")
def test_weight_normalisation_has_no_exact_products(surface_of, normalise):
    # torch.autograd.gradgradcheck says so, too.
    module = normalise(nn.Linear(3, 2, dtype=torch.float64))
    objective = Objective(module, lambda module, x: module(x).pow(4).sum(), [toys.numbers(5, 3)])
    surface = surface_of(objective)
    with pytest.raises(ObjectiveError, match=r"weight normalisation, in '.*', is wrong; use"):
        OPERATORS["exact"](surface, "auto").matvec(surface.space.probe(0, 0))
    assert OPERATORS["hessian"](surface, "auto").matvec(surface.space.probe(0, 0)).norm > 0


def test_a_module_that_casts_to_float32_itself_ends_no_job(surface_of):
    objective = toys.gpt(dtype=torch.float32)
    objective.module.head.register_forward_pre_hook(lambda _, inputs: (inputs[0].float(),))
    surface = surface_of(objective)
    with pytest.raises(ObjectiveError, match=r"the module does not run in torch.float64 on gather"):
        surface.double_backward(surface.space.zeros().double(), surface.space.probe(0, 0).double())


def test_terms_that_cannot_be_differentiated_twice_are_told(surface_of):
    objective = Objective(
        toys.Point(toys.numbers(4)),
        lambda module, _: module().square().sum(),
        [None],
        outputs=lambda module, _: module() * 1,
        terms=lambda z, _: NotTwice.apply(z),
    )
    surface = surface_of(objective)
    with pytest.raises(
        ObjectiveError, match=r"the loss cannot be differentiated twice \(.*once_differentiable"
    ):
        OPERATORS["gauss_newton"](surface, "auto").matvec(surface.space.probe(0, 0))
    # Fisher takes one derivative only: sum_i (2 x_i)^2 v_i.
    product = OPERATORS["fisher"](surface, "auto").matvec(surface.space.probe(0, 0))
    x = objective.module.x.detach()
    expected = 4 * x.square() * surface.space.probe(0, 0)
    torch.testing.assert_close(product.vector, expected, rtol=1e-8, atol=0)


def test_bfloat16_parameters_are_widened_for_the_exact_product(surface_of, relative):
    objective = toys.gpt(dtype=torch.bfloat16)
    surface = surface_of(objective)
    vector = surface.space.probe(0, 0)
    wide = dataclasses.replace(objective, module=objective.module)
    product = OPERATORS["exact"](surface, "auto").matvec(vector)
    assert product.vector.dtype == torch.float32
    wide.module.double()
    assert relative(product.vector, toys.exact_product(wide, vector)) < 1e-5


def test_inference_mode_is_refused():
    from hessview.job.checks import check_mode

    with torch.inference_mode():
        made = nn.Linear(2, 2)
        with pytest.raises(ObjectiveError, match="inference_mode is on, under which nothing can"):
            check_mode(nn.Linear(2, 2))
    with pytest.raises(ObjectiveError, match=r"parameter 'weight' cannot be moved: it was made"):
        check_mode(made)


class NarrowNorm(nn.Module):
    """Computes in float32 whatever comes in, as transformers' RMSNorm does."""

    def forward(self, x):
        narrow = x.float()
        return (narrow * torch.rsqrt(narrow.square().mean(-1, keepdim=True) + 1e-6)).to(x.dtype)


def test_a_float32_floor_in_a_float64_model_is_seen_and_stepped_over(surface_of, relative):
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), NarrowNorm(), nn.Linear(16, 1)).double()
    inputs = toys.numbers(40, 6)
    surface = surface_of(
        Objective(module.eval(), lambda module, x: module(x).square().mean(), [inputs])
    )
    vector = surface.space.probe(0, 0)
    exact_product = OPERATORS["exact"](surface, "auto").matvec(vector).vector
    # The step that float64 would have: noise of float32 is nearly all of the difference.
    naive = OPERATORS["hessian"](surface, 1e-5).matvec(vector, measure_error=True)
    assert relative(naive.vector, exact_product) > 1e-3
    assert naive.error > 1e-3
    product = OPERATORS["hessian"](surface, "auto").matvec(vector, measure_error=True)
    error = relative(product.vector, exact_product)
    assert error < 2e-4
    assert 0.3 * error < product.error < 1e-3
