"""Do "largest ± bound" and "smallest ± bound" hold the truth, and are they narrow enough?

pip install -e '.[bench]' transformers
python tests/benchmarks/bounds.py [--kinds mlp_tanh gpt2 ...] [--short] [--json FILE]

26 kinds of model of some hundred parameters, at random parameters and trained, in float32, in
float64, and in float32 shards that compute in bfloat16. The truth is the dense Hessian by double
backward in float64, at the same parameters (rounded to bfloat16 where the forward pass rounds
them; almost everywhere for kinks). A bound is narrow if it is at most 30 times the true error, or
1e-4, 1e-9, 0.1 of the largest |eigenvalue| in float32, float64, bfloat16; a number that is
withheld holds and is too wide. Beside it stands the bound of hessview 0.1.0: the residual, and the
worst D of the probe times its largest |node|, of the probe with the outermost Ritz value. Seeds
are fixed, so that a run can be repeated.
"""

import argparse
import copy
import itertools
import json
import pathlib
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

import hessview
from hessview.job.estimators.density import density
from hessview.job.loss import ShardedLoss
from hessview.job.objective import Objective
from hessview.record.collect import collect
from hessview.record.commands import Density, command_to_json
from hessview.record.events import Event, JobStarted, Payload, RunEnded, RunQueued, RunStarted

STEPS, PROBES = 64, 2
NARROW = {"float32": 1e-4, "float64": 1e-9, "bfloat16": 0.1}
TIMES = 30.0
TRAINED = 80  # steps of Adam
ROWS, CLASSES, LENGTH, TOKENS = 24, 4, 6, 12


class Case(NamedTuple):
    """A model, its loss of a batch, and the batch."""

    module: nn.Module
    loss: Callable[[nn.Module, Any], tuple[Tensor, float]]
    batch: tuple[Tensor, ...]


class Found(NamedTuple):
    """What one extreme gave: number, bounds and truth."""

    kind: str
    state: str
    precision: str
    end: str
    value: float
    bound: float
    old_value: float
    old_bound: float
    truth: float
    scale: float
    basis: str


# The kinds of model


def draws(*shape: int, seed: int = 0) -> Tensor:
    """Normal numbers that bfloat16 holds, so that no precision sees other data."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator).bfloat16().float()


def labels(count: int = ROWS, classes: int = CLASSES) -> Tensor:
    """Labels, each as often as any other."""
    return torch.arange(count) % classes


def wide(outputs: Tensor) -> Tensor:
    """At least float32, as losses are computed."""
    return outputs.float() if outputs.dtype == torch.bfloat16 else outputs


def classify(module: nn.Module, batch: tuple[Tensor, ...]) -> tuple[Tensor, float]:
    """Cross entropy, summed."""
    inputs, target = batch
    outputs = wide(module(inputs))
    return F.cross_entropy(outputs.flatten(0, -2), target.flatten(), reduction="sum"), float(
        target.numel()
    )


def regress(module: nn.Module, batch: tuple[Tensor, ...]) -> tuple[Tensor, float]:
    """Squared error, summed."""
    outputs = wide(module(batch[0]))
    return (outputs - batch[1].to(outputs.dtype)).square().sum(), float(len(outputs))


def layers(activation: type[nn.Module], *sizes: int) -> nn.Sequential:
    """A network of layers, with an activation between them."""
    parts: list[nn.Module] = []
    for wide_in, wide_out in itertools.pairwise(sizes):
        parts += [nn.Linear(wide_in, wide_out), activation()]
    return nn.Sequential(*parts[:-1])


def clusters() -> tuple[Tensor, Tensor]:
    """Points about a centre for each class."""
    target = labels()
    inputs = draws(CLASSES, 8, seed=1)[target] + 0.8 * draws(ROWS, 8, seed=2)
    return inputs.bfloat16().float(), target


def curve() -> tuple[Tensor, Tensor]:
    """A smooth function of some numbers."""
    inputs = draws(ROWS, 6, seed=3)
    return inputs, (inputs.sum(1, keepdim=True) * 0.7).sin().bfloat16().float()


def images(size: int = 8) -> Tensor:
    """Small pictures, smooth along their rows."""
    return F.avg_pool2d(draws(ROWS, 1, size, size, seed=4), 3, 1, 1).mul(2).bfloat16().float()


def mlp(activation: type[nn.Module]) -> Case:
    """A classifier of two hidden layers."""
    return Case(layers(activation, 8, 14, 14, CLASSES), classify, clusters())


class Picture(nn.Module):
    """Wraps a stack that ends in (row, class)."""

    def __init__(self, *parts: nn.Module) -> None:
        super().__init__()
        self.stack = nn.Sequential(*parts)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.stack(inputs).flatten(1)  # type: ignore[no-any-return]


class UNet(nn.Module):
    """Down, up, and a skip."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 5, 3, padding=1)
        self.down = nn.Conv2d(5, 8, 3, stride=2, padding=1)
        self.up = nn.ConvTranspose2d(8, 5, 2, stride=2)
        self.last = nn.Conv2d(10, 1, 3, padding=1)

    def forward(self, inputs: Tensor) -> Tensor:
        first = F.silu(self.first(inputs))
        up = self.up(F.silu(self.down(first)))
        return self.last(torch.cat([first, up], 1))  # type: ignore[no-any-return]


