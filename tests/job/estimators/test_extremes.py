"""Largest and smallest eigenvalue with their bounds, from real products, against dense Hessians."""

import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import hessview
from helpers.study import study
from helpers.toys import numbers, quadratic
from hessview.job.estimators.density import density
from hessview.job.loss import ShardedLoss
from hessview.record.commands import Density


def row(ds, end):
    one = hessview.summary(ds).sel(quantity=end)
    return float(one.value), float(one.uncertainty), str(one.basis.item())


@pytest.mark.parametrize(
    ("kind", "state"),
    [
        ("mlp_tanh", "trained"),
        ("mlp_gelu", "random"),
        ("factors", "trained"),
        ("logistic", "random"),
    ],
)
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_bounds_of_smooth_models_hold_and_are_narrow(kind, state, precision):
    found = list(study.study([kind], [state], [precision]))
    assert len(found) == 2
    for one in found:
        assert study.holds(one.value, one.bound, one), one
        assert not np.isnan(one.value)
    largest = found[0]
    assert study.narrow(largest.value, largest.bound, largest), largest


@pytest.mark.parametrize("state", ["random", "trained"])
def test_no_bound_of_a_kinked_model_is_false(state):
    case = study.prepared("mlp_relu", state)
    true = study.truth(case, "float32")
    for probes in (1, 3):
        ds = study.measured(case, "float32", steps=40, probes=probes)
        for end, exact in (("largest", true[-1]), ("smallest", true[0])):
            value, bound, basis = row(ds, end)
            assert np.isnan(value) == basis.startswith("withheld: ")
            assert np.isnan(value) or abs(value - exact) <= bound


def test_more_steps_than_the_rank_leave_a_right_number_right():
    generator = torch.Generator().manual_seed(1)
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    inputs, labels = torch.randn(6, 3, generator=generator), torch.arange(6) % 2

    def loss(module, batch):
        return F.cross_entropy(module(batch[0]), batch[1], reduction="sum"), len(batch[1])

    case = study.Case(module, loss, (inputs, labels))
    true = study.truth(case, "float32")
    value, bound, basis = row(study.measured(case, "float32"), "largest")
    assert abs(value - true[-1]) <= bound < 1e-3 * true[-1]
    assert "not a derivative" not in basis


class Unequal(nn.Module):
    """A layer that a norm without parameters follows, so that its scale changes nothing."""

    def __init__(self, scale):
        super().__init__()
        self.before, self.after = nn.Linear(8, 12), nn.Linear(12, 4)
        with torch.no_grad():
            for parameter in self.before.parameters():
                parameter.mul_(scale)

    def forward(self, inputs):
        return self.after(torch.tanh(F.layer_norm(self.before(inputs), (12,))))


@pytest.mark.parametrize("scale", [1e4, 1e6])
def test_bounds_say_something_where_one_layer_outweighs_the_others(scale):
    torch.manual_seed(0)
    case = study.Case(Unequal(scale), study.classify, study.clusters())
    true = study.truth(case, "float32")
    ds = study.measured(case, "float32", steps=40, probes=4)
    for end, exact in (("largest", true[-1]), ("smallest", true[0])):
        value, bound, _ = row(ds, end)
        assert abs(value - exact) <= bound <= 0.1 * true[-1]


@pytest.fixture(scope="module", params=[nn.Tanh, nn.GELU])
def at_a_minimum(request):
    """A network at a minimum of its penalised loss over soft labels, in float64."""
    torch.manual_seed(0)
    module = study.layers(request.param, 8, 10, 4).double()
    inputs, target = study.clusters()
    soft = F.one_hot(target, 4) * 0.9 + 0.025

    def loss(module, batch):
        penalty = sum(parameter.square().sum() for parameter in module.parameters())
        fit = -(module(batch[0]).log_softmax(-1) * batch[1]).sum()
        return fit + 5e-4 * len(inputs) * penalty, float(len(inputs))

    case = study.Case(module, loss, (inputs.double(), soft.double()))
    settings = {"tolerance_grad": 1e-12, "tolerance_change": 0, "line_search_fn": "strong_wolfe"}
    optimiser = torch.optim.LBFGS(module.parameters(), max_iter=2000, **settings)

    def closure():
        optimiser.zero_grad()
        total, weight = loss(module, case.batch)
        (total / weight).backward()
        return total / weight

    optimiser.step(closure)
    assert sum(float(p.grad.square().sum()) for p in module.parameters()) < 1e-12
    module.zero_grad(set_to_none=True)
    return case


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_bounds_hold_and_are_narrow_at_a_minimum(at_a_minimum, precision):
    true = study.truth(at_a_minimum, "float64")
    ds = study.measured(at_a_minimum, precision, steps=40, probes=4)
    for end, exact in (("largest", true[-1]), ("smallest", true[0])):
        value, bound, basis = row(ds, end)
        assert np.abs(value - true).min() <= bound <= 0.01 * true[-1]
        # Beside the smallest lie others, from which 40 steps do not tell it, as the basis says.
        assert abs(value - exact) <= (bound if end == "largest" else 0.003 * np.ptp(true))
        assert end == "largest" or "none below by more than 0.003 of the range" in basis


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("operator", ["hessian", "exact"])
def test_a_rounded_number_never_has_no_error(operator, dtype):
    for size, seed in itertools.product((1, 2, 5), range(4)):
        turn, _ = torch.linalg.qr(numbers(size, size, seed=seed))
        values = torch.linspace(0.7, 3.1, size, dtype=torch.float64)
        matrix = (turn * values) @ turn.T
        objective = quadratic(matrix, numbers(size, seed=9 + seed, dtype=dtype))
        with hessview.local(objective) as session:
            ds = session.density(steps=size, probes=2, operator=operator).wait(60)
        true = np.linalg.eigvalsh(matrix.to(dtype).double().numpy())
        for end, exact in (("largest", true[-1]), ("smallest", true[0])):
            value, bound, _ = row(ds, end)
            assert bound > 0
            # Rounded to dtype twice: the matrix, which is not symmetric any more, and its product.
            assert abs(value - exact) <= bound + torch.finfo(dtype).eps * true[-1]


