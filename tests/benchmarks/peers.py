"""hessview's product beside those of its peers: time, memory, and how far each is off.

pip install -r binder/requirements.txt -e '.[bench]' && pip uninstall --yes torchvision
python tests/benchmarks/peers.py [--sizes 1M] [--rounds 5] [--json FILE]

PyHessian asks for torchvision and does not use it, and transformers cannot be imported beside
one that was built for another torch.

One process, one GPT-2 at random initialisation, one batch. Each product takes turns with a
gradient (by the fused attention), and the median of their ratios counts. Errors are against
double backward in float64, along a random direction and one near the top eigenvector; beside
the whole vector's stands that of the LayerNorm parameters' entries. Peak memory is above what
the process held before. A peer that fails says why in the table, and the others go on.
"""

import argparse
import copy
import ctypes
import gc
import importlib.metadata
import json
import os
import pathlib
import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import GPT2Config, GPT2LMHeadModel

from hessview.job.loss import ShardedLoss
from hessview.job.objective import Objective
from hessview.operators import OPERATORS

SIZES = {
    "1M": {"layers": 4, "width": 128, "vocabulary": 1024, "batch": 32, "length": 128},
    "10M": {"layers": 5, "width": 384, "vocabulary": 4096, "batch": 8, "length": 256},
}
PACKAGES = ("torch", "pyhessian", "curvlinops-for-pytorch", "hessian-eigenthings")
POWER_STEPS = 6  # enough to be within a few degrees of the top eigenvector
Product = Callable[[Tensor], Tensor]


def main() -> None:
    """Measure every size, and print a table each."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sizes", nargs="+", choices=list(SIZES), default=["1M"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=pathlib.Path, help="write the numbers to this file as well")
    options = parser.parse_args()
    versions = {name: importlib.metadata.version(name) for name in PACKAGES if _installed(name)}
    found = {
        "versions": versions,
        "threads": torch.get_num_threads(),
        "sizes": {size: _measure(Case(**SIZES[size]), options.rounds) for size in options.sizes},
    }
    print(", ".join(f"{name} {version}" for name, version in versions.items()))
    for size, result in found["sizes"].items():
        print(f"\n{_table(size, result)}")
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))


class Logits(nn.Module):
    """A causal language model as the peers take one: tokens to logits, a row a prediction."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, tokens: Tensor) -> Tensor:
        logits: Tensor = self.model(input_ids=tokens, use_cache=False).logits[:, :-1]
        return logits.flatten(0, 1)


