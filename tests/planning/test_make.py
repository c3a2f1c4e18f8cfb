import json
import math
import os
import sys

import pytest
import torch.distributed as dist
from transformers import LlamaConfig

import hessview
from helpers.folders import JOBS
from hessview.cli import main
from hessview.errors import InputError, JobError
from hessview.planning import timed
from ranks.plan import EPSILON, LARGE, OPERATORS_SEEN, SIZES, WEIGHED

NEAR = 0.2  # of a resident set, with gloo's own buffers and what the heap keeps
HEAP = str(2**16)  # bytes; glibc takes larger blocks from the system, and gives them back


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A language model's configuration: no weights, no tokenizer, rows that do not divide."""
    path = tmp_path_factory.mktemp("llama")
    LlamaConfig(
        vocab_size=2049,
        hidden_size=256,
        intermediate_size=768,
        num_hidden_layers=3,
        num_attention_heads=8,
        num_key_value_heads=4,
        max_position_embeddings=512,
        tie_word_embeddings=True,
    ).save_pretrained(path)
    return str(path)


@pytest.fixture(scope="module")
def job(torchrun, folder):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MALLOC_MMAP_THRESHOLD_", HEAP)
        return torchrun("plan", 2, folder)


def fixed(folder, operator="hessian", **change):
    settings = {"steps": 8, "probes": 1, "error_every": 3, "epsilon": EPSILON, **SIZES, **change}
    return hessview.plan(folder, ranks=2, operator=operator, **settings)


def moving(plan):
    """Bytes that come and go with a gradient."""
    return sum(plan.memory[kind] for kind in ("gathered", "gradients", "activations"))


@pytest.mark.ranks
def test_shards_and_blocks_are_those_of_a_job(job, folder):
    plan = fixed(folder)
    assert plan.parameters == job["parameters"] == 2_885_632
    assert plan.blocks == job["blocks"]
    assert plan.shard == max(job["shards"]) > min(job["shards"])
    assert plan.memory["parameters"] == pytest.approx(job["held"], rel=1e-3)  # and buffers


@pytest.mark.ranks
def test_gradients_and_the_basis_are_those_of_a_run(job, folder):
    plan = fixed(folder)
    least, most = plan.gradients
    assert most - least == 2 * 2 * 2  # up to two products of two gradients more at each end
    assert job["fixed"]["begun"] == job["fixed"]["recorded"] + 1  # the one it begins with
    assert least <= job["fixed"]["begun"] <= most
    assert {plan.memory["basis"]} == job["fixed"]["basis"]
    auto = hessview.plan(folder, ranks=2, steps=2, probes=1, **SIZES)
    assert auto.gradients[0] <= job["auto"]["begun"] <= auto.gradients[1]
    assert {auto.memory["basis"]} == job["auto"]["basis"]


@pytest.mark.ranks
@pytest.mark.parametrize("operator", OPERATORS_SEEN)
def test_a_products_collectives_are_those_that_a_job_counts(job, folder, operator):
    plan = fixed(folder, operator)
    assert plan.collectives == job["products"][operator]["counts"]
    assert plan.received == job["products"][operator]["received"]


@pytest.mark.ranks
@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from /proc")
def test_memory_is_what_ranks_were_seen_to_take(job, folder):
    plan = fixed(folder)
    row = plan.shard * 4
    assert moving(plan) == pytest.approx(job["gradient"], rel=NEAR)
    assert plan.total - plan.memory["parameters"] == pytest.approx(job["density"], rel=NEAR)
    for operator in WEIGHED:
        own = fixed(folder, operator)
        expected = moving(own) + 2 * row + own.memory["operator"]  # saved parameters, the product
        assert expected == pytest.approx(job["products"][operator]["memory"], rel=NEAR)
    large = hessview.plan(folder, ranks=2, **LARGE)
    assert large.memory["activations"] > 4 * plan.memory["activations"]
    assert moving(large) == pytest.approx(job["activations"], rel=NEAR)


def test_the_first_of_many_ranks_has_the_largest_chunk_of_each_parameter(folder):
    plan = hessview.plan(folder, ranks=48, **SIZES)
    matrices = [(256, 256), (128, 256), (128, 256), (256, 256), (768, 256), (768, 256), (256, 768)]
    shapes = [(2049, 256), (256, 1), *3 * [*matrices, (256, 1), (256, 1)]]
    assert plan.shard == sum(math.ceil(rows / 48) * columns for rows, columns in shapes)
    assert not dist.is_initialized()


def test_advice_is_true_of_the_plans_that_follow_it(folder):
    settings = {"memory": 0.1, "epsilon": EPSILON, **SIZES}
    plan = hessview.plan(folder, ranks=2, steps=64, **settings)
    assert plan.total > 0.1 * 2**30
    words = plan.advice.replace(",", "").split()
    steps, ranks = int(words[words.index("<=") + 1]), int(words[-2])
    assert plan.advice == (
        f"does not fit in 0.1 GiB a rank; use steps <= {steps}, or reorthogonalize={steps} "
        f"(a window), or {ranks} ranks."
    )
    fewer = hessview.plan(folder, ranks=2, steps=steps, **settings)
    assert fewer.advice == f"fits in 0.1 GiB a rank, with up to {steps} steps."
    assert fewer.total <= 0.1 * 2**30 < fewer.total + plan.shard * 4
    window = hessview.plan(folder, ranks=2, steps=64, reorthogonalize=steps, **settings)
    assert window.total == fewer.total
    more = hessview.plan(folder, ranks=ranks, steps=64, **settings)
    assert more.total <= 0.1 * 2**30
    assert hessview.plan(folder, ranks=ranks - 2, steps=64, **settings).total > 0.1 * 2**30
    none = hessview.plan(folder, ranks=2, steps=64, **settings | {"memory": 0.001})
    assert none.advice.endswith(
        "use a smaller batch or length: what is not shared by ranks is too much by itself."
    )


