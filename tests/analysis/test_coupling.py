import numpy as np
import pytest

import hessview
from helpers.coupled import NAMES, dataset, operator, payloads
from helpers.emulated import by_hand
from helpers.emulated import dataset as density_dataset
from hessview.analysis.coupling import (
    CONTRADICTED,
    DOUBTED,
    FEW,
    TRUSTED,
    WORTHLESS,
    coupling_summary,
    verdicts,
)
from hessview.analysis.store import to_netcdf, to_zarr
from hessview.analysis.summary import format_summary
from hessview.errors import RecordError
from hessview.record.collect import collect
from hessview.record.events import Event, RunQueued

SIZES = (40, 60, 60, 30)


def norms(matrix):
    """Frobenius norm of every block."""
    rows = np.split(np.arange(len(matrix)), np.cumsum(SIZES)[:-1])
    return np.array([[np.linalg.norm(matrix[np.ix_(r, c)]) for c in rows] for r in rows])


def row(found, quantity):
    return found.sel(quantity=quantity)


def test_the_dataset_has_the_blocks_names_and_spans_what_it_measures():
    ds = dataset(operator(SIZES), SIZES, probes=2)
    assert ds.response_norm.dims == ("probe", "block", "column")
    assert ds.epsilon.dims == ("probe", "column")
    assert ds.kappa.dims == ("probe",)
    assert ds.row_error.dims == ("probe", "block")
    assert list(ds.block.values) == list(ds.column.values) == list(NAMES)
    assert np.isfinite(ds.response_norm).all()
    assert np.isnan(ds.noise.sel(probe=1)).all()
    assert ds.attrs["command"] == "coupling"


def test_blocks_that_were_asked_for_name_the_dataset():
    from hessview.record.commands import Coupling, command_to_json

    command = Coupling(blocks={"attention": "*attn*", "mlp": "*mlp*"}, probes=1)
    events = [RunQueued(command=command_to_json(command))]
    made = collect([Event(seq=1, time=0.0, job="a", run="b", payload=events[0])]).dataset("b")
    assert list(made.block.values) == ["attention", "mlp"]
    assert made.response_norm.shape == (1, 2, 2)


def test_frobenius_norms_and_identities_over_many_probes():
    matrix = operator(SIZES, strength=0.3)
    found = coupling_summary(dataset(matrix, SIZES, probes=200))
    exact = norms(matrix)
    # Five standard errors: chance alone does not reach that in 16 cells.
    assert (np.abs(found.frobenius - exact) < 5 * found.frobenius_spread).all()
    assert (found.frobenius_spread < 0.02 * exact).all()
    np.testing.assert_allclose(found.frobenius, found.frobenius.values.T, rtol=0.05)
    own = np.sqrt(np.diagonal(exact))
    np.testing.assert_allclose(found.coefficient, exact / np.outer(own, own), rtol=0.05)
    share = 1 - np.sum(np.diagonal(exact) ** 2) / np.sum(exact**2)
    kappa = row(found, "kappa")
    assert abs(float(kappa.value) - 1) < 4 * float(kappa.spread) < 0.1
    assert float(kappa.expected) == 1
    assert float(row(found, "block_error").value) == pytest.approx(np.sqrt(share), rel=0.03)
    assert float(row(found, "cosine").value) == pytest.approx(np.sqrt(1 - share), rel=0.03)
    for name in ("block_error_pooled", "cosine_pooled"):
        assert float(row(found, name).expected) == pytest.approx(
            float(row(found, name).value), rel=0.03
        )
    assert np.isnan(row(found, "block_error").expected)  # of which theory says nothing
    assert list(found.verdict.values) == [TRUSTED] * 5
    assert (found.verdict_of_cell.values == TRUSTED).all()
    assert (found.verdict_of_row.values == TRUSTED).all()
    pooled = row(found, "block_error_pooled")
    assert abs(float(pooled.value) - np.sqrt(share)) < float(pooled.uncertainty) < 0.02
    pooled = row(found, "cosine_pooled")
    assert abs(float(pooled.value) - np.sqrt(1 - share)) < float(pooled.uncertainty) < 0.02


