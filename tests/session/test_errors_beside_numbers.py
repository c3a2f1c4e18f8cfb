"""No number without its error: over every command, as a real run gives them."""

import re

import numpy as np
import pytest
import torch

import hessview
from helpers import toys
from hessview.analysis.accuracy import theory
from hessview.analysis.benchmark import benchmark, format_benchmark
from hessview.analysis.summary import format_summary
from hessview.analysis.sweep import distances
from hessview.record.measurements import MEASUREMENTS

ASK = {
    "density": lambda session: session.density(steps=6, probes=2, error_every=2),
    "accuracy": lambda session: session.accuracy(epsilons=[1e-3, 1e-2], probes=1),
    "epsilon_sweep": lambda session: session.sweep(epsilons=[1e-3, 1e-2], steps=4, probes=2),
    "fraction_sweep": lambda session: session.sweep(fractions=[0.4, 1], steps=4, probes=2),
    "coupling": lambda session: session.coupling(probes=2),
    "benchmark": lambda session: session.benchmark(repetitions=3, depths=[2, 4]),
}


@pytest.fixture(scope="module")
def datasets():
    assert ASK.keys() == MEASUREMENTS.keys()
    with hessview.local(toys.gpt(dtype=torch.float32)) as session:
        yield {name: ask(session).wait(120) for name, ask in ASK.items()}


@pytest.mark.parametrize("name", [name for name in ASK if name != "benchmark"])
def test_step_rho_and_d_are_recorded(datasets, name):
    ds = datasets[name]
    assert (ds.epsilon > 0).all()
    assert np.isfinite(ds.rho).all()
    assert (ds.rho > 0).all()
    measured = {  # D costs a product of its own, so that only accuracy has it everywhere
        "density": lambda error: error.isel(step=[0, 1, 3, 5]),
        "accuracy": lambda error: error,
        "epsilon_sweep": lambda error: error.isel(step=[0, 1]),
        "fraction_sweep": lambda error: error.isel(step=[0, 1]),
        "coupling": lambda error: error.isel(probe=0),
    }[name](ds.error)
    assert measured.size
    assert (measured > 0).all()
    assert int(np.isfinite(ds.error).sum()) == measured.size
    if name == "coupling":
        assert float(ds.product_error[0]) > 0
        assert (ds.disagreement > 0).all()
    if name == "accuracy":
        for each in ("auto_epsilon", "auto_rho", "auto_error", "reference_error"):
            assert (ds[each] > 0).all(), each


def has_error(line):
    """Whether a number has its error beside it, or both ends where ± would reach too far."""
    return " ± " in line or re.search(r"\(\S+ to \S+\)", line) is not None


def test_every_line_of_a_summary_has_an_error(datasets):
    found = hessview.summary(datasets["density"])
    assert np.isfinite(found.value).all()
    assert np.isfinite(found.uncertainty).all()
    assert (found.uncertainty[:4] > 0).all()  # no node near zero: a mass of 0, in every probe
    lines = format_summary(found).split("\n")
    assert len(lines) == found.sizes["quantity"] == 6
    assert all(has_error(line) for line in lines)
    for line in lines[:4]:
        assert "product error D = " in line


def test_a_summary_says_which_errors_it_lacks():
    with hessview.local(toys.gpt(dtype=torch.float32)) as session:
        ds = session.density(steps=4, probes=1, error_every=0).wait(60)
    found = hessview.summary(ds)
    lines = format_summary(found).split("\n")
    for line, uncertainty in zip(lines, found.uncertainty.values, strict=True):
        assert np.isfinite(uncertainty) == has_error(line)
        assert "product error not measured" in line if has_error(line) else "1 probe" in line


@pytest.mark.parametrize("name", list(ASK))
def test_a_summary_of_any_command_prints_its_numbers_with_errors(datasets, name):
    found = hessview.summary(datasets[name])
    printed = repr(found)
    assert printed.startswith(name.replace("_", " "))
    assert " ± " in printed or "%" in printed
    assert "nan" not in printed.lower()
    assert "<xarray" not in printed


def test_what_is_derived_from_the_others_has_its_error_beside_it(datasets):
    coupling = hessview.coupling_summary(datasets["coupling"])
    for name in ("spread", "noise", "uncertainty"):
        assert (coupling[name] > 0).all(), name
    assert all("noise" in str(basis) for basis in coupling.basis.values)
    assert np.isfinite(coupling.frobenius_noise).all()
    for name in ("epsilon_sweep", "fraction_sweep"):
        apart = distances(datasets[name])
        assert np.isfinite(apart.distance).all()
        assert (apart.low <= apart.distance).all()
        assert (apart.distance <= apart.high).all()
        other = apart.distance > 0  # the reference is nowhere apart from itself
        assert int(other.sum()) == 1
        assert (apart.low < apart.high).where(other, True).all()
        assert np.isfinite(apart.resolution).all()
        assert (apart.product_error > 0).all()
    assert "resolved" in theory(datasets["accuracy"])
    ratios = benchmark(datasets["benchmark"])
    assert np.isfinite(ratios.spread).all()
    assert np.isfinite(ratios.overhead_spread).all()
    *lines, step, level = format_benchmark(ratios).split("\n")[1:]
    assert all(" ± " in line for line in [*lines, step])
    assert step.startswith("Lanczos step 4: + ")
    assert level.startswith("median of 3 repetitions; ± reaches to the farthest of them")
