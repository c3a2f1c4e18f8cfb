import numpy as np
import pytest
import torch

import hessview
from helpers.toys import numbers, quadratic
from hessview.errors import InputError
from hessview.job.estimators.density import FEWEST, Probe, settled
from hessview.record.commands import Density


@pytest.fixture
def session():
    """A quadratic whose trace is 60 and whose largest eigenvalue is 3.5."""
    turn, _ = torch.linalg.qr(numbers(30, 30))
    matrix = turn @ torch.diag(torch.linspace(0.5, 3.5, 30, dtype=torch.float64)) @ turn.T
    with hessview.local(quadratic(matrix, numbers(30, seed=1))) as session:
        yield session


def test_a_run_ends_once_its_trace_has_settled(session):
    run = session.density(steps=4, probes=200, tolerance=0.02)
    ds = run.wait(timeout=60)
    whole = ds.alpha.notnull().all("step").values
    used = int(whole.sum())
    assert FEWEST <= used < 200
    assert not ds.alpha.isel(probe=slice(used, None)).notnull().any()
    assert ds.attrs["note"] == (
        f"trace settled to {_relative_error(ds, used):.2g} of itself after {used} of 200 probes "
        "(tolerance 0.02)"
    )
    table = hessview.summary(ds).sel(quantity="trace")
    # What settles is the standard error; the interval at 95 % is about twice as wide.
    assert 0.01 < float(table.uncertainty) / float(table.value) < 0.05
    assert float(table.value) == pytest.approx(60, rel=5 * 0.02)


def test_the_probe_before_had_not_settled(session):
    ds = session.density(steps=4, probes=200, tolerance=0.02).wait(timeout=60)
    used = int(ds.alpha.notnull().all("step").sum())
    assert used == FEWEST or _relative_error(ds, used - 1) > 0.02


def test_a_largest_eigenvalue_settles_by_its_residual_and_spread(session):
    ds = session.density(steps=20, probes=50, tolerance=1e-3, quantity="largest").wait(timeout=60)
    assert "largest settled" in ds.attrs["note"]
    largest = float(hessview.summary(ds).value.sel(quantity="largest"))
    assert largest == pytest.approx(3.5, rel=1e-3)
    coarse = session.density(steps=3, probes=6, tolerance=1e-3, quantity="largest").wait(timeout=60)
    assert "note" not in coarse.attrs  # three steps leave a residual that no probe mends


def test_few_probes_are_not_believed_even_if_they_agree():
    command = Density(probes=9, tolerance=0.5)
    agreeing = [Probe([1.0], [0.1], {})] * FEWEST
    assert settled(command, agreeing[:-1]) == ""
    assert settled(command, agreeing).startswith("trace settled to 0 of itself after 4 of 9")


def test_the_frobenius_norm_has_the_error_of_its_square_halved():
    squares = np.array([4.0, 4.4, 3.6, 4.2])
    probes = [Probe([float(np.sqrt(square))], [0.0], {}) for square in squares]
    relative = squares.std(ddof=1) / 2 / (2 * squares.mean())
    quantity = "frobenius_norm"
    assert settled(Density(probes=9, tolerance=relative * 1.01, quantity=quantity), probes)
    assert not settled(Density(probes=9, tolerance=relative * 0.99, quantity=quantity), probes)


def test_a_tolerance_needs_a_spread():
    with pytest.raises(InputError, match=r"tolerance=0.1 with probes=1 has no spread .* probes >="):
        Density(probes=1, tolerance=0.1)
    with pytest.raises(InputError, match=r"quantity='mode' is not allowed; use one of \['trace'"):
        Density(quantity="mode")
    with pytest.raises(InputError, match="tolerance=0 is not allowed; use a finite number > 0"):
        Density(tolerance=0)


def _relative_error(ds, count):
    first = ds.alpha.isel(step=0).values[:count]
    return first.std(ddof=1) / np.sqrt(count) / abs(first.mean())
