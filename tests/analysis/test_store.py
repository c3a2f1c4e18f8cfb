import numpy as np
import pytest
import xarray as xr

from hessview.analysis.ritz import ritz
from hessview.analysis.store import open_runs, to_netcdf, to_zarr
from hessview.analysis.summary import summary
from hessview.errors import InputError, RecordError, RecordWarning, RunDirectoryError
from hessview.record.collect import collect
from hessview.record.log import FILENAME, EventLog


@pytest.fixture
def payloads(measure, matrix):
    """Two runs, the second one cut short by an error."""
    first = measure(matrix, steps=6, probes=2, run="first", noise=1e-3)
    second = measure(matrix, steps=4, probes=2, run="b", stop=3, end="failed", error="disk full")
    return [*first, *list(second)[1:]]


@pytest.fixture
def run_dir(tmp_path, payloads):
    log = EventLog("job-1", tmp_path / FILENAME)
    for run, payload in payloads:
        log.append(payload, run)
    log.close()
    return tmp_path


def test_a_record_opens_as_a_tree_of_its_runs(run_dir):
    tree = open_runs(run_dir)
    assert list(tree.children) == ["first", "b"]
    assert dict(tree["first"].sizes) == {"probe": 2, "step": 6, "end": 2}
    assert dict(tree["b"].sizes) == {"probe": 2, "step": 4, "end": 2}
    assert tree["first"].alpha.notnull().all()
    assert int(tree["b"].alpha.notnull().sum()) == 3
    assert tree["b"].attrs["error"] == "disk full"


def test_a_record_opens_equal_to_the_live_fold(run_dir, payloads, number):
    tree, live = open_runs(str(run_dir)), collect(number(payloads))
    for run in live.runs:
        found, expected = tree[run].to_dataset(), live.dataset(run)
        found.attrs.pop("started")  # the log has its own clock
        expected.attrs.pop("started")
        xr.testing.assert_identical(found, expected)


def test_opening_changes_nothing_on_disk(run_dir):
    def state():
        return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in run_dir.iterdir()}

    before = state()
    open_runs(run_dir)
    assert state() == before


def test_a_record_opens_while_it_is_written(tmp_path, payloads):
    log = EventLog("job-1", tmp_path / FILENAME)
    for run, payload in payloads[:6]:
        log.append(payload, run)
    assert int(open_runs(tmp_path)["first"].alpha.notnull().sum()) == 3
    log.append(payloads[6][1], payloads[6][0])
    assert int(open_runs(tmp_path)["first"].alpha.notnull().sum()) == 4
    log.close()


def test_a_torn_last_line_is_passed_over_at_any_cut(run_dir):
    path = run_dir / FILENAME
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    kept = b"".join(lines[:7])
    for cut in range(0, len(lines[7]), 17):
        path.write_bytes(kept + lines[7][:cut])
        ds = open_runs(run_dir)["first"]  # a warning would be an error
        assert int(ds.alpha.notnull().sum()) == 4


def test_a_corrupt_line_is_left_out_by_name(run_dir):
    path = run_dir / FILENAME
    lines = path.read_bytes().splitlines(keepends=True)
    lines[4] = lines[4].replace(b'"alpha": ', b'"alpha": 9', 1)
    path.write_bytes(b"".join(lines))
    with pytest.warns(RecordWarning, match="line 5 of .* fails its checksum and is left out"):
        tree = open_runs(run_dir)
    alpha = tree["first"].alpha
    assert int(alpha.notnull().sum()) == 11
    assert alpha.isnull().sel(probe=0, step=2)
    # A quadrature needs every step: that of the damaged probe ends before the gap.
    assert np.isfinite(ritz(tree["first"].to_dataset()).node).sum("position").values.tolist() == [
        1,
        6,
    ]


def test_a_lost_command_costs_its_run_only(run_dir):
    path = run_dir / FILENAME
    lines = path.read_bytes().splitlines(keepends=True)
    lines[1] = b"x" * (len(lines[1]) - 1) + b"\n"
    path.write_bytes(b"".join(lines))
    with pytest.warns(RecordWarning) as caught:
        tree = open_runs(run_dir)
    assert list(tree.children) == ["b"]
    texts = {str(warning.message) for warning in caught}
    assert any("line 2 of" in text for text in texts)
    assert "events of run 'first' are left out: the record lacks its command." in texts
    assert len(texts) == 2  # not one for each reading


def test_a_missing_directory_or_record_says_what_to_pass(tmp_path, measure, matrix):
    with pytest.raises(RunDirectoryError, match=r"there is no run directory .*nowhere; check the"):
        open_runs(tmp_path / "nowhere")
    with pytest.raises(RunDirectoryError, match=r"is no run directory \(it holds neither job.json"):
        open_runs(tmp_path)
    (tmp_path / FILENAME).touch()
    with pytest.raises(RecordError, match="holds no run; attach to the job and ask for one"):
        open_runs(tmp_path)
    log = EventLog("job-1", tmp_path / FILENAME)
    log.append(next(measure(matrix, steps=1, probes=1))[1])
    log.close()
    with pytest.raises(RecordError, match="holds no run; attach to the job and ask for one"):
        open_runs(tmp_path)


@pytest.mark.parametrize("write", [to_netcdf, to_zarr])
@pytest.mark.parametrize("derive", [lambda ds: ds, ritz, summary])
def test_a_dataset_reopens_identical(write, derive, run_dir, tmp_path):
    ds = derive(open_runs(run_dir)["first"].to_dataset())
    path = write(ds, tmp_path / f"out.{write.__name__.removeprefix('to_')}")
    with xr.open_dataset(path) as reopened:
        assert reopened.load().identical(ds)  # also where ds prints itself in its own way


@pytest.mark.parametrize("write", [to_netcdf, to_zarr])
def test_a_tree_reopens_identical(write, run_dir, tmp_path):
    tree = open_runs(run_dir)
    path = write(tree, tmp_path / f"out.{write.__name__.removeprefix('to_')}")
    with xr.open_datatree(path) as reopened:
        xr.testing.assert_identical(reopened.load(), tree)


@pytest.mark.parametrize("write", [to_netcdf, to_zarr])
def test_an_export_never_overwrites(write, run_dir, tmp_path):
    tree = open_runs(run_dir)
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis.tex").write_text("2 years")
    with pytest.raises(InputError, match="precious exists; choose another path, or remove it"):
        write(tree, precious)
    assert (precious / "thesis.tex").read_text() == "2 years"
