"""A small transformer that can be spread over ranks in every way, and its dense derivatives."""

import torch
import torch.distributed._functional_collectives as collectives
import torch.nn.functional as F
from torch import nn
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, Replicate, Shard, distribute_tensor
from torch.distributed.tensor.parallel import (
    ColwiseParallel,
    PrepareModuleInput,
    RowwiseParallel,
    SequenceParallel,
    parallelize_module,
)

from hessview.spectral.vectors import Piece, Space

VOCABULARY, WIDTH, HEADS, EXPERTS = 13, 8, 4, 4


class Attention(nn.Module):
    """Causal; over `context`, ranks hold parts of the sequence and gather keys and values."""

    context = None

    def __init__(self):
        super().__init__()
        self.q, self.k, self.v, self.o = (nn.Linear(WIDTH, WIDTH) for _ in range(4))

    def forward(self, x):
        def heads(y):
            return y.view(len(x), -1, y.shape[-1] // (WIDTH // HEADS), WIDTH // HEADS).transpose(
                1, 2
            )

        q, k, v, first = self.q(x), self.k(x), self.v(x), 0
        length = q.shape[1]
        if self.context is not None:
            first = self.context.get_local_rank() * length
            group = self.context.get_group()
            k = collectives.all_gather_tensor_autograd(k, 1, group)
            v = collectives.all_gather_tensor_autograd(v, 1, group)
        places = torch.arange(first, first + length)
        seen = torch.arange(k.shape[1]) <= places[:, None]
        scores = heads(q) @ heads(k).transpose(-1, -2) / (WIDTH // HEADS) ** 0.5
        mixed = scores.masked_fill(~seen, -torch.inf).softmax(-1) @ heads(v)
        return self.o(mixed.transpose(1, 2).flatten(-2))


class Mlp(nn.Module):
    def __init__(self):
        super().__init__()
        self.up, self.down = nn.Linear(WIDTH, 12), nn.Linear(12, WIDTH)

    def forward(self, x):
        return self.down(F.silu(self.up(x)))


class Experts(nn.Module):
    """Every expert sees every token; over `ranks`, each rank holds some of the experts."""

    ranks = None

    def __init__(self):
        super().__init__()
        self.up = nn.Parameter(torch.randn(EXPERTS, WIDTH, 5) * 0.3)
        self.down = nn.Parameter(torch.randn(EXPERTS, 5, WIDTH) * 0.3)

    def forward(self, tokens, shares):
        up, down = self.up, self.down
        if isinstance(up, DTensor):
            up, down = up.to_local(), down.to_local()
        if self.ranks is not None:
            group, own, first = self.ranks.get_group(), len(up), self.ranks.get_local_rank()
            tokens = collectives.all_gather_tensor_autograd(tokens, 0, group)
            shares = collectives.all_gather_tensor_autograd(shares, 0, group)
            shares = shares[:, first * own : (first + 1) * own]
        hidden = F.silu(torch.einsum("td,edh->teh", tokens, up))
        mixed = torch.einsum("teh,ehd,te->td", hidden, down, shares)
        if self.ranks is not None:
            mixed = collectives.reduce_scatter_tensor_autograd(mixed, "sum", 0, group)
        return mixed


class Mixture(nn.Module):
    def __init__(self):
        super().__init__()
        self.gate, self.experts = nn.Linear(WIDTH, EXPERTS, bias=False), Experts()

    def forward(self, x):
        tokens = x.reshape(-1, WIDTH)
        return self.experts(tokens, self.gate(tokens).softmax(-1)).view(x.shape)


class Layer(nn.Module):
    def __init__(self, experts):
        super().__init__()
        self.norm_1, self.norm_2 = nn.RMSNorm(WIDTH), nn.RMSNorm(WIDTH)
        self.attention, self.mlp = Attention(), Mixture() if experts else Mlp()

    def forward(self, x):
        x = x + self.attention(self.norm_1(x))
        return x + self.mlp(self.norm_2(x))


class Transformer(nn.Module):
    def __init__(self, experts=False):
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, WIDTH)
        self.layers = nn.ModuleList([Layer(experts=False), Layer(experts=experts)])
        self.norm, self.head = nn.RMSNorm(WIDTH), nn.Linear(WIDTH, VOCABULARY, bias=False)

    def forward(self, ids):
        x = self.embedding(ids)
        for layer in self.layers:
            x = layer(x)
        return self.head(self.norm(x))


def transformer(*, experts=False, dtype=torch.float64):
    """The same on every rank, and the same each time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = Transformer(experts).double().eval()
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.add_(0.2 * torch.randn_like(parameter))
    return module.to(dtype)


def sequences(count=4):
    """Batches of two sequences, all of one shape."""
    generator = torch.Generator().manual_seed(1)
    return [torch.randint(0, VOCABULARY, (2, 9), generator=generator) for _ in range(count)]


def loss(module, ids):
    """Summed cross entropy of the next tokens; of this rank's part of them, with a context."""
    each = terms(outputs(module, ids), ids, _context(module))
    return each.sum(), each.numel()


def outputs(module, ids):
    return module(_own(ids[:, :-1], _context(module)))


def terms(logits, ids, context=None):
    targets = _own(ids[:, 1:], context)
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none")


