"""Whatever lies in a run directory, each reader gives right numbers or one clear error.

`pytest tests/fuzz --fuzz-cases 20000 --fuzz-seed 7` for more, and other, cases. A case that fails
is run alone by `PYTHONPATH=tests python tests/fuzz/worker.py SEED CASE 1`.
"""

import collections
import itertools
import json
import os
import random
import subprocess
import sys

import numpy as np
import pytest

import hessview
from helpers.damage import OLD, Damage
from helpers.folders import ROOT, TESTS
from helpers.readers import Wrong, compare, understand


def test_every_reader_gives_right_numbers_or_a_clear_error(request):
    cases, seed = (request.config.getoption(f"--fuzz-{name}") for name in ("cases", "seed"))
    workers = min(4, os.cpu_count() or 1)
    bounds = [cases * place // workers for place in range(workers + 1)]
    paths = [str(ROOT), str(TESTS), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
    running = [
        subprocess.Popen(
            [
                sys.executable,
                str(TESTS / "fuzz" / "worker.py"),
                str(seed),
                str(first),
                str(last - first),
            ],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for first, last in itertools.pairwise(bounds)
    ]
    lines, counts, compared, slowest, largest = [], collections.Counter(), 0, (0, ""), (0, "")
    for one in running:
        out, problems = one.communicate()
        assert one.returncode == 0, f"a worker died: {problems[-2000:]}\n{out[-2000:]}"
        *failed, result = [json.loads(line) for line in out.splitlines()]
        lines += failed
        counts.update(result["counts"])
        compared += result["compared"]
        slowest = max(slowest, (result["slowest"], result["which"]))
        largest = max(largest, (result["largest"], result["of"]))
    print(dict(sorted(counts.items())), f"{compared:,} numbers compared")
    print(f"at most {slowest[0]} CPU seconds ({slowest[1]}), {largest[0]} MB ({largest[1]})")
    assert not lines, "\n".join(json.dumps(line) for line in lines[:20])
    assert sum(counts.values()) == cases
    assert compared > 50 * cases  # it would say little of numbers if few were left
    assert {name.partition(":")[0] for name in counts} == {
        *("open_runs", "watch", "jobs", "report", "dashboard", "attach", "wait", "launched"),
        *("start", "desk"),
    }


@pytest.fixture
def whole():
    tree = hessview.open_runs(OLD.parent)
    return {str(name): node.to_dataset() for name, node in tree.children.items()}


@pytest.fixture
def lines(whole):
    return understand(OLD.read_bytes(), whole)


@pytest.fixture
def untouched():
    return Damage(OLD.read_bytes(), random.Random(0))


def test_the_comparison_passes_what_is_whole(whole, lines, untouched):
    assert compare(whole, whole, untouched, lines) > 400


@pytest.mark.parametrize("factor", [1 + 1e-15, -1.0])
def test_the_comparison_sees_a_changed_number(factor, whole, lines, untouched):
    for run, ds in whole.items():
        name = next(iter(ds.data_vars))
        if not np.isfinite(ds[name].values).any():
            continue  # the run that failed
        changed = ds.copy(deep=True)
        place = tuple(np.argwhere(np.isfinite(ds[name].values) & (ds[name].values != 0))[-1])
        changed[name].values[place] *= factor
        with pytest.raises(Wrong, match="another number than was measured"):
            compare({**whole, run: changed}, whole, untouched, lines)


def test_the_comparison_sees_what_is_missing(whole, lines, untouched):
    run, ds = next((run, ds) for run, ds in whole.items() if "alpha" in ds)
    lost = ds.copy(deep=True)
    lost.alpha.values[0, 0] = np.nan
    with pytest.raises(Wrong, match="numbers lie whole in the record, and are missing"):
        compare({**whole, run: lost}, whole, untouched, lines)
    rest = {name: one for name, one in whole.items() if name != run}
    with pytest.raises(Wrong, match=f"run '{run}' is missing"):
        compare(rest, whole, untouched, lines)