def test_a_block_diagonal_operator_is_trusted_to_be_one():
    found = coupling_summary(dataset(operator(SIZES, strength=0.0), SIZES))
    assert found.value.values == pytest.approx([0, 0, 1, 1, 1], abs=1e-14)
    assert list(found.verdict.values) == [TRUSTED] * 5
    np.testing.assert_allclose(found.coefficient, np.eye(4), atol=1e-14)
    assert found.coefficient.values[0, 1] == 0
    assert (found.verdict_of_cell.values == TRUSTED).all()  # exactly 0, and not by noise


def test_the_standard_error_is_that_over_probes():
    ds = dataset(operator(SIZES), SIZES, probes=5)
    found = coupling_summary(ds)
    for name in ("block_error", "cosine"):
        values = ds[name].values
        assert float(row(found, name).value) == pytest.approx(values.mean())
        assert float(row(found, name).spread) == pytest.approx(values.std(ddof=1) / np.sqrt(5))
    assert "Student's t over 5 probes and noise" in str(row(found, "cosine").basis.item())
    for one in (row(found, name) for name in found["quantity"].values):
        reach = 2.776445 * float(one.spread)  # Student's t at 0.975 with 4 degrees of freedom
        assert float(one.uncertainty) == pytest.approx(reach + float(one.noise))
        assert float(one.high) - float(one.low) == pytest.approx(2 * float(one.uncertainty))


def block_means(probes):
    """A rank-one operator in 24 blocks, as theory has it: share 23/24, kappa 1."""
    sizes = (12,) * 24
    direction = np.random.default_rng(0).normal(size=sum(sizes))
    direction /= np.linalg.norm(direction)
    names = [f"b{place}" for place in range(24)]
    matrix = 10 * np.outer(direction, direction)
    return coupling_summary(dataset(matrix, sizes, probes=probes, names=names))


def test_the_mean_of_ratios_is_not_the_ratio_of_means():
    """Exact products of a rank-one operator: the first exceeds 1, the second cannot."""
    found = block_means(64)
    both = row(found, "block_error"), row(found, "block_error_pooled")
    assert float(both[0].value) > 1
    assert str(both[0].verdict.item()) == FEW
    assert float(both[1].value) == pytest.approx(np.sqrt(23 / 24), abs=0.02)
    assert float(both[1].low) <= np.sqrt(23 / 24) <= float(both[1].high)
    assert float(both[0].noise) < 1e-12
    assert "block_error below 1" not in found.attrs["comment"]
    assert "may exceed 1 with exact products too" in found.attrs["comment"]


def test_kappa_of_few_probes_is_not_called_trustworthy():
    found = coupling_summary(dataset(operator(SIZES), SIZES, probes=2))
    kappa = row(found, "kappa")
    assert float(kappa.noise) < 1e-12
    assert float(kappa.uncertainty) > 0.1
    assert str(kappa.verdict.item()) == FEW
    one = coupling_summary(dataset(operator(SIZES), SIZES, probes=1))
    assert list(one.verdict.values) == [FEW] * 5
    assert np.isnan(one.uncertainty).all()


def test_kappa_far_from_one_contradicts_exact_products():
    """0.842 +- 0.005 with hardly any noise: something errs that the noise does not show."""
    ds = by_hand(dataset(operator(SIZES), SIZES, probes=40))
    assert str(row(coupling_summary(ds), "kappa").verdict.item()) == TRUSTED
    ds["kappa"] = 0.842 * ds.kappa
    found = coupling_summary(ds)
    assert str(row(found, "kappa").verdict.item()) == CONTRADICTED
    from hessview.views.coupling import warning

    assert "where exact products average to 1" in warning(found)