class Case:
    """One model and one batch."""

    def __init__(
        self, *, layers: int, width: int, vocabulary: int, batch: int, length: int
    ) -> None:
        torch.manual_seed(0)
        config = GPT2Config(
            vocab_size=vocabulary,
            n_positions=length,
            n_embd=width,
            n_layer=layers,
            n_head=max(2, width // 64),
            bos_token_id=None,
            eos_token_id=None,
        )
        self.model = GPT2LMHeadModel(config).eval()
        self.logits = Logits(self.model)
        self.tokens = torch.randint(vocabulary, (batch, length))
        self.targets = self.tokens[:, 1:].flatten()
        self.parameters = list(self.logits.parameters())
        self.names = [name for name, _ in self.logits.named_parameters()]
        objective = Objective(self.logits, lambda m, _: self.loss(m), [None])
        self.surface = ShardedLoss(objective, lambda numbers: numbers)
        self.surface.measure()

    def loss(self, logits: nn.Module) -> Tensor:
        """Mean cross entropy of the next token."""
        return F.cross_entropy(logits(self.tokens), self.targets)

    def gradient(self) -> None:
        """A gradient as training computes it."""
        torch.autograd.grad(self.loss(self.logits), self.parameters)

    def split(self, vector: Tensor) -> list[Tensor]:
        """A vector as one tensor a parameter."""
        parts = torch.split(vector, [p.numel() for p in self.parameters])
        return [part.view_as(p) for part, p in zip(parts, self.parameters, strict=True)]

    def reference(self) -> Product:
        """Products by double backward in float64."""
        wide = copy.deepcopy(self.logits).double()
        parameters = list(wide.parameters())

        def product(vector: Tensor) -> Tensor:
            with sdpa_kernel(SDPBackend.MATH):
                slopes = torch.autograd.grad(self.loss(wide), parameters, create_graph=True)
                return _flat(torch.autograd.grad(slopes, parameters, self.split(vector.double())))

        return product

    def error(self, product: Tensor, reference: Tensor) -> dict[str, float]:
        """Relative error of a product, of all entries and of LayerNorm's."""
        off = product.double() - reference
        norms = _flat(
            [
                torch.full_like(p, "ln_" in name, dtype=torch.bool)
                for name, p in zip(self.names, self.parameters, strict=True)
            ]
        )
        return {
            "all": float(off.norm() / reference.norm()),
            "layer_norm": float(off[norms].norm() / reference[norms].norm()),
        }


def _hessview(name: str) -> Callable[[Case], Product]:
    def make(case: Case) -> Product:
        operator = OPERATORS[name](case.surface, "auto")
        return lambda vector: operator.matvec(vector).vector

    return make


def _pyhessian(case: Case) -> Product:
    from pyhessian import hessian

    data = [(case.tokens, case.targets)]
    made = hessian(case.logits, nn.CrossEntropyLoss(), dataloader=data, cuda=False)

    def product(vector: Tensor) -> Tensor:
        # Of the cycle that it leaves between .grad and graph, which is broken after each product.
        warnings.filterwarnings("ignore", "Using backward\\(\\) with create_graph=True")
        return _flat(made.dataloader_hv_product(case.split(vector))[1])

    return product


def _curvlinops(case: Case) -> Product:
    from curvlinops import HessianLinearOperator

    operator = HessianLinearOperator(
        case.logits,
        nn.CrossEntropyLoss(),
        case.parameters,
        [(case.tokens, case.targets)],
        check_deterministic=False,  # it would cost products
        num_data=len(case.targets),
        batch_size_fn=lambda tokens: len(case.targets),
    )
    return lambda vector: operator @ vector


def _eigenthings(method: str) -> Callable[[Case], Product]:
    def make(case: Case) -> Product:
        from hessian_eigenthings import HessianOperator

        operator = HessianOperator(
            case.logits, [None], lambda module, _: case.loss(module), method=method
        )
        return operator.matvec

    return make


# Whether each needs attention in its mathematical form: fused kernels have no second derivative.
WORK: dict[str, tuple[Callable[[Case], Product], bool]] = {
    "hessview hessian": (_hessview("hessian"), False),
    "hessview hessian_one_reduction": (_hessview("hessian_one_reduction"), False),
    "hessview exact": (_hessview("exact"), False),  # it asks for that form itself
    "pyhessian": (_pyhessian, True),
    "curvlinops": (_curvlinops, True),
    "hessian-eigenthings autograd": (_eigenthings("autograd"), True),
    "hessian-eigenthings finite_difference": (_eigenthings("finite_difference"), False),
}


def _measure(case: Case, rounds: int) -> dict[str, Any]:
    reference = case.reference()
    directions = {"random": case.surface.space.probe(0, 0), "top": case.surface.space.probe(0, 1)}
    for _ in range(POWER_STEPS):
        product = reference(directions["top"])
        directions["top"] = (product / product.norm()).float()
    truth = {name: reference(vector) for name, vector in directions.items()}
    del reference
    ready: dict[str, Product] = {}
    rows: dict[str, dict[str, Any]] = {"gradient": {"memory": _peak(case.gradient)}}
    products: dict[str, Tensor] = {}
    for name, (make, mathematical) in WORK.items():
        rows[name] = {}
        try:
            run = _in_form(make(case), mathematical)
            errors = {k: case.error(run(v), truth[k]) for k, v in directions.items()}
            products[name] = run(directions["random"])
            vector = directions["random"]
            rows[name] = {"error": errors, "memory": _peak(lambda r=run, v=vector: r(v))}
            ready[name] = run
        except Exception as error:  # a peer's failure is a result
            rows[name] = {"failed": f"{type(error).__name__}: {str(error).splitlines()[0]}"}
        case.logits.zero_grad(set_to_none=True)  # pyhessian leaves a graph in .grad
    ratios: dict[str, list[float]] = {name: [] for name in ready}
    gradients = []
    for round in range(rounds + 1):
        for name, run in ready.items():
            gradient = _seconds(case.gradient)
            ratio = _seconds(lambda r=run: r(directions["random"])) / gradient
            case.logits.zero_grad(set_to_none=True)
            if round:  # the first warms up
                gradients.append(gradient)
                ratios[name].append(ratio)
    for name, measured in ratios.items():
        rows[name] |= {"gradients": statistics.median(measured), "ratios": measured}
    return {
        "parameters": sum(p.numel() for p in case.parameters),
        "tokens": case.tokens.numel(),
        "gradient_seconds": statistics.median(gradients),
        "load": os.getloadavg()[0],
        "rows": rows,
        "differences": {
            a: {b: float((products[a] - products[b]).norm() / products[b].norm()) for b in products}
            for a in products
        },
    }


def _in_form(product: Product, mathematical: bool) -> Product:
    def run(vector: Tensor) -> Tensor:
        if not mathematical:
            return product(vector)
        with sdpa_kernel(SDPBackend.MATH):
            return product(vector)

    return run


def _seconds(run: Callable[[], object]) -> float:
    gc.collect()  # graphs that lie in cycles would be freed during the next measurement
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def _peak(run: Callable[[], object]) -> float:
    """Peak resident memory above the present one, in bytes (Linux)."""
    gc.collect()
    # What was freed but kept by the allocator would be used again unseen.
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    pathlib.Path("/proc/self/clear_refs").write_text("5")  # resets the mark, see proc(5)
    before = _resident("VmRSS")
    run()
    return float(_resident("VmHWM") - before)


def _resident(field: str) -> int:
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise LookupError(field)


def _flat(parts: Any) -> Tensor:
    return torch.cat([part.detach().flatten() for part in parts])


def _installed(name: str) -> bool:
    try:
        return bool(importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        return False


def _table(size: str, result: dict[str, Any]) -> str:
    lines = [
        f"{size}: {result['parameters']:,} parameters, {result['tokens']:,} tokens, "
        f"gradient {result['gradient_seconds']:.2f} s, load {result['load']:.1f}",
        f"{'':38} {'gradients':>9} {'MiB':>6}   error along: {'random':>8} {'top':>8}   "
        f"LayerNorm: {'random':>8} {'top':>8}",
    ]
    for name, row in result["rows"].items():
        if "failed" in row:
            lines.append(f"{name:38} failed: {row['failed'][:100]}")
            continue
        line = f"{name:38} {row.get('gradients', 1.0):9.2f} {row['memory'] / 2**20:6.0f}"
        if "error" in row:
            random, top = row["error"]["random"], row["error"]["top"]
            line += f"{'':16} {random['all']:8.1e} {top['all']:8.1e}"
            line += f"{'':14} {random['layer_norm']:8.1e} {top['layer_norm']:8.1e}"
        lines.append(line)
    return "\n".join(lines)


if __name__ == "__main__":
    main()
