"""A fixed data set of token sequences from a text."""

import pathlib
import pydoc_data.topics
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hessview.errors import InputError


def read_text(path: str | None) -> str:
    """Text of a file, or English technical prose that ships with Python (pydoc's topics).

    Args:
        path: File in UTF-8, or None for Python's own.

    Raises:
        InputError: The file cannot be read as text.
    """
    if path is None:
        return "\n\n".join(pydoc_data.topics.topics.values())
    try:
        return pathlib.Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"text {path!r} cannot be read ({error}); give a UTF-8 text file."
        ) from error


def token_batches(
    ids: Sequence[int], *, tokens: int, length: int, batch: int, vocabulary: int
) -> list[Tensor]:
    """Cut the first tokens of a text into batches of sequences.

    Args:
        ids: Token identities of the whole text.
        tokens: How many to use; rounded down to whole sequences.
        length: Tokens per sequence.
        batch: Sequences per batch.
        vocabulary: Size of the model's vocabulary.

    Returns:
        Batches of int64, shape (sequence, token); the last may hold fewer sequences.

    Raises:
        InputError: Too little text, fewer tokens than a batch holds, or a token that the model
            does not know.
    """
    for name, value, least in (("tokens", tokens, 1), ("batch", batch, 1), ("length", length, 2)):
        if value < least:
            raise InputError(f"{name}={value} is not allowed; use a whole number >= {least}.")
    need = batch * length
    if len(ids) < need:
        raise InputError(
            f"the text has {len(ids)} tokens, fewer than one batch of {batch} x {length} = {need}; "
            "give a longer text, or a smaller batch or sequence length."
        )
    if tokens < need:
        raise InputError(
            f"tokens={tokens} is less than one batch of {batch} x {length} = {need}; use more "
            "tokens, or a smaller batch or sequence length."
        )
    if tokens > len(ids):
        raise InputError(
            f"tokens={tokens} exceeds the {len(ids)} tokens of the text; use "
            f"tokens <= {len(ids)}, or a longer text."
        )
    used = torch.tensor(ids[: tokens - tokens % length], dtype=torch.int64)
    largest = int(used.max())
    if largest >= vocabulary:
        raise InputError(
            f"token {largest} is outside of the model's vocabulary of {vocabulary}; the tokenizer "
            "belongs to another model: give model and tokenizer that match."
        )
    return list(torch.split(used.view(-1, length), batch))


def next_token_loss(module: nn.Module, batch: Tensor) -> tuple[Tensor, Tensor]:
    """Summed cross entropy of each next token, for a causal language model.

    Args:
        module: Called with input_ids, gives logits of shape (sequence, token, vocabulary).
        batch: Token identities, shape (sequence, token).

    Returns:
        The summed loss in nats, and the number of predicted tokens.
    """
    total = _cross_entropy(next_token_logits(module, batch), batch, reduction="sum")
    return total, torch.tensor(float(batch[:, 1:].numel()))


def next_token_logits(module: nn.Module, batch: Tensor) -> Tensor:
    """Logits of each next token, shape (sequence, token - 1, vocabulary)."""
    logits: Tensor = module(input_ids=batch, use_cache=False).logits[:, :-1]
    return logits


def next_token_terms(logits: Tensor, batch: Tensor) -> Tensor:
    """Cross entropy of each next token in nats, shape (sequence * (token - 1),)."""
    return _cross_entropy(logits, batch, reduction="none")


def _cross_entropy(logits: Tensor, batch: Tensor, *, reduction: str) -> Tensor:
    wide = logits if logits.dtype == torch.float64 else logits.float()
    targets = batch[:, 1:].flatten()
    return F.cross_entropy(wide.flatten(0, 1), targets, reduction=reduction)
