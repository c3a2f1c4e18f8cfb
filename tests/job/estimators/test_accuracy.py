"""Accuracy over the step against closed forms and double backward, and the theory against it."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from helpers import toys
from hessview.errors import InputError
from hessview.job.control import Reduction
from hessview.job.estimators.accuracy import accuracy
from hessview.job.loss import ShardedLoss
from hessview.job.objective import Objective
from hessview.job.worker import Worker
from hessview.record.commands import Accuracy
from ranks.accuracy import COMMANDS, measured


def surface_of(objective):
    surface = ShardedLoss(objective, Reduction())
    surface.measure()
    return surface


def read(objective, **options):
    """Per direction: its own reading, and arrays of its readings over the steps."""
    command = Accuracy(**options)
    found = {}
    for reading in accuracy(command, surface_of(objective)):
        one = found.setdefault(reading.index["direction"], {})
        if "epsilon" not in reading.index:
            one.update(reading.values)
        for name in ("relative_error", "cosine", "error", "rho", "perturbation_error"):
            if "epsilon" in reading.index:
                one.setdefault(name, []).append(reading.values.get(name, math.nan))
    rows = [
        {k: np.array(v) if isinstance(v, list) else v for k, v in one.items()}
        for one in found.values()
    ]
    assert len(rows) == command.probes + command.top
    return rows


def quartic(size=30):
    """Sum of x^4 / 24: the gradient is x^3 / 6, its differences err by exactly v^3 h^2 / 6."""
    at = toys.numbers(size).abs() + 0.5
    return Objective(toys.Point(at), lambda module, _: (module() ** 4).sum() / 24, [None]), at


def test_truncation_is_that_of_the_closed_form():
    objective, at = quartic()
    epsilons = np.array([1e-2, 0.1, 1.0, 10.0])
    (row,) = read(objective, probes=1, top=False, epsilons=tuple(epsilons))
    v = surface_of(objective).space.probe(0, 0)
    expected = epsilons**2 * float((v**3 / 6).norm() / (at**2 / 2 * v).norm())
    np.testing.assert_allclose(row["relative_error"], expected, rtol=1e-4)
    assert row["norm"] == pytest.approx(float((at**2 / 2 * v).norm()), rel=1e-12)
    assert row["curvature"] == pytest.approx(float((at**2 / 2 * v) @ v), rel=1e-12)
    # In 30 dimensions, rounding is not quite orthogonal to truncation.
    assert row["bend"] == pytest.approx(float((v**3 / 6).norm()), rel=0.15)
    assert (row["exact"], row["order"]) == (1, 2)


def test_a_quadratic_has_rounding_only():
    matrix = toys.numbers(20, 20)
    matrix = matrix + matrix.T
    objective = toys.quadratic(matrix, toys.numbers(20, seed=1))
    epsilons = np.logspace(-8, 0, 9)
    (row,) = read(objective, probes=1, top=False, epsilons=tuple(epsilons))
    slope = np.polyfit(np.log(epsilons), np.log(row["relative_error"]), 1)[0]
    assert slope == pytest.approx(-1, abs=0.15)
    # The machine epsilon of float64, times the gradient, over the step and the product.
    expected = 2.2e-16 * float((matrix @ toys.numbers(20, seed=1)).norm()) / epsilons / row["norm"]
    assert (row["relative_error"] < 10 * expected).all()
    assert (row["relative_error"] > 0.02 * expected).all()
    assert math.isnan(row["bend"])
    assert row["auto_relative_error"] < 1e-13


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_v_has_its_two_slopes_and_the_theory_foretells_it(dtype):
    eps = torch.finfo(dtype).eps
    steps = {torch.float32: np.logspace(-6, 0, 13), torch.float64: np.logspace(-8, -2, 13)}[dtype]
    rows = read(toys.gpt(dtype=dtype), probes=1, epsilons=tuple(steps))
    best = []
    for row in rows:
        errors, optimum = row["relative_error"], (row["noise"] / (2 * row["bend"])) ** (1 / 3)
        predicted = (row["noise"] / steps + row["bend"] * steps**2) / row["norm"]
        short, long = steps < optimum / 3, (steps > 3 * optimum) & (errors < 0.05)
        assert short.sum() >= 4
        assert long.sum() >= 2
        falls = np.polyfit(np.log(steps[short]), np.log(errors[short]), 1)[0]
        rises = np.polyfit(np.log(steps[long]), np.log(errors[long]), 1)[0]
        assert falls == pytest.approx(-1, abs=0.25)
        assert rises == pytest.approx(2, abs=0.15)
        # Truncation is smooth; rounding is a sample of it, a third to three times the usual.
        assert (errors[long] / predicted[long] > 0.7).all()
        assert (errors[long] / predicted[long] < 1.3).all()
        assert (errors[short] / predicted[short] > 0.2).all()
        assert (errors[short] / predicted[short] < 5).all()
        floor = 1.5 * row["noise"] / optimum / row["norm"]  # at the optimum, bend h^2 is half
        assert row["auto_relative_error"] < 2.5 * floor
        assert optimum / 3 < row["auto_epsilon"] < 3 * optimum
        assert row["auto_relative_error"] < 2.5 * errors.min()
        assert floor < 100 * eps ** (2 / 3)
        best.append(optimum)
    random, top = best
    assert random > 3 * top  # no one step is good for both


def test_the_top_direction_is_the_top_eigenvector():
    objective = toys.gpt()
    largest = float(torch.linalg.eigvalsh(toys.dense_hessian(objective))[-1])
    _, top = read(objective, probes=1, epsilons=(1e-4,))
    assert top["curvature"] == pytest.approx(largest, rel=1e-3)
    assert top["norm"] == pytest.approx(largest, rel=1e-3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_extrapolated_reference_knows_its_own_error(dtype):
    objective = toys.gpt(dtype=dtype)
    epsilons = (3e-4, 3e-3, 3e-2)
    exact = read(objective, probes=2, epsilons=epsilons, reference="exact")
    found = read(objective, probes=2, epsilons=epsilons, reference="richardson")
    for true, other in zip(exact, found, strict=True):
        assert true["reference_error"] < 1e-12
        assert other["exact"] == 0
        # Its error against the exact one bounds what it does to every other error.
        shift = np.abs(other["relative_error"] - true["relative_error"]).max()
        assert shift < 5 * other["reference_error"]
        assert other["reference_error"] < 0.5 * true["auto_relative_error"]
        assert other["norm"] == pytest.approx(true["norm"], rel=5 * other["reference_error"])


class HalfWide(nn.Module):
    """Computes in float32 whatever it is given: what is differentiated, or a constant."""

    def __init__(self, constant):
        super().__init__()
        self.weight = nn.Parameter(toys.numbers(4, 6) / 2)
        self.register_buffer("scale", toys.numbers(6, seed=1))
        self.constant = constant

    def forward(self, x):
        if self.constant:
            return torch.tanh(x @ (self.weight * self.scale.float().to(x.dtype)))
        return torch.tanh((x @ self.weight).float() * self.scale.float()).to(x.dtype)


@pytest.mark.parametrize(("constant", "least", "most"), [(False, 1e-8, 1e-5), (True, 0, 1e-14)])
def test_a_reference_that_computes_in_float32_says_so(constant, least, most):
    """Of constants, both sides hold the same; what is differentiated is rounded anew."""
    objective = Objective(
        HalfWide(constant), lambda m, x: m(x).square().sum(), [toys.numbers(5, 4, seed=2)]
    )
    (row,) = read(objective, probes=1, top=False, epsilons=(1e-3,), reference="exact")
    assert least < row["reference_error"] < most


def test_what_bfloat16_parameters_make_of_a_step_is_measured():
    (row,) = read(toys.gpt(dtype=torch.bfloat16), probes=1, top=False, epsilons=(1e-3, 0.1, 1.0))
    near, middle, far = row["perturbation_error"]
    assert near > 0.9  # most parameters do not move at all
    assert near > 3 * middle > 9 * far
    assert far > 1e-3
    assert row["auto_relative_error"] < 0.3
    assert row["relative_error"][0] > row["auto_relative_error"]


def test_a_step_to_where_the_loss_is_not_finite_is_left_out():
    at = torch.full((3,), 2e-4, dtype=torch.float64)
    objective = Objective(toys.Point(at), lambda module, _: -torch.log(module()).sum(), [None])
    (row,) = read(objective, probes=1, top=False, epsilons=(1e-6, 1.0))
    assert row["relative_error"][0] < 1e-3
    assert math.isnan(row["relative_error"][1])


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"operator": "exact"}, r"operator 'exact' has no epsilon, .*; use operator=\"hessian\""),
        (
            {"operator": "fisher", "reference": "exact"},
            r"reference='exact' is the Hessian's, not that of 'fisher'; use reference='rich",
        ),
    ],
)
def test_what_cannot_be_compared_is_refused(options, text):
    with pytest.raises(InputError, match=text):
        list(accuracy(Accuracy(epsilons=(1e-3,), **options), surface_of(toys.gpt())))


def test_a_model_too_large_for_the_exact_reference(monkeypatch):
    monkeypatch.setattr("hessview.operators.reference.LARGEST", 100)
    with pytest.raises(
        InputError, match=r"gathers all 1,408 parameters .* allows up to 100: use reference='ri"
    ):
        read(toys.gpt(), epsilons=(1e-3,), reference="exact")
    (row,) = read(toys.gpt(), probes=1, top=False, epsilons=(1e-3,))
    assert row["exact"] == 0


@pytest.mark.ranks
def test_two_ranks_measure_what_one_process_does(torchrun):
    found = torchrun("accuracy", 2)
    assert found["restored"]
    worker = Worker(toys.gpt())
    for name, command in COMMANDS.items():
        rows, ended = found[name]
        expected, _ = measured(worker, command)
        assert ended == ("done", "")
        assert rows.keys() == expected.keys()
        for index, values in rows.items():
            assert values.keys() == expected[index].keys()
            for key in ("norm", "curvature", "alpha", "beta", "part_loss", "part_weight"):
                if key in values:
                    # Products in float64 at the given steps agree to their rounding.
                    assert values[key] == pytest.approx(expected[index][key], rel=2e-6), key
            if "relative_error" in values and values["relative_error"] > 1e-7:
                assert values["relative_error"] == pytest.approx(
                    expected[index]["relative_error"], rel=0.05
                )
