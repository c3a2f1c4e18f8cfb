"""A GPT of under a million parameters, trained for some seconds on the bytes of a text."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from hessview.errors import InputError

_WIDTH, _LAYERS, _HEADS, _CONTEXT = 128, 4, 4, 256
_STEPS, _BATCH, _LENGTH = 150, 16, 64
_RATE = 2e-3


def encode(text: str) -> list[int]:
    """Bytes of a text, the tokens of this model."""
    return list(text.encode())


def configuration() -> Any:
    """Its shape, as transformers keeps it."""
    from transformers import GPT2Config

    return GPT2Config(
        vocab_size=256,
        n_positions=_CONTEXT,
        n_embd=_WIDTH,
        n_layer=_LAYERS,
        n_head=_HEADS,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=None,
        eos_token_id=None,
    )


def untrained() -> nn.Module:
    """The model at random initialisation, from torch's random state."""
    from transformers import GPT2LMHeadModel

    module: nn.Module = GPT2LMHeadModel(configuration()).eval()
    return module


def train(text: str, *, seed: int, steps: int = _STEPS) -> nn.Module:
    """Train the model on a text; the same seed gives the same weights.

    Args:
        text: Training text.
        seed: Seed of initialisation and of the order of the data.
        steps: Steps of AdamW.

    Returns:
        The model in evaluation mode, float32, on the CPU.

    Raises:
        InputError: The text is shorter than a training sequence.
    """
    ids = torch.tensor(encode(text))
    if len(ids) <= _LENGTH:
        raise InputError(
            f"the text has {len(ids)} bytes, fewer than a training sequence of {_LENGTH}; give a "
            "longer text."
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = untrained()
        optimizer = torch.optim.AdamW(module.parameters(), lr=_RATE)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _RATE, total_steps=steps)
        for _ in range(steps):
            starts = torch.randint(len(ids) - _LENGTH, (_BATCH,))
            batch = torch.stack([ids[start : start + _LENGTH] for start in starts])
            logits = module(input_ids=batch, use_cache=False).logits[:, :-1]
            loss = F.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten())
            torch.autograd.backward(loss)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
    return module