class Recurrent(nn.Module):
    """A recurrent network over tokens."""

    def __init__(self, kind: type[nn.Module], width: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(TOKENS, 6)
        self.cells = kind(6, width, batch_first=True)
        self.head = nn.Linear(width, TOKENS)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(self.cells(self.embed(tokens))[0])  # type: ignore[no-any-return]


class Logits(nn.Module):
    """The logits of a model of transformers."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, inputs: Tensor) -> Tensor:
        return self.model(inputs).logits  # type: ignore[no-any-return]


def tokens(rows: int = 6) -> tuple[Tensor, Tensor]:
    """Sequences with a rule, and what comes next."""
    start = torch.arange(rows)[:, None]
    text = 1 + (start * 5 + torch.arange(LENGTH + 1) ** 2 * (1 + start % 3)) % (TOKENS - 1)
    return text[:, :-1], text[:, 1:]


def transformer(name: str, **options: Any) -> Case:
    """A tiny model of transformers, by the names of its classes."""
    import transformers

    config, model = (
        getattr(transformers, f"{name}{end}") for end in ("Config", options.pop("head"))
    )
    made = model(config(**options, attn_implementation="eager"))
    return Case(Logits(made), classify, tokens())


def gpt2() -> Case:
    """GPT-2."""
    return transformer(
        "GPT2", head="LMHeadModel", vocab_size=TOKENS, n_positions=LENGTH, n_embd=8, n_layer=1,
        n_head=2, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
    )  # fmt: skip


def llama() -> Case:
    """Llama."""
    return transformer(
        "Llama", head="ForCausalLM", vocab_size=TOKENS, hidden_size=8, intermediate_size=16,
        num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=2, pad_token_id=None,
    )  # fmt: skip


def mamba() -> Case:
    """Mamba, a state-space model."""
    return transformer(
        "Mamba", head="ForCausalLM", vocab_size=TOKENS, hidden_size=8, num_hidden_layers=1,
        state_size=4, pad_token_id=None,
    )  # fmt: skip


def bert(name: str = "Bert", **options: Any) -> Case:
    """BERT, and with other words ALBERT."""
    return transformer(
        name, head="ForMaskedLM", vocab_size=TOKENS, hidden_size=8, num_hidden_layers=2,
        num_attention_heads=2, intermediate_size=12, max_position_embeddings=LENGTH,
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, **options,
    )  # fmt: skip


def vit() -> Case:
    """ViT."""
    import transformers

    config = transformers.ViTConfig(
        hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        image_size=8, patch_size=4, num_channels=1, num_labels=CLASSES, hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0, attn_implementation="eager",
    )  # fmt: skip
    model = Logits(transformers.ViTForImageClassification(config))
    return Case(model, classify, (images(), labels()))


class Residual(nn.Module):
    """Residual blocks with LayerNorm."""

    def __init__(self, width: int = 10) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(8, width), nn.Linear(width, CLASSES)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.GELU()) for _ in range(3)
        )

    def forward(self, inputs: Tensor) -> Tensor:
        hidden = self.first(inputs)
        for block in self.blocks:
            hidden = hidden + block(hidden)
        return self.last(hidden)  # type: ignore[no-any-return]


class Factors(nn.Module):
    """A matrix as the product of two."""

    def __init__(self, rank: int = 4) -> None:
        super().__init__()
        self.rows = nn.Parameter(0.5 * draws(20, rank, seed=11))
        self.columns = nn.Parameter(0.5 * draws(16, rank, seed=12))

    def forward(self, chosen: Tensor) -> Tensor:
        return (self.rows[chosen[:, 0]] * self.columns[chosen[:, 1]]).sum(1, keepdim=True)


def factors() -> Case:
    """Matrix factorisation of some entries."""
    places = torch.stack([torch.arange(90) % 20, (torch.arange(90) * 7) % 16], 1)
    return Case(Factors(), regress, (places, draws(90, 1, seed=13)))


class Graph(nn.Module):
    """Two graph convolutions over a ring."""

    def __init__(self, width: int = 12) -> None:
        super().__init__()
        ring = torch.eye(ROWS)
        self.register_buffer("steps", (ring + ring.roll(1, 0) + ring.roll(-1, 0)) / 4)
        self.first, self.last = nn.Linear(8, width), nn.Linear(width, CLASSES)

    def forward(self, inputs: Tensor) -> Tensor:
        steps = self.steps.to(inputs.dtype)
        return self.last(steps @ torch.tanh(self.first(steps @ inputs)))  # type: ignore[no-any-return]


class Mixture(nn.Module):
    """A mixture of normal distributions whose parameters a network gives."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = layers(nn.Tanh, 6, 12, 9)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.stack(inputs)  # type: ignore[no-any-return]


def likelihood(module: nn.Module, batch: tuple[Tensor, ...]) -> tuple[Tensor, float]:
    """Negative log-likelihood of the mixture."""
    outputs = wide(module(batch[0]))
    weights, means, scales = outputs.chunk(3, 1)
    off = (batch[1].to(outputs.dtype) - means) * (-scales).exp()
    each = weights.log_softmax(1) - 0.5 * off.square() - scales
    return -each.logsumexp(1).sum(), float(len(outputs))


class Flow(nn.Module):
    """Affine coupling layers."""

    def __init__(self) -> None:
        super().__init__()
        self.nets = nn.ModuleList(layers(nn.Tanh, 4, 10, 8) for _ in range(3))

    def forward(self, inputs: Tensor) -> Tensor:
        here, there = inputs.chunk(2, 1)
        volume = torch.zeros_like(here[:, 0])
        for net in self.nets:
            scale, shift = net(here).chunk(2, 1)
            there = there * scale.tanh().exp() + shift
            volume = volume + scale.tanh().sum(1)
            here, there = there, here
        return torch.cat([here, there, volume[:, None]], 1)


def flow_loss(module: nn.Module, batch: tuple[Tensor, ...]) -> tuple[Tensor, float]:
    """Negative log-likelihood under a normal distribution."""
    outputs = wide(module(batch[0]))
    return (0.5 * outputs[:, :-1].square().sum(1) - outputs[:, -1]).sum(), float(len(outputs))


class Pooling(nn.Module):
    """Attention over a set, by a query that is learnt."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.query = nn.Parameter(draws(width, seed=14))
        self.key, self.value = nn.Linear(4, width), nn.Linear(4, width)
        self.head = nn.Linear(width, CLASSES)

    def forward(self, inputs: Tensor) -> Tensor:
        weight = (torch.tanh(self.key(inputs)) @ self.query).softmax(1)
        return self.head((weight[..., None] * self.value(inputs)).sum(1))  # type: ignore[no-any-return]


def poisson(module: nn.Module, batch: tuple[Tensor, ...]) -> tuple[Tensor, float]:
    """Poisson regression on counts."""
    rates = wide(module(batch[0]))[:, 0]
    return (rates.exp() - batch[1] * rates).sum(), float(len(rates))


KINDS: dict[str, Callable[[], Case]] = {
    "logistic": lambda: Case(nn.Linear(8, CLASSES), classify, clusters()),
    "linear": lambda: Case(nn.Linear(6, 3), regress, (curve()[0], draws(ROWS, 3, seed=5))),
    "mlp_tanh": lambda: mlp(nn.Tanh),
    "mlp_gelu": lambda: mlp(nn.GELU),
    "mlp_relu": lambda: mlp(nn.ReLU),
    "mlp_silu": lambda: mlp(nn.SiLU),
    "cnn": lambda: Case(
        Picture(nn.Conv2d(1, 6, 3), nn.Tanh(), nn.Conv2d(6, 8, 3, stride=2), nn.Tanh(),
                nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, CLASSES)),
        classify, (images(), labels()),
    ),
    "cnn_bn_pool": lambda: Case(
        Picture(nn.Conv2d(1, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2),
                nn.Flatten(), nn.Linear(54, CLASSES)),
        classify, (images(), labels()),
    ),
    "unet": lambda: Case(UNet(), regress, (images(), images().roll(1, 2))),
    "lstm": lambda: Case(Recurrent(nn.LSTM, 8), classify, tokens()),
    "gpt2": gpt2,
    "llama": llama,
    "mamba": mamba,
    "vit": vit,
    "bert": bert,
    "albert": lambda: bert("Albert", embedding_size=8),
    "softplus_regression": lambda: Case(layers(nn.Softplus, 6, 12, 12, 1), regress, curve()),
    "deep_linear": lambda: Case(layers(nn.Identity, 6, 8, 8, 8, 1), regress, curve()),
    "autoencoder": lambda: Case(
        layers(nn.Sigmoid, 8, 12, 3, 12, 8), regress, (clusters()[0], clusters()[0])
    ),
    "gru": lambda: Case(Recurrent(nn.GRU, 8), classify, tokens()),
    "residual_norm": lambda: Case(Residual(), classify, clusters()),
    "factors": factors,
    "graph": lambda: Case(Graph(), classify, clusters()),
    "mixture_density": lambda: Case(Mixture(), likelihood, curve()),
    "flow": lambda: Case(Flow(), flow_loss, (clusters()[0],)),
    "attention_pooling": lambda: Case(
        Pooling(), classify, (draws(ROWS, 5, 4, seed=15), labels())
    ),
    "poisson": lambda: Case(
        layers(nn.Tanh, 6, 12, 1), poisson, (curve()[0], (3 * curve()[1][:, 0]).abs().round())
    ),
}  # fmt: skip
KINKED = {"mlp_relu", "cnn_bn_pool"}
NOT_IN_BFLOAT16 = {"cnn_bn_pool"}  # torch refuses buffers in float32 beside inputs in bfloat16
SHORT = ("mlp_tanh", "mlp_relu", "llama", "flow")


def prepared(kind: str, state: str, seed: int = 0) -> Case:
    """A kind of model at random parameters, or trained for a while."""
    torch.manual_seed(sum(map(ord, kind)) + 1000 * seed)
    case = KINDS[kind]()
    if state == "trained":
        optimiser = torch.optim.Adam(case.module.parameters(), 1e-2)
        for _ in range(TRAINED):
            optimiser.zero_grad()
            total, weight = case.loss(case.module, case.batch)
            (total / weight).backward()
            optimiser.step()
        case.module.zero_grad(set_to_none=True)
    case.module.eval()
    return case


# Truth and measurement


def converted(case: Case, dtype: torch.dtype) -> Case:
    """The case with parameters, buffers and data in another data type."""
    batch = tuple(entry.to(dtype) if entry.is_floating_point() else entry for entry in case.batch)
    return Case(copy.deepcopy(case.module).to(dtype), case.loss, batch)


def truth(case: Case, precision: str) -> np.ndarray:
    """All eigenvalues, in float64; rows of padding, which do not train, held constant."""
    case = converted(case, torch.float64)
    parameters = [p for p in case.module.parameters() if p.requires_grad]
    if precision == "bfloat16":
        with torch.no_grad():
            for parameter in parameters:
                parameter.copy_(parameter.bfloat16().double())
    total, weight = case.loss(case.module, case.batch)
    gradients = torch.autograd.grad(
        total / weight, parameters, create_graph=True, materialize_grads=True
    )
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    try:  # all rows at once, where autograd can
        eye = torch.eye(len(flat), dtype=flat.dtype)
        parts = torch.autograd.grad(
            flat, parameters, eye, retain_graph=True, materialize_grads=True, is_grads_batched=True
        )
        hessian = torch.cat([part.flatten(1) for part in parts], 1).detach()
    except RuntimeError:
        hessian = by_row(flat, parameters)
    hessian = hessian[moving(case.module)][:, moving(case.module)]
    return np.linalg.eigvalsh(((hessian + hessian.T) / 2).numpy())


def moving(module: nn.Module) -> Tensor:
    """Which elements of the flattened parameters train, shape (parameters,), bool."""
    padding = {
        id(each.weight): each.padding_idx
        for each in module.modules()
        if isinstance(each, nn.Embedding) and each.padding_idx is not None
    }
    moves = []
    for parameter in module.parameters():
        if parameter.requires_grad:
            mask = torch.ones_like(parameter, dtype=torch.bool)
            if id(parameter) in padding:
                mask[padding[id(parameter)]] = False
            moves.append(mask.flatten())
    return torch.cat(moves)


def by_row(flat: Tensor, parameters: list[nn.Parameter]) -> Tensor:
    """Rows of the Hessian, one after the other."""
    rows = []
    for entry in flat:
        row = (
            torch.autograd.grad(entry, parameters, retain_graph=True, materialize_grads=True)
            if (entry.requires_grad)
            else [torch.zeros_like(p) for p in parameters]
        )
        rows.append(torch.cat([part.flatten() for part in row]))
    return torch.stack(rows).detach()


def measured(case: Case, precision: str, *, steps: int = STEPS, probes: int = PROBES) -> Any:
    """The dataset of a density run, as a job of one rank records it."""
    own = converted(case, torch.float64 if precision == "float64" else torch.float32)
    if precision == "bfloat16":
        policy = MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32)
        fully_shard(own.module, mp_policy=policy)
    surface = ShardedLoss(Objective(own.module, own.loss, [own.batch]), lambda numbers: numbers)
    surface.measure()
    size = surface.space.size
    command = Density(steps=min(steps, size), probes=probes)
    payloads: list[Payload] = [
        JobStarted(
            model="", revision="", parameters=size, blocks={}, world_size=1, mesh={},
            device="cpu", dtype=str(surface.dtype).removeprefix("torch."),
            compute_dtype=str(surface.compute_dtype).removeprefix("torch."),
            loss=surface.loss, gradient_norm=surface.gradient_norm, weight=surface.weight,
            weight_unit="rows", batches=1, digest="", seed=0, tau=0.0, versions={}, host="",
        ),
        RunQueued(command=command_to_json(command)),
        RunStarted(
            training_step=None, loss=surface.loss, gradient_norm=surface.gradient_norm
        ),
        *density(command, surface),
        RunEnded(state="done"),
    ]  # fmt: skip
    events = [
        Event(seq=seq, time=0.0, job="a", run="" if seq == 1 else "a", payload=payload)
        for seq, payload in enumerate(payloads, start=1)
    ]
    return collect(events).dataset("a")


def as_before(ds: Any, end: str) -> tuple[float, float]:
    """The extreme and its bound as 0.1.0 gave them."""
    found = hessview.ritz(ds)
    nodes = found.node.values
    chosen = np.nanargmax(nodes) if end == "largest" else np.nanargmin(nodes)
    probe, column = np.unravel_index(chosen, nodes.shape)
    worst = float(np.nanmax(ds.error.values[probe]))
    scale = float(np.nanmax(np.abs(nodes[probe])))
    return float(nodes[probe, column]), float(found.residual.values[probe, column]) + worst * scale


def study(
    kinds: list[str], states: list[str], precisions: list[str], seed: int = 0
) -> Iterator[Found]:
    """Every extreme of every case, against the truth."""
    for kind in kinds:
        for state in states:
            case = prepared(kind, state, seed)
            exactly = truth(case, "float64")
            for precision in precisions:
                if precision == "bfloat16" and kind in NOT_IN_BFLOAT16:
                    continue
                eigenvalues = truth(case, precision) if precision == "bfloat16" else exactly
                ds = measured(case, precision)
                summary = hessview.summary(ds)
                for end, exact in (("largest", eigenvalues[-1]), ("smallest", eigenvalues[0])):
                    row = summary.sel(quantity=end)
                    yield Found(
                        kind, state, precision, end, float(row.value), float(row.uncertainty),
                        *as_before(ds, end), float(exact), float(np.abs(eigenvalues).max()),
                        str(row.basis.item()),
                    )  # fmt: skip


# What is counted


def holds(value: float, bound: float, found: Found) -> bool:
    """Whether the truth lies within; a number that is withheld says nothing wrong."""
    return bool(np.isnan(value) or abs(value - found.truth) <= bound)


def narrow(value: float, bound: float, found: Found) -> bool:
    """Whether the bound is of use."""
    most = max(TIMES * abs(value - found.truth), NARROW[found.precision] * found.scale)
    return bool(bound <= most)  # NaN is not


def counted(rows: list[Found]) -> dict[str, float]:
    """Shares of the extremes: that hold, are narrow, withheld; and of 0.1.0's."""

    def share(each: list[bool]) -> float:
        return sum(each) / len(each)

    return {
        "extremes": len(rows),
        "holds": share([holds(r.value, r.bound, r) for r in rows]),
        "narrow": share([narrow(r.value, r.bound, r) for r in rows]),
        "withheld": share([bool(np.isnan(r.value)) for r in rows]),
        "held before": share([holds(r.old_value, r.old_bound, r) for r in rows]),
        "narrow before": share([narrow(r.old_value, r.old_bound, r) for r in rows]),
        "over error": _median(
            [r.bound / abs(r.value - r.truth) for r in rows if r.value != r.truth]
        ),
        "over error before": _median(
            [r.old_bound / abs(r.old_value - r.truth) for r in rows if r.old_value != r.truth]
        ),
    }


def _median(values: list[float]) -> float:
    return float(np.nanmedian(values)) if np.isfinite(values).any() else float("nan")


def table(title: str, groups: dict[str, list[Found]]) -> str:
    """A line for each group."""
    lines = [
        f"{title:24} extremes  hold: now before  narrow: now before  withheld"
        "  bound/error: now before"
    ]
    for name, rows in groups.items():
        if rows:
            c = counted(rows)
            lines.append(
                f"{name:24} {c['extremes']:8.0f}  {c['holds']:9.1%} {c['held before']:6.1%}"
                f"  {c['narrow']:11.1%} {c['narrow before']:6.1%}  {c['withheld']:8.1%}"
                f"  {c['over error']:16.3g} {c['over error before']:6.3g}"
            )
    return "\n".join(lines)


def main() -> None:
    """Run the study, and print its tables and every extreme that misses."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), default=list(KINDS))
    parser.add_argument("--states", nargs="+", default=["random", "trained"])
    parser.add_argument("--precisions", nargs="+", choices=list(NARROW), default=list(NARROW))
    parser.add_argument("--seed", type=int, default=0, help="of the parameters")
    parser.add_argument("--short", action="store_true", help=f"only {', '.join(SHORT)}")
    parser.add_argument("--verbose", action="store_true", help="every extreme that is too wide")
    parser.add_argument("--json", type=pathlib.Path, help="write every extreme to this file")
    options = parser.parse_args()
    torch.set_num_threads(1)
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    started = time.perf_counter()
    kinds = list(SHORT) if options.short else options.kinds
    rows = []
    for row in study(kinds, options.states, options.precisions, options.seed):
        rows.append(row)
        if options.json:
            options.json.write_text(json.dumps([each._asdict() for each in rows]))
    print(f"{len(rows)} extremes in {time.perf_counter() - started:.0f} s\n")
    print(table("precision", {p: [r for r in rows if r.precision == p] for p in NARROW}), "\n")
    smooth = [r for r in rows if r.kind not in KINKED]
    kinked = [r for r in rows if r.kind in KINKED]
    by_smoothness = {"smooth": smooth, "kinked": kinked}
    by_smoothness |= {f"smooth {p}": [r for r in smooth if r.precision == p] for p in NARROW} | {
        f"{end}": [r for r in rows if r.end == end] for end in ("largest", "smallest")
    }
    print(table("smoothness, end", by_smoothness | {"all": rows}), "\n")
    print(table("kind", {kind: [r for r in rows if r.kind == kind] for kind in kinds}), "\n")
    for row in rows:
        misses = not holds(row.value, row.bound, row)
        if misses or (options.verbose and not narrow(row.value, row.bound, row)):
            print("MISSES" if misses else "wide", *row)
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