@pytest.fixture
def case():
    return study.prepared("mlp_tanh", "trained")


def test_a_run_that_is_cancelled_midway_keeps_true_bounds(case):
    true = study.truth(case, "float32")
    ds = study.measured(case, "float32", steps=40, probes=1)
    without = [name for name in ds if str(name).startswith("pair_")]
    for left in (12, 20, 30):
        cut = ds.drop_vars(without).isel(step=slice(left))
        value, bound, basis = row(cut, "largest")
        assert abs(value - true[-1]) <= bound
        assert "of neighbours where none was measured" in basis


def test_without_d_nothing_is_measured_anew_and_it_is_said(case):
    with hessview.local(hessview.Objective(case.module, case.loss, [case.batch])) as session:
        ds = session.density(steps=12, probes=1, error_every=0).wait(60)
        windowed = session.density(steps=12, probes=1, reorthogonalize=4).wait(60)
    assert ds.pair_value.isnull().all()
    assert windowed.pair_value.isnull().all()
    assert ds.asymmetry.notnull().all()
    assert "product error not measured, asymmetry " in row(ds, "largest")[2]
    assert "of neighbours" in row(windowed, "largest")[2]


def test_what_is_measured_anew_is_counted_in_gradients(case, monkeypatch):
    surface = ShardedLoss(hessview.Objective(case.module, case.loss, [case.batch]), lambda n: n)
    surface.measure()
    calls = []
    gradient = surface.gradient
    monkeypatch.setattr(
        surface, "gradient", lambda *given, **named: (calls.append(1), gradient(*given, **named))[1]
    )
    readings = list(density(Density(steps=9, probes=2), surface))
    told = sum(np.sum(r.values.get("gradients", 0.0)) for r in readings)
    anew = sum(np.sum(r.values.get("pair_gradients", 0.0)) for r in readings)
    assert told + anew == len(calls)
    assert anew >= 2 * 2 * 3 * 2  # probes, ends, three products of two gradients at the least


def test_the_ritz_vector_measured_anew_has_its_ritz_value(case):
    ds = study.measured(case, "float64", steps=30, probes=2)
    found = hessview.ritz(ds)
    for probe in range(2):
        ends = found.node.values[probe][[-1, 0]]
        np.testing.assert_allclose(ds.pair_value.values[probe], ends, rtol=0, atol=1e-8)
    assert (ds.pair_steps == 30).all()
    assert (ds.pair_error < 1e-3).all()


def test_copies_under_a_window_are_merged_and_said(case):
    objective = hessview.Objective(case.module, case.loss, [case.batch])
    with hessview.local(objective) as session:
        ds = session.density(steps=100, probes=1, reorthogonalize="none").wait(120)
        full = session.density(steps=60, probes=1).wait(120)
    found = hessview.ritz(ds)
    assert float(found.copies.max()) > 1
    assert float(found.copies.sum()) == 100
    nodes = found.node.values[0]
    true = hessview.ritz(full).node.values[0][::-1][:3]
    np.testing.assert_allclose(nodes[np.isfinite(nodes)][::-1][:3], true, rtol=1e-3)
    assert "copies merged" in row(ds, "largest")[2]
    assert float(found.weight.sum()) == pytest.approx(1, abs=1e-9)


def test_sweeps_hold_the_asymmetry_and_what_was_measured_anew(case):
    with hessview.local(hessview.Objective(case.module, case.loss, [case.batch])) as session:
        ds = session.sweep(epsilons=[1e-3, 1e-2], steps=6, probes=1).wait(60)
    assert ds.asymmetry.dims == ("epsilon", "probe", "step")
    assert ds.asymmetry.notnull().all()
    assert ds.pair_value.notnull().all()
    one = hessview.summary(ds.isel(epsilon=0))
    assert "along it" in str(one.basis.sel(quantity="largest").item())