def test_intervals_of_the_pooled_numbers_hold_the_truth():
    sizes = (20, 30, 10)
    matrix = operator(sizes)
    rows = np.split(np.arange(60), np.cumsum(sizes)[:-1])
    own = sum(np.linalg.norm(matrix[np.ix_(r, r)]) ** 2 for r in rows)
    share = 1 - own / np.linalg.norm(matrix) ** 2
    truth = {
        "block_error_pooled": np.sqrt(share), "cosine_pooled": np.sqrt(1 - share), "kappa": 1.0
    }  # fmt: skip
    held = dict.fromkeys(truth, 0)
    for seed in range(100):
        ds = dataset(matrix, sizes, probes=6, seed=seed, names=("a", "b", "c"))
        found = coupling_summary(ds)
        for name, value in truth.items():
            held[name] += float(row(found, name).low) <= value <= float(row(found, name).high)
    # The binomial window of 99.9 % about 95 of 100, but for the bias of ratios of 6 probes.
    assert min(held.values()) >= 86, held


@pytest.mark.parametrize("dim", ["probe", "block", "column"])
@pytest.mark.parametrize("how", ["mean", "median", "max"])
def test_what_was_averaged_is_no_run(how, dim):
    ds = dataset(operator(SIZES), SIZES)
    with pytest.raises(RecordError, match=rf"without {dim}: an average over {dim} .* pass the"):
        coupling_summary(getattr(ds, how)(dim))


def test_one_probe_may_be_chosen_but_no_part_of_the_matrix():
    ds = dataset(operator(SIZES), SIZES)
    assert np.isfinite(coupling_summary(ds.isel(probe=1)).value).all()
    with pytest.raises(RecordError, match="2 blocks and 4 columns are left, which are not the"):
        coupling_summary(ds.isel(block=[0, 1]))
    with pytest.raises(RecordError, match=r"response_norm has gaps within .* was masked"):
        coupling_summary(ds.where(ds.response_norm > float(ds.response_norm.median())))


def test_the_error_of_a_coefficient_is_how_it_scatters_over_seeds():
    sizes = (20, 30, 10)
    matrix = operator(sizes)
    runs = [
        coupling_summary(dataset(matrix, sizes, probes=8, seed=seed, names=("a", "b", "c")))
        for seed in range(60)
    ]
    scatter = np.std([run.coefficient.values for run in runs], axis=0, ddof=1)
    told = np.sqrt(np.mean([run.coefficient_spread.values**2 for run in runs], axis=0))
    apart = ~np.eye(3, dtype=bool)
    np.testing.assert_allclose(told[apart], scatter[apart], rtol=0.3)
    np.testing.assert_allclose(told[~apart], 0, atol=1e-12)  # over itself: 1 by definition


@pytest.mark.parametrize(
    ("noise", "word"), [(0.0, TRUSTED), (0.02, TRUSTED), (0.2, DOUBTED), (1.0, WORTHLESS)]
)
def test_noise_is_seen_and_covers_the_change_that_it_makes(noise, word):
    matrix = operator(SIZES, strength=0.3)
    found = coupling_summary(dataset(matrix, SIZES, noise=noise))
    exact = coupling_summary(dataset(matrix, SIZES))
    assert str(row(found, "block_error").verdict.item()) == word
    change = np.abs(found.value - exact.value)
    assert (change <= found.uncertainty + exact.spread).all()


def test_products_of_mere_noise_look_like_curvature_that_no_block_holds():
    matrix = operator(SIZES, strength=0.3)
    found = coupling_summary(dataset(matrix, SIZES, noise=1e4, probes=8))
    exact = coupling_summary(dataset(matrix, SIZES, probes=8))
    assert float(row(exact, "block_error").value) < 0.6 < float(row(exact, "cosine").value)
    assert float(row(found, "block_error").value) > 1  # beyond what exact products can give
    assert abs(float(row(found, "cosine").value)) < 0.1
    assert list(found.verdict.values) == [WORTHLESS] * 5
    assert (found.verdict_of_row.values == WORTHLESS).all()
    assert (found.verdict_of_cell.values == WORTHLESS).all()
    # Two vectors of independent noise differ by sqrt(2) of their norm.
    assert "noise 1.4: dominated by noise" in str(row(found, "block_error").basis.item())


