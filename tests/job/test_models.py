"""Models by name: what the ranks hold is what the source held, and what is refused."""

import pytest

pytestmark = [pytest.mark.ranks, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def results(torchrun, folder):
    return torchrun("models", 2, str(folder))


@pytest.mark.parametrize("model", ["llama, tied", "llama, untied", "gpt2", "bfloat16"])
def test_shards_make_up_the_sources_weights(results, model):
    found = results[model]
    assert found["differing"] == []
    assert found["sharded"] > 20
    assert found["buffers"]
    assert found["tied"] == (model != "llama, untied")
    assert found["parameters"] == found["expected_parameters"]
    close = 2e-2 if model == "bfloat16" else 1e-5
    assert found["loss"] == pytest.approx(found["expected_loss"], rel=close)
    compute = "bfloat16" if model == "bfloat16" else "float32"
    assert found["dtypes"] == ("float32", compute)
    assert found["tokens"] == 128 - 8  # the last token of each of 8 sequences predicts nothing


def test_a_folder_is_loaded_by_its_path(results):
    assert results["good"] == {"batches": 4, "name": True}


CANNOT = "cannot be loaded ("
CURE = (
    "use one of ['smollm2', 'tiny'], a Hugging Face name, a local folder with config, weights "
    "(safetensors) and tokenizer, or package.module:function."
)


@pytest.mark.parametrize(
    ("case", "parts"),
    {
        "unknown model": ["model 'no-such-model' " + CANNOT, CURE],
        "without weights": ["bare' " + CANNOT, "safetensors", CURE],
        "pickled": ["pickled' " + CANNOT, "safetensors", CURE],
        "with code": ["with code' " + CANNOT, CURE],
        "cut off": ["cut' " + CANNOT, CURE],
        "lacking": ["lacking' " + CANNOT, "its weights lack model.layers.1.mlp.up_proj.weight)"],
        "vocabulary": ["is outside of the model's vocabulary of 10; the tokenizer belongs to"],
        "short text": ["the text has 3 tokens, fewer than one batch of 2 x 16 = 32; give a longer"],
        "tokens": ["tokens=1000000 exceeds the 880 tokens of the text; use tokens <= 880"],
        "context": ["length=64 exceeds the 32 places of the model's context; use length <= 32."],
        "no text": ["nowhere' cannot be read (", "give a UTF-8 text file."],
        "dtype": ["dtype='float8' is not allowed; use one of ['bfloat16', 'float32', 'float64']."],
        "function": ["model 'math:nothing' cannot be found (", "its module must be installed, or"],
        "module": ["model 'no_such_module:build' cannot be found (No module named"],
        "no objective": ["model 'os:getpid' returned a int; it has to return a hessview.Objective"],
    }.items(),
)
def test_what_is_refused_is_refused_on_all_ranks_alike(results, case, parts):
    first, second = results[case]
    assert first == second
    for part in parts:
        assert part in first
    assert "\n" not in first


def test_no_code_of_a_checkpoint_is_run(results):
    assert results["sprung"] is False
