"""Objectives small enough that their curvature is known, densely or in closed form."""

import copy
import functools
import math

import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call

from hessview.job.objective import Objective

VOCABULARY, WIDTH, HEADS, LENGTH = 16, 8, 2, 8


def numbers(*shape, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, dtype=torch.float64, generator=generator).to(dtype)


class Point(nn.Module):
    """A point in space; its loss is whatever the objective says."""

    def __init__(self, at):
        super().__init__()
        self.x = nn.Parameter(at.clone())

    def forward(self):
        return self.x


def quadratic(matrix, at, *, slope=None):
    """0.5 x'Ax + b'x at a point."""

    def loss(module, batch):
        x = module()
        value = 0.5 * x @ matrix.to(x) @ x
        return value if slope is None else value + slope.to(x) @ x

    return Objective(Point(at), loss, [None])


class Form(Point):
    """A point, and the one direction that has curvature."""

    direction = None


def quadratic_form(at, curvature=5.0):
    """Half the curvature times the squared distance that a point has moved along a direction."""
    home = at.double()

    def loss(module, _):
        x = module().double() - home
        along = x if module.direction is None else x @ module.direction
        return 0.5 * curvature * along.square().sum() + 0.1 * x.sum() / len(home)

    return Objective(Form(at), loss, [None])


def linear_regression(inputs, targets, *, batches=3, dtype=torch.float64):
    """Mean of squared residuals; the Hessian is 2 X'X / N (beside a frozen intercept of 0)."""
    module = nn.Linear(inputs.shape[1], 1, dtype=dtype)
    with torch.no_grad():
        module.weight.copy_(numbers(*module.weight.shape, seed=9))
        module.bias.zero_()
    module.bias.requires_grad_(False)

    def loss(module, batch):
        rows, values = batch
        return (module(rows)[:, 0] - values).square().sum(), len(rows)

    pairs = zip(
        inputs.to(dtype).tensor_split(batches), targets.to(dtype).tensor_split(batches), strict=True
    )
    return Objective(module, loss, list(pairs))


def softmax_regression(inputs, labels, classes, *, batches=2, dtype=torch.float64):
    """Mean cross entropy of a linear classifier without intercept."""
    module = nn.Linear(inputs.shape[1], classes, bias=False, dtype=dtype)
    with torch.no_grad():
        module.weight.copy_(numbers(*module.weight.shape, seed=9))

    def loss(module, batch):
        rows, classes = batch
        return F.cross_entropy(module(rows), classes, reduction="sum"), len(rows)

    pairs = zip(inputs.to(dtype).tensor_split(batches), labels.tensor_split(batches), strict=True)
    return Objective(module, loss, list(pairs))


class Layer(nn.Module):
    """A pre-norm transformer layer with eager attention, which can be differentiated twice."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.norm_1, self.norm_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x):
        q, k, v = self.qkv(self.norm_1(x)).chunk(3, dim=-1)
        q, k, v = (t.unflatten(-1, (self.heads, -1)).transpose(1, 2) for t in (q, k, v))
        scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
        future = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1)
        mixed = scores.masked_fill(future, -math.inf).softmax(-1) @ v
        x = x + self.out(mixed.transpose(1, 2).flatten(-2))
        return x + self.down(F.gelu(self.up(self.norm_2(x))))


class Gpt(nn.Module):
    """A GPT in small; `tied` shares embedding and head."""

    def __init__(self, *, tied=True, width=WIDTH, layers=2, vocabulary=VOCABULARY, length=LENGTH):
        super().__init__()
        self.token = nn.Embedding(vocabulary, width)
        self.place = nn.Embedding(length, width)
        self.layers = nn.ModuleList(Layer(width, HEADS) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, vocabulary, bias=False)
        if tied:
            self.head.weight = self.token.weight
        self.register_buffer("passes", torch.zeros(3))

    def forward(self, ids):
        x = self.token(ids) + self.place.weight[: ids.shape[1]]
        for layer in self.layers:
            x = layer(x)
        return self.head(self.norm(x))


def token_loss(module, ids):
    """Summed cross entropy of the next tokens that are not padding (token 0), and their count."""
    return token_terms(module(ids), ids).sum(), int((ids[:, 1:] != 0).sum())


def token_terms(logits, ids):
    """Cross entropy of each next token, 0 for padding."""
    wide = logits if logits.dtype == torch.float64 else logits.float()
    targets = ids[:, 1:].flatten()
    flat = wide[:, :-1].flatten(0, 1)
    return F.cross_entropy(flat, targets, reduction="none", ignore_index=0)


def sequences(count=3, *, length=LENGTH, vocabulary=VOCABULARY, seed=3):
    """Batches of two sequences of noisy counting; the batches hold unequal numbers of terms."""
    generator = torch.Generator().manual_seed(seed)
    batches = []
    for index in range(count):
        start = torch.randint(vocabulary, (2, 1), generator=generator)
        ids = (start + torch.arange(length) * (1 + index % 3)) % vocabulary
        ids[:, length - 2 * (index % 3) :] = 0
        batches.append(ids)
    return batches


def gpt(*, tied=True, dtype=torch.float64, steps=20, count=3, seed=0, **shape):
    """A small GPT, trained for some steps, as an objective; a new one, but the same, each time."""
    module, batches = _trained(tied, steps, count, seed, **shape)
    module = copy.deepcopy(module).to(dtype).eval()
    return Objective(
        module,
        token_loss,
        [ids.clone() for ids in batches],
        outputs=lambda module, ids: module(ids),
        terms=token_terms,
    )


@functools.cache
def _trained(tied, steps, count, seed, **shape):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = Gpt(tied=tied, **shape).double()
    sizes = {key: shape[key] for key in ("length", "vocabulary") if key in shape}
    batches = sequences(count, **sizes)
    optimizer = torch.optim.Adam(module.parameters(), 1e-2)
    for step in range(steps):
        total, weight = token_loss(module, batches[step % count])
        (total / weight).backward()
        optimizer.step()
        optimizer.zero_grad()
    return module, batches


def mean_loss(objective, parameters):
    """The objective's loss at other parameters, by name, in one process."""
    module = Called(objective)
    return functional_call(module, {f"module.{k}": v for k, v in parameters.items()}, ())