def terms_over(context):
    """Terms of this rank's part of the sequence."""
    return lambda logits, ids: terms(logits, ids, context)


def _context(module):
    return next((c.context for c in module.modules() if isinstance(c, Attention)), None)


def _own(ids, context):
    if context is None:
        return ids
    return ids.chunk(context.size(), 1)[context.get_local_rank()]


def sharded(module, mesh):
    for layer in module.layers:
        fully_shard(layer, mesh=mesh)
    fully_shard(module, mesh=mesh)
    return module


def with_context(module, context):
    for child in module.modules():
        if isinstance(child, Attention):
            child.context = context
    return module


def split_layers(module, mesh):
    """The usual short plan of tensor parallelism: norms, embedding and head stay plain."""
    columns, rows = ColwiseParallel(), RowwiseParallel()
    for layer in module.layers:
        plan = {f"attention.{name}": columns for name in "qkv"}
        plan |= {"attention.o": rows, "mlp.up": columns, "mlp.down": rows}
        parallelize_module(layer, mesh, plan)
    return module


def split_sequences(module, mesh):
    """The long plan, as torchtitan's: every parameter a DTensor, sequences split between."""
    whole, split = Replicate(), Shard(1)
    plan = {
        "embedding": RowwiseParallel(input_layouts=whole, output_layouts=split),
        "norm": SequenceParallel(),
        "head": ColwiseParallel(input_layouts=split, output_layouts=whole, use_local_output=True),
    }
    parallelize_module(module, mesh, plan)
    gathered = {"input_layouts": (split,), "desired_input_layouts": (whole,)}
    for layer in module.layers:
        plan = {f"attention.{name}": ColwiseParallel() for name in "qkv"}
        plan |= {"norm_1": SequenceParallel(), "norm_2": SequenceParallel()}
        plan |= {"attention": PrepareModuleInput(**gathered), "mlp": PrepareModuleInput(**gathered)}
        plan |= {"attention.o": RowwiseParallel(output_layouts=split), "mlp.up": ColwiseParallel()}
        plan |= {"mlp.down": RowwiseParallel(output_layouts=split)}
        parallelize_module(layer, mesh, plan)
    return module


def with_experts(mesh, experts_mesh, factors, *, dtype=torch.float64):
    """Experts over the mesh's last dimension, sharded over its first; all else over `mesh`.

    Args:
        factors: By what FSDP divides gradients: of all groups, and of experts.
    """
    module = transformer(experts=True, dtype=dtype)
    every, of_experts = factors
    for layer in module.layers:
        if isinstance(layer.mlp, Mixture):
            experts = layer.mlp.experts
            experts.ranks = experts_mesh["ep"]
            for name in ("up", "down"):
                whole = getattr(experts, name).detach()
                part = distribute_tensor(whole, experts_mesh["ep"], [Shard(0)])
                setattr(experts, name, nn.Parameter(part))
            fully_shard(experts, mesh=experts_mesh["efsdp"])
    sharded(module, mesh)
    for child in (*module.layers, module):
        if every is not None:
            child.set_gradient_divide_factor(every)
    for child in module.modules():
        if isinstance(child, Experts) and of_experts is not None:
            child.set_gradient_divide_factor(of_experts)
    return module


def dense(module, loss, batches):
    """Mean loss, gradient, and Hessian times the probe, of a plain module, by double backward."""
    named = {name: p for name, p in module.named_parameters() if p.requires_grad}
    probe = _flat(_probe(named))
    total = weight = 0.0
    for batch in batches:
        result = loss(module, batch)
        one = result if isinstance(result, tuple) else (result, 1.0)
        total, weight = total + one[0], weight + one[1]
    leaves = list(named.values())
    mean = total / weight
    gradient = _flat(torch.autograd.grad(mean, leaves, create_graph=True))
    product = _flat(torch.autograd.grad(gradient @ probe, leaves))
    return {"loss": float(mean.detach()), "gradient": gradient.detach(), "hessian": product}


def dense_gauss_newton(module, batches):
    """J^T (Hessian of the loss by the logits) J times the probe, of the transformer."""
    named = {name: p.detach() for name, p in module.named_parameters()}
    probe = dict(zip(named, _probe(named), strict=True))
    product = weight = 0.0
    for ids in batches:

        def logits(parameters, ids=ids):
            return torch.func.functional_call(module, parameters, (ids[:, :-1],))

        def slope(z, ids=ids):
            return torch.func.grad(lambda z: terms(z, ids).sum())(z)

        z, moved = torch.func.jvp(logits, (named,), (probe,))
        _, curved = torch.func.jvp(slope, (z,), (moved,))
        (parts,) = torch.func.vjp(logits, named)[1](curved)
        product = product + _flat(parts.values())
        weight += ids[:, 1:].numel()
    return product / weight


def _probe(named):
    pieces = [
        Piece(name=name, full_shape=p.shape, shape=p.shape, offset=(0,) * p.ndim, owned=True)
        for name, p in named.items()
    ]
    space = Space(pieces, reduce=lambda x: x, dtype=torch.float64, device=torch.device("cpu"))
    probe = space.probe(0, 0)
    return [part.view(p.shape) for part, p in zip(space.split(probe), named.values(), strict=True)]


def _flat(parts):
    return torch.cat([part.flatten() for part in parts])
