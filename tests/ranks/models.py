"""What job/test_models.py reads; models and refusals, on each rank."""

import json
import sys
from pathlib import Path

import torch
import torch.distributed as dist
from tokenizers import Tokenizer, models, pre_tokenizers
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

from hessview.errors import HessviewError
from hessview.job.leaving import leave
from hessview.job.models import Source, build, causal_lm
from hessview.job.worker import Worker
from hessview.record.job_options import JobOptions

VOCABULARY = 40


def llama(tied):
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=8,
        intermediate_size=12,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=32,
        tie_word_embeddings=tied,
    )
    return LlamaForCausalLM(config)


def gpt2():
    config = GPT2Config(
        vocab_size=VOCABULARY,
        n_positions=32,
        n_embd=8,
        n_layer=2,
        n_head=2,
        bos_token_id=None,
        eos_token_id=None,
    )
    return GPT2LMHeadModel(config)


def saved_tokenizer(folder):
    """Letters as tokens."""
    letters = {chr(ord("a") + i): i for i in range(26)} | {" ": 26, "?": 27}
    tokenizer = Tokenizer(models.WordLevel(letters, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="?").save_pretrained(folder)


class Trap:
    """Whoever unpickles this makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def make_folders(root):
    torch.manual_seed(0)
    for name in FOLDERS:
        saved_tokenizer(root / name)
    model = llama(tied=True).eval()
    model.save_pretrained(root / "good")
    for name in ("bare", "pickled"):
        model.config.save_pretrained(root / name)
    torch.save({"lm_head.weight": Trap(root / "sprung")}, root / "pickled" / "pytorch_model.bin")
    own = {"AutoConfig": "trap.Config", "AutoModelForCausalLM": "trap.Model"}
    described = json.dumps({"model_type": "trap", "auto_map": own})
    (root / "with code" / "config.json").write_text(described)
    code = f"import pathlib; pathlib.Path({str(root / 'sprung')!r}).touch()"
    (root / "with code" / "trap.py").write_text(code)
    model.save_pretrained(root / "cut")
    weights = root / "cut" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:200])
    state = model.state_dict()
    del state["model.layers.1.mlp.up_proj.weight"]
    model.save_pretrained(root / "lacking", state_dict=state)
    model.config.vocab_size = 10
    LlamaForCausalLM(model.config).save_pretrained(root / "narrow")
    (root / "text").write_text("the quick brown fox jumps over the lazy dog " * 20)
    (root / "short").write_text("fox")


def options(root, model="good", **change):
    fields = {"text": str(root / "text"), "tokens": 128, "length": 16, "batch": 2, **change}
    return JobOptions(model=str(root / model) if model in FOLDERS else model, **fields)


FOLDERS = ("good", "bare", "pickled", "with code", "cut", "lacking", "narrow")


def shares(make, root, mesh, dtype="float32"):
    """Whether the ranks' shards make up the source's weights, and their loss its loss."""
    torch.manual_seed(1)
    original = make().eval()

    def encode(text):
        return [ord(letter) % VOCABULARY for letter in text]

    objective = causal_lm(
        lambda _: Source(original, encode, "made here"), options(root, dtype=dtype), mesh
    )
    differing, sharded = [], 0
    state = objective.module.state_dict()
    for name, value in original.state_dict().items():
        sharded += isinstance(state[name], DTensor)
        if not torch.equal(state[name].full_tensor(), value):
            differing.append(name)
    buffers = dict(objective.module.named_buffers())
    same = [torch.equal(buffers[name], b) for name, b in original.named_buffers()]
    worker = Worker(objective)
    total = weight = 0.0
    with torch.no_grad():
        for batch in objective.batches:
            one = objective.loss(original, batch)
            total, weight = total + float(one[0]), weight + float(one[1])
    return {
        "differing": differing,
        "sharded": sharded,
        "buffers": all(same) and len(same) == len(buffers),
        "tied": objective.module.get_output_embeddings().weight
        is objective.module.get_input_embeddings().weight,
        "parameters": worker.surface.space.size,
        "expected_parameters": sum(p.numel() for p in original.parameters()),
        "loss": worker.surface.loss,
        "expected_loss": total / weight,
        "dtypes": (worker.describe().dtype, worker.describe().compute_dtype),
        "tokens": worker.surface.weight,
    }


def main(path, root):
    dist.init_process_group("gloo")
    rank, root = dist.get_rank(), Path(root)
    mesh = init_device_mesh("cpu", (dist.get_world_size(),), mesh_dim_names=("shard",))
    if rank == 0:
        make_folders(root)
    dist.barrier()
    results = {
        "llama, tied": shares(lambda: llama(tied=True), root, mesh),
        "llama, untied": shares(lambda: llama(tied=False), root, mesh),
        "gpt2": shares(gpt2, root, mesh),
        "bfloat16": shares(lambda: llama(tied=True), root, mesh, "bfloat16"),
    }
    good = build(options(root), mesh)
    results["good"] = {"batches": len(good.batches), "name": good.name == str(root / "good")}
    for name, asked in {
        "unknown model": options(root, "no-such-model"),
        "without weights": options(root, "bare"),
        "pickled": options(root, "pickled"),
        "with code": options(root, "with code"),
        "cut off": options(root, "cut"),
        "lacking": options(root, "lacking"),
        "vocabulary": options(root, "narrow"),
        "short text": options(root, text=str(root / "short")),
        "tokens": options(root, tokens=10**6),
        "context": options(root, length=64),
        "no text": options(root, text=str(root / "nowhere")),
        "dtype": lambda: options(root, dtype="float8"),
        "function": options(root, "math:nothing"),
        "module": options(root, "no_such_module:build"),
        "no objective": options(root, "os:getpid"),
    }.items():
        text = "nothing was refused"
        try:
            build(asked() if callable(asked) else asked, mesh)
        except HessviewError as error:
            text = str(error)
        texts = [""] * dist.get_world_size()
        dist.all_gather_object(texts, text)
        results[name] = texts
    results["sprung"] = (root / "sprung").exists()
    if rank == 0:
        torch.save(results, path)
    dist.destroy_process_group()


if __name__ == "__main__":
    main(*sys.argv[1:])
    leave()
