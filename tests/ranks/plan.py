"""What planning/test_make.py compares with; a real job's numbers, on each rank."""

import sys

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from transformers import AutoConfig, AutoModelForCausalLM

from hessview.job import passes
from hessview.job.estimators.benchmark import _peak_memory
from hessview.job.estimators.density import density
from hessview.job.leaving import leave
from hessview.job.memory import Collectives
from hessview.job.models import Source, causal_lm
from hessview.job.worker import Worker
from hessview.operators import OPERATORS
from hessview.record.commands import Density
from hessview.record.job_options import JobOptions
from hessview.spectral.vectors import Space

OPERATORS_SEEN = ("hessian", "hessian_one_reduction", "hessian_fourth_order", "gauss_newton")
WEIGHED = ("hessian", "hessian_one_reduction")
EPSILON = 1e-3
SIZES = {"tokens": 96, "length": 16, "batch": 2}
LARGE = {"tokens": 1024, "length": 128, "batch": 4}


def worker(folder, mesh, sizes):
    config = AutoConfig.from_pretrained(folder)
    torch.manual_seed(0)
    source = Source(AutoModelForCausalLM.from_config(config).eval(), ord_of, "made here")
    return Worker(causal_lm(lambda _: source, JobOptions(model=folder, **sizes), mesh))


def ord_of(text):
    return [ord(letter) % 64 for letter in text[:4096]]


def collectives(work):
    with Collectives() as counting:
        work()
    return {"counts": counting.counts, "received": counting.received}


def counted(surface, command):
    """Passes, recorded gradients and the basis of a density, as it is measured."""
    begun, bases = [], set()
    backward, products = passes.Passes._backward, Space.products

    def noted(self, *arguments, **options):
        begun.append(1)
        return backward(self, *arguments, **options)

    def seen(self, basis, *arguments, **options):
        bases.add(basis.untyped_storage().nbytes())
        return products(self, basis, *arguments, **options)

    passes.Passes._backward, Space.products = noted, seen
    try:
        surface.measure()
        readings = [reading.values for reading in density(command, surface)]
        recorded = sum(values.get("gradients", 0.0) for values in readings)
        recorded += sum(sum(values.get("pair_gradients", [])) for values in readings)
    finally:
        passes.Passes._backward, Space.products = backward, products
    return {"begun": len(begun), "recorded": recorded, "basis": bases}


def of_all(value):
    values = [None] * dist.get_world_size()
    dist.all_gather_object(values, value)
    return values


def main(path, folder):
    dist.init_process_group("gloo")
    mesh = init_device_mesh("cpu", (dist.get_world_size(),), mesh_dim_names=("shard",))
    small = worker(folder, mesh, SIZES)
    surface, job = small.surface, small.describe()
    vector, out = surface.space.probe(0, 0), surface.space.zeros()
    held = sum(shard.untyped_storage().nbytes() for shard in surface.shards())
    results = {
        "parameters": job.parameters,
        "blocks": dict(job.blocks),
        "shards": of_all(surface.space.local_size),
        "held": max(of_all(held)),
        "gradient": _peak_memory(surface, lambda: surface.gradient(out)),
        "products": {},
    }
    for name in OPERATORS_SEEN:
        operator = OPERATORS[name](surface, EPSILON)
        operator.matvec(vector)
        results["products"][name] = collectives(lambda operator=operator: operator.matvec(vector))
        if name in WEIGHED:
            results["products"][name]["memory"] = _peak_memory(
                surface, lambda operator=operator: operator.matvec(vector)
            )
    fixed = Density(steps=8, probes=1, epsilon=EPSILON, error_every=3)
    results["density"] = _peak_memory(
        surface, lambda: results.update(fixed=counted(surface, fixed))
    )
    results["auto"] = counted(surface, Density(steps=2, probes=1))
    large = worker(folder, mesh, LARGE).surface
    out = large.space.zeros()
    large.gradient(out)
    results["activations"] = _peak_memory(large, lambda: large.gradient(out))
    if dist.get_rank() == 0:
        torch.save(results, path)
    dist.destroy_process_group()


if __name__ == "__main__":
    main(*sys.argv[1:])
    leave()