class Called(nn.Module):
    """The whole mean loss as a module's forward, for functional_call."""

    def __init__(self, objective):
        super().__init__()
        self.module = objective.module
        self._objective = [objective]

    def forward(self):
        total, weight = 0.0, 0.0
        for batch in self._objective[0].batches:
            result = self._objective[0].loss(self.module, batch)
            one = result if isinstance(result, tuple) else (result, 1.0)
            total, weight = total + one[0], weight + one[1]
        return total / weight


def named_trainable(objective):
    return {k: p.detach() for k, p in objective.module.named_parameters() if p.requires_grad}


def gradient_function(objective):
    """The flat gradient as a differentiable function of the flat parameters; and these."""
    parameters = named_trainable(objective)
    shapes = [p.shape for p in parameters.values()]

    def value(flat):
        parts = torch.split(flat, [shape.numel() for shape in shapes])
        parts = [part.view(shape) for part, shape in zip(parts, shapes, strict=True)]
        return mean_loss(objective, dict(zip(parameters, parts, strict=True)))

    return value, torch.cat([p.flatten() for p in parameters.values()])


def exact_gradient(objective):
    value, flat = gradient_function(objective)
    flat.requires_grad_()
    return torch.autograd.grad(value(flat), flat)[0]


def exact_product(objective, vector):
    """Hv by double backward."""
    value, flat = gradient_function(objective)
    flat.requires_grad_()
    (gradient,) = torch.autograd.grad(value(flat), flat, create_graph=True)
    return torch.autograd.grad(gradient @ vector.to(gradient), flat)[0]


def dense_hessian(objective):
    """The Hessian by double backward, reverse over reverse.

    Not by torch.func.hessian: its forward mode over LayerNorm is wrong in torch 2.13.
    """
    value, flat = gradient_function(objective)
    return torch.autograd.functional.hessian(value, flat, vectorize=True)


def dense_gauss_newton(objective):
    """J^T H_z J / weight from the explicit Jacobian of the outputs."""
    result, weight = 0.0, 0.0
    for jacobian, outputs, batch in _jacobians(objective):
        curvature = torch.autograd.functional.hessian(
            lambda z, batch=batch: objective.terms(z, batch).sum(), outputs
        ).reshape(outputs.numel(), -1)
        result = result + jacobian.T @ curvature @ jacobian
        weight += objective.loss(objective.module, batch)[1]
    return result / weight


def dense_fisher(objective):
    """The sum of each term's gradient times itself, over the weight."""
    result, weight = 0.0, 0.0
    for jacobian, outputs, batch in _jacobians(objective):
        slopes = torch.autograd.functional.jacobian(
            lambda z, batch=batch: objective.terms(z, batch), outputs
        )
        gradients = slopes.flatten(1) @ jacobian
        result = result + gradients.T @ gradients
        weight += objective.loss(objective.module, batch)[1]
    return result / weight


def _jacobians(objective):
    parameters = named_trainable(objective)
    flat = torch.cat([p.flatten() for p in parameters.values()])
    shapes = [p.shape for p in parameters.values()]
    for batch in objective.batches:

        def outputs(flat, batch=batch):
            parts = torch.split(flat, [shape.numel() for shape in shapes])
            parts = [part.view(shape) for part, shape in zip(parts, shapes, strict=True)]
            named = dict(zip(parameters, parts, strict=True))
            return functional_call(objective.module, named, (batch,))

        jacobian = torch.autograd.functional.jacobian(outputs, flat)
        yield jacobian.flatten(0, -2), outputs(flat).detach(), batch
