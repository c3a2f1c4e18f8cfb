import json
import sys

import pytest
import torch

import hessview
from helpers.toys import gpt
from hessview.analysis.benchmark import benchmark, format_benchmark
from hessview.cli import main
from hessview.errors import InputError, RecordError, RunFailedError
from hessview.job.control import Reduction
from hessview.job.estimators.benchmark import _peak_memory
from hessview.job.loss import ShardedLoss
from hessview.record.commands import Benchmark


@pytest.fixture
def session():
    with hessview.local(gpt()) as session:
        yield session


def test_products_are_compared_with_gradients_of_the_same_repetition(session):
    run = session.benchmark(operators=["hessian", "hessian_forward"], depths=[9, 2], repetitions=3)
    ds = run.wait(timeout=120)
    ratios = benchmark(ds)
    assert list(ratios.work.values) == ["gradient", "hessian", "hessian_forward"]
    assert list(ratios.depth.values) == [2, 9]
    assert float(ratios.ratio.sel(work="gradient")) == 1
    assert float(ratios.spread.sel(work="gradient")) > 0  # no two times are the same
    assert ratios.attrs["repetitions"] == 3
    # A process of its own has no collectives; test_ranks counts them on several.
    assert float(ratios.collectives.sum()) == 0
    table = format_benchmark(ratios).splitlines()
    assert len(table) >= 1 + 3 + 2 + 1
    assert table[2].split()[0] == "hessian"


def test_nothing_timed_yet_says_so(session):
    with pytest.raises(RecordError, match="nothing was timed yet; wait for the first repetition"):
        benchmark(session.benchmark(repetitions=1).dataset.isel(repetition=slice(0, 0)))
    with pytest.raises(RecordError, match="pass the dataset of a benchmark run"):
        benchmark(session.density(steps=1, probes=1).wait(timeout=60))


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from /proc")
def test_peak_memory_counts_what_the_allocator_had_kept():
    surface = ShardedLoss(gpt(), Reduction())

    kept = []

    def work():
        # Small enough to come from the heap, of which nothing goes back below what is in use.
        kept.append([torch.ones(2**14) for _ in range(640)][-1])

    work()
    for _ in range(3):
        assert _peak_memory(surface, work) == pytest.approx(40 * 2**20, rel=0.2)


def test_depths_beyond_the_parameters_are_refused(session):
    run = session.benchmark(depths=[10**9], repetitions=1)
    with pytest.raises(RunFailedError, match=r"depths=\[1000000000\] exceed the .* parameters"):
        run.wait(timeout=60)
    with pytest.raises(InputError, match="depths=0 is not allowed"):
        Benchmark(depths=(0,))


@pytest.mark.ranks
def test_the_command_line_counts_collectives_on_two_ranks(tmp_path, capsys):
    out = tmp_path / "bench.json"
    arguments = ["tiny", "--tokens", "512", "--length", "64", "--batch", "4", "--depths", "1"]
    arguments += ["--repetitions", "1", "--run-dir", str(tmp_path / "run"), "--json", str(out)]
    assert main(["bench", *arguments]) == 0
    assert "858,880 parameters on 2 ranks" in capsys.readouterr().out
    counts = json.loads(out.read_text())["data_vars"]["collectives"]["data"]
    gradient, product = counts
    assert gradient[0] > gradient[1] > gradient[2] == 0
    assert product == [2 * gradient[0], 2 * gradient[1], 1]
