"""transformers' models in small that recompute their activations, and how often layers run."""

import torch
import torch.nn.functional as F
from transformers import GPT2Config, GPT2LMHeadModel, OPTConfig, OPTForCausalLM

from hessview.job.objective import Objective

SIZES = {"vocab_size": 16, "bos_token_id": 0, "eos_token_id": 0, "pad_token_id": None}


def gpt2():
    """Its dropouts are modules."""
    config = GPT2Config(**SIZES, n_positions=8, n_embd=8, n_layer=2, n_head=2)
    assert config.resid_pdrop == 0.1
    return GPT2LMHeadModel(config)


def opt():
    """Its layers drop by their own training mode, which is what switches checkpointing too."""
    config = OPTConfig(
        **SIZES,
        hidden_size=8,
        ffn_dim=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=8,
        word_embed_proj_dim=8,
        dropout=0.5,
    )
    return OPTForCausalLM(config)


def layers(model):
    return model.transformer.h if hasattr(model, "transformer") else model.model.decoder.layers


def objective(make, reentrant=None):
    """In evaluation mode and float64, with checkpointing of a kind, or without any (None)."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = make().double().eval()
        batches = [torch.randint(0, 16, (2, 8)) for _ in range(2)]
    if reentrant is not None:
        model.activation_checkpointing_enable({"use_reentrant": reentrant})

    def loss(module, ids):
        logits = module(input_ids=ids, use_cache=False).logits[:, :-1]
        total = F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten(), reduction="sum")
        return total, ids[:, 1:].numel()

    return Objective(model, loss, batches)


def part_of_a_layer(model):
    """What runs whenever the first layer does."""
    layer = layers(model)[0]
    return layer.mlp if hasattr(layer, "mlp") else layer.fc1


class Counted:
    """Counts how often a module's forward runs, at first and when it is recomputed."""

    def __init__(self, module):
        self.count = 0
        module.register_forward_pre_hook(self._note)

    def _note(self, module, inputs):
        self.count += 1