def test_a_function_is_called_as_rank_0_of_many(monkeypatch):
    monkeypatch.syspath_prepend(JOBS)
    plan = hessview.plan("small:build", ranks=4, steps=8)
    assert (plan.parameters, plan.shard, plan.batches) == (212, 53, 4)
    assert plan.blocks == {"0": 144, "2": 68}
    with pytest.raises(InputError, match=r"small:raises' cannot be built here \(ZeroDivision"):
        hessview.plan("small:raises", ranks=4)
    assert not dist.is_initialized()


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"ranks": 0}, "ranks=0 is not allowed; use a whole number >= 1."),
        ({"steps": 10**7}, "steps=10000000 exceeds the 858,880 parameters; use steps <= 858880."),
        ({"length": 512}, "length=512 exceeds the 256 places of the model's context"),
        ({"tokens": 10}, "tokens=10 is less than one batch of 4 x 256 = 1024"),
        ({"operator": "newton"}, "operator 'newton' is unknown; use one of"),
        ({"memory": 0}, "memory=0 is not allowed; use a finite number > 0, or None."),
        ({"text": "a"}, r"plan has no \['text'\]; its options are"),
        ({"model": "no/such folder"}, "model 'no/such folder' cannot be loaded"),
        ({"model": "no_such_module:build"}, "model 'no_such_module:build' cannot be found"),
    ],
)
def test_what_a_job_would_refuse_is_refused(change, text):
    with pytest.raises(InputError, match=text):
        hessview.plan(**{"model": "tiny", "ranks": 2, **change})
    assert not dist.is_initialized()


def test_exact_products_of_a_large_module_are_refused(folder, tmp_path):
    wide = LlamaConfig.from_pretrained(folder)
    wide.vocab_size = 10**5
    wide.save_pretrained(tmp_path)
    with pytest.raises(InputError, match=r"'exact' gathers all 27,[0-9,]+ parameters on each rank"):
        hessview.plan(str(tmp_path), ranks=2, operator="exact", **SIZES)


def test_a_rank_of_a_job_is_told_to_plan_elsewhere(monkeypatch):
    monkeypatch.setattr(dist, "is_initialized", lambda: True)
    with pytest.raises(JobError, match="plan in a process of its own"):
        hessview.plan("tiny", ranks=2)


def test_the_command_line_prints_a_table_json_and_times(tmp_path, capsys):
    asked = ["plan", "tiny", "--ranks", "2", "--memory", "1", "--steps", "8"]
    assert main(asked) == 0
    table = capsys.readouterr().out
    assert table.startswith("tiny on 2 ranks: 858,880 parameters in 6 blocks of 256 to 198,272")
    assert "fits in 1 GiB a rank" in table
    assert main([*asked, "--gradient-seconds", "2", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["seconds"] == [2 * number for number in data["gradients"]]
    assert data["total"] == sum(data["memory"].values())
    bench = {
        "coords": {"work": {"data": ["gradient", "hessian"]}},
        "data_vars": {"seconds": {"data": [0.5, 1.1]}},
        "attrs": {"parameters": 858_880, "world_size": 2, "batches": 4},
    }
    path = tmp_path / "bench.json"
    path.write_text(json.dumps(bench))
    assert main([*asked, "--bench", str(path)]) == 0
    assert "at 0.5 s a gradient: " in capsys.readouterr().out
    assert main([*asked, "--bench", str(tmp_path)]) == 1
    assert "holds no times of a gradient" in capsys.readouterr().err
    with pytest.raises(InputError, match=r"\(858880, 2, 4\), and this plan has \(858880, 4, 4\)"):
        timed(hessview.plan("tiny", ranks=4), path)


@pytest.mark.parametrize(
    "change",
    [
        *("", "5", "[]", "{", "[" * 100_000, b"\xff", b" " * 9_000_000, os.mkfifo, os.mkdir),
        *({"data_vars": {"seconds": {"data": [value]}}} for value in (-1, 0, None, "x", [], 1e999)),
        *({"coords": value} for value in (None, 5, {"work": {"data": 5}}, {"work": {"data": "x"}})),
        *({"attrs": value} for value in (None, {}, {"parameters": 1e999})),
    ],
    ids=lambda change: str(change)[:20],
)
def test_times_that_are_none_are_refused(change, tmp_path):
    whole = {
        "coords": {"work": {"data": ["gradient"]}},
        "data_vars": {"seconds": {"data": [0.5]}},
        "attrs": {"parameters": 858_880, "world_size": 2, "batches": 4},
    }
    path = tmp_path / "bench.json"
    match change:
        case dict():
            path.write_text(json.dumps({**whole, **change}))
        case str():
            path.write_text(change)
        case bytes():
            path.write_bytes(change)
        case _:
            change(path)
    with pytest.raises(InputError, match=r"holds no times of a gradient .*; give the file that"):
        timed(hessview.plan("tiny", ranks=2), path)