@pytest.mark.parametrize("noise", [1e-3, 0.3, 2.0])
@pytest.mark.parametrize("probes", [2, 3, 8])
def test_no_range_reaches_beyond_what_a_quantity_can_be(noise, probes):
    ds = dataset(operator(SIZES, strength=0.3), SIZES, noise=noise, probes=probes)
    found = coupling_summary(ds)
    for name, (least, most) in (("block_error", (0, np.inf)), ("cosine", (-1, 1))):
        for quantity in (name, f"{name}_pooled"):
            one = row(found, quantity)
            assert least <= one.low <= one.value <= one.high <= most
            reach = float(one.uncertainty)
            inside = least <= one.value - reach and one.value + reach <= most
            (line,) = format_summary(found.sel(quantity=[quantity])).splitlines()
            assert (" ± " in line) == inside
            assert (" to " in line) == (not inside)


def test_an_error_that_product_and_columns_share_counts_too():
    ds = by_hand(dataset(operator(SIZES), SIZES))
    ds.product_error[0] = 0.6  # a step too long for all of them
    ds.product_error[1:] = np.nan
    found = coupling_summary(ds)
    assert list(found.verdict.values) == [WORTHLESS] * 5
    assert float(row(found, "block_error").noise) == 0.6
    ds.product_error[:] = np.nan  # an operator without a step
    assert str(row(coupling_summary(ds), "block_error").verdict.item()) == TRUSTED


@pytest.mark.parametrize("stop", [0, 1, 3, 6])
def test_a_run_under_way_gives_what_it_has(stop):
    ds = dataset(operator(SIZES), SIZES, stop=stop, end="")
    found = coupling_summary(ds)
    seen = np.isfinite(found.frobenius.values).all(axis=0)
    assert seen.sum() == min(stop, 4)
    if stop < 5:
        assert np.isnan(found.value).all()
        assert list(found.verdict.values) == ["not measured"] * 5
        assert str(found.basis.values[0]) == "no probe is finished yet"
    else:
        assert np.isfinite(found.value).all()
        assert np.isnan(found.spread).all()
        assert "1 probe, no spread and noise" in str(found.basis.values[0])


@pytest.mark.parametrize(
    ("noise", "scale", "word"),
    [
        (0.0, 0.0, TRUSTED),
        (1e-3, 0.0, WORTHLESS),
        (0.09, 1.0, TRUSTED),
        (0.1, 1.0, DOUBTED),
        (0.5, 1.0, WORTHLESS),
        (0.5, 10.0, TRUSTED),
        (np.nan, 1.0, "not measured"),
        (0.1, np.nan, "not measured"),
        (np.inf, 1.0, WORTHLESS),
    ],
)
def test_verdicts(noise, scale, word):
    assert verdicts(noise, scale=scale).item() == word


def test_it_reads_as_a_table():
    text = format_summary(coupling_summary(dataset(operator(SIZES), SIZES)))
    assert [line.split("  ")[0] for line in text.splitlines()] == [
        "block error", "block error pooled", "cosine", "cosine pooled", "kappa"
    ]  # fmt: skip
    assert " ± " in text.splitlines()[0]


def test_it_is_kept_on_disk_as_it_is(tmp_path):
    import xarray as xr

    ds = dataset(operator(SIZES), SIZES, probes=1)
    with xr.open_dataset(to_netcdf(ds, tmp_path / "a.nc"), engine="h5netcdf") as kept:
        np.testing.assert_array_equal(kept.response_norm, ds.response_norm)
        assert list(kept.block.values) == list(NAMES)
    with xr.open_zarr(to_zarr(ds, tmp_path / "a.zarr")) as kept:
        assert list(kept.column.values) == list(NAMES)


def test_other_datasets_are_refused():
    with pytest.raises(RecordError, match=r"not response_norm and disagreement; pass the dataset"):
        coupling_summary(density_dataset(probes=1, steps=2))


def test_readings_of_the_emulation_are_as_many_as_columns_and_probes():
    kinds = [type(p).__name__ for p in payloads(operator(SIZES), SIZES, probes=2)]
    assert kinds.count("Reading") == 2 * (4 + 1)


def test_it_is_public():
    assert hessview.coupling_summary is coupling_summary
