"""A coupling run's events without a job: numpy products of a matrix, with noise added to them."""

import dataclasses

import numpy as np

from helpers.emulated import payloads as density_payloads
from helpers.emulated import recorded
from hessview.record.collect import collect
from hessview.record.commands import Coupling, command_to_json
from hessview.record.events import Reading, RunEnded, RunQueued, RunStarted

NAMES = ("embedding", "layers.0", "layers.1", "head")


def operator(sizes, *, strength=0.3, seed=0):
    """A symmetric matrix whose blocks are coupled with some strength; 0 for not at all."""
    random = np.random.default_rng(seed)
    dense = random.normal(size=(sum(sizes), sum(sizes)))
    dense = dense + dense.T
    block = np.repeat(np.arange(len(sizes)), sizes)
    return dense * np.where(block[:, None] == block, 1.0, strength)


def payloads(matrix, sizes, *, probes=4, noise=0.0, seed=0, stop=None, end="done", names=NAMES):
    """What a job says; every product has Gaussian noise of so many times its own norm."""
    random = np.random.default_rng(seed)
    job = next(density_payloads())
    blocks = dict(zip(names, sizes, strict=True))
    yield dataclasses.replace(job, parameters=len(matrix), blocks=blocks)
    yield RunQueued(command=command_to_json(Coupling(probes=probes)))
    yield RunStarted(training_step=None, loss=2.874, gradient_norm=1.93)
    rows = np.split(np.arange(len(matrix)), np.cumsum(sizes)[:-1])
    norm = np.linalg.norm
    count = 0

    def product(vector):
        exact = matrix @ vector
        shake = random.normal(size=len(vector))
        return exact + noise * norm(exact) * shake / norm(shake)

    for probe in range(probes):
        v = random.choice([-1.0, 1.0], len(matrix)) / np.sqrt(len(matrix))
        whole, total, own = product(v), np.zeros(len(v)), np.zeros(len(v))
        for column, inside in enumerate(rows):
            count += 1
            if stop is not None and count > stop:
                return
            part = np.zeros(len(v))
            part[inside] = v[inside]
            response, second = product(part), product(part)
            total += response
            own[inside] += response[inside]
            change = [float(norm((second - response)[r])) for r in rows]
            yield Reading(
                index={"probe": probe, "column": column},
                values={
                    "response_norm": [float(norm(response[r])) for r in rows],
                    "noise": change if probe == 0 else [np.nan] * len(rows),
                    "form": [float(v[r] @ response[r]) for r in rows],
                    "error": norm(change) / norm(response) if probe == 0 else np.nan,
                    "epsilon": 1e-2,
                    "rho": 4.8e-3,
                    "gradients": 2.0,
                    "seconds": 1.0,
                },
            )
        away, gap = whole - own, whole - total
        yield Reading(
            index={"probe": probe},
            values={
                "product_norm": norm(whole),
                "diagonal_norm": norm(own),
                "block_error": norm(away) / norm(whole),
                "cosine": whole @ own / norm(whole) / norm(own),
                "kappa": whole @ own / norm(own) ** 2,
                "disagreement": norm(gap) / norm(whole),
                "row_error": [float(norm(away[r]) / norm(whole[r])) for r in rows],
                "row_disagreement": [float(norm(gap[r]) / norm(whole[r])) for r in rows],
                "product_epsilon": 1e-2,
                "product_rho": 4.8e-3,
                "product_error": norm(product(v) - whole) / norm(whole),
            },
        )
    if end:
        yield RunEnded(state=end)


def dataset(matrix, sizes, **options):
    """The fold of `payloads`."""
    return collect(recorded("coupling-1", payloads(matrix, sizes, **options))).dataset("coupling-1")
