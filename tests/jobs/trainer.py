"""transformers.Trainer, three times: plain, served, and measured; writes what is left of each.

python trainer.py --kind single|autocast --out DIR, or torchrun trainer.py --kind ddp|fsdp --out DIR
"""

import argparse
import json
import pathlib

import torch
import torch.distributed as dist
import torch.nn.functional as F
from accelerate_on_cpu import shard_on_cpu
from identity import left
from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainingArguments, set_seed

import hessview
from hessview.job.leaving import leave

STEPS = 6
EVERY = 3
DENSITY = {"steps": 3, "probes": 1}


def model():
    torch.manual_seed(0)
    return GPT2LMHeadModel(
        GPT2Config(
            vocab_size=32,
            n_positions=16,
            n_embd=16,
            n_layer=2,
            n_head=2,
            bos_token_id=0,
            eos_token_id=0,
        )
    )


def rows(count, seed):
    """Sequences of which some labels, never as many, are left out."""
    generator = torch.Generator().manual_seed(seed)
    found = []
    for index in range(count):
        tokens = torch.randint(1, 32, (16,), generator=generator)
        labels = tokens.clone()
        labels[: index % 11] = -100
        found.append({"input_ids": tokens, "labels": labels})
    return found


def batches():
    data = rows(9, seed=2)
    groups = [data[first : first + 3] for first in range(0, 9, 3)]
    return [{key: torch.stack([row[key] for row in group]) for key in group[0]} for group in groups]


@torch.no_grad()
def oracle():
    """Mean loss over all labels at the first weights, without hessview or Trainer."""
    total = count = 0
    module = model().eval()
    for batch in batches():
        logits = module(input_ids=batch["input_ids"]).logits[:, :-1]
        targets = batch["labels"][:, 1:]
        total += F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="sum")
        count += int((targets != -100).sum())
    return float(total) / count


def arguments(kind, out):
    sharded = {}
    if kind == "fsdp":
        wrap = {"version": 2, "transformer_layer_cls_to_wrap": ["GPT2Block"]}
        sharded = {"fsdp": True, "fsdp_config": wrap}
    return TrainingArguments(
        output_dir=str(out),
        use_cpu=True,
        bf16=kind == "autocast",
        max_steps=STEPS,
        per_device_train_batch_size=2,
        gradient_accumulation_steps=2,
        learning_rate=1e-2,
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        logging_steps=1,
        seed=3,
        **sharded,
    )


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--kind", required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    options = parser.parse_args()
    shard_on_cpu()
    found = {"oracle": oracle()}
    for mode in ("plain", "served", "measured"):
        set_seed(3)
        trainer = Trainer(
            model=model(),
            args=arguments(options.kind, options.out / "trainer"),
            train_dataset=rows(24, seed=1),
        )
        if mode != "plain":
            callback = hessview.TrainerCallback(trainer, batches(), options.out / mode)
            if mode == "measured":
                callback.record(every=EVERY, density=DENSITY)
            trainer.add_callback(callback)
        trainer.train()
        module = trainer.model_wrapped
        found[mode] = {
            "losses": [entry["loss"] for entry in trainer.state.log_history if "loss" in entry],
            "parameters": left(dict(module.named_parameters())),
            "optimizer": left(trainer.optimizer.state_dict()["state"]),
            "modes": [child.training for child in module.modules()],
            "random": left(torch.get_rng_state()),
        }
        found["wrapped"] = type(module).__name__
    rank = dist.get_rank() if dist.is_initialized() else 0
    (options.out / f"rank-{rank}.json").write_text(json.dumps(found))
    if dist.is_initialized():
        dist.barrier()
        dist.destroy_process_group()


if __name__ == "__main__":
    main()
    leave()
