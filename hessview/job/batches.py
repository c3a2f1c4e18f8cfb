"""The fixed data set: token sequences from a text, and a digest by which data sets are told apart.

The digest is equal for equal contents, on every rank and in every process.
"""

import copyreg
import dataclasses
import hashlib
import pathlib
import pydoc_data.topics
import struct
import types
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from hessview.errors import InputError

_PLAIN = (int, float, complex, bool, str, bytes, type(None))
_NAMED = (type, types.FunctionType, types.BuiltinFunctionType, types.ModuleType)
_UNORDERED = "set"


def digest(items: Iterable[Any]) -> str:
    """Digest of a sequence of any nested data, 16 hexadecimal digits.

    It tells contents apart: numbers, types, shapes, and what lies inside of what. It does not
    see where something lies in memory or on which device, strides, whether a view is conjugate
    or negative, whether a sparse tensor is coalesced, or the order of a dict's keys or of a
    set. A tensor's layout (dense, sparse, nested) and data type do belong to its contents.

    Args:
        items: What is digested, in this order.

    Returns:
        The digest.

    Raises:
        InputError: A tensor that holds no numbers, as on "meta".
    """
    state = hashlib.blake2b(digest_size=8)
    for item in items:
        state.update(_digest_of(item, ()))
    return state.hexdigest()


def _digest_of(value: Any, above: tuple[int, ...]) -> bytes:
    """Digest of one value; `above` are the ids of what it lies in, which may hold itself."""
    if id(value) in above:
        return _hash("itself", [str(len(above) - above.index(id(value))).encode()])
    inside = (*above, id(value))
    kind, parts = _parts(value)
    digests = [part if isinstance(part, bytes) else _digest_of(part[0], inside) for part in parts]
    return _hash(kind, sorted(digests) if kind == _UNORDERED else digests)


def _hash(kind: str, parts: Sequence[bytes]) -> bytes:
    """Every part is preceded by its length, so that [1, 23] is not [12, 3]."""
    state = hashlib.blake2b(digest_size=16)
    for part in (kind.encode(), *parts):
        state.update(struct.pack("<q", len(part)))
        state.update(part)
    return state.digest()


Part = bytes | tuple[Any]  # what is hashed as it is, or a value inside of the value


def _parts(value: Any) -> tuple[str, list[Part]]:
    """What kind of thing a value is, and what it consists of."""
    if isinstance(value, Tensor):
        return _tensor(value)
    if isinstance(value, np.ndarray | np.generic):
        return _array(np.asanyarray(value))
    if isinstance(value, bytearray | memoryview):
        return _name(type(value)), [bytes(value)]
    if isinstance(value, _PLAIN):
        return _name(type(value)), [repr(value).encode()]
    if isinstance(value, Mapping):
        # In any order: a mapping is equal to one that was filled in another.
        return _UNORDERED, [b"mapping", *(((key, entry),) for key, entry in value.items())]
    if isinstance(value, Set):
        return _UNORDERED, [(entry,) for entry in value]
    if isinstance(value, list | tuple):
        if all(type(entry) in _PLAIN for entry in value):  # often long, and so told quickly
            return "plain sequence", [repr(list(value)).encode()]
        return "sequence", [(entry,) for entry in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: getattr(value, f.name, None) for f in dataclasses.fields(value)}
        return _name(type(value)), [(fields,)]
    if isinstance(value, _NAMED):
        return "named", [_name(value).encode()]
    return _name(type(value)), _state(value)


def _tensor(value: Tensor) -> tuple[str, list[Part]]:
    value = value.detach()
    if isinstance(value, DTensor):
        # Gathered: its local parts differ between ranks, its contents do not.
        value = value.full_tensor()
    if value.device.type == "meta":
        raise InputError(
            f'a batch holds a tensor of shape {tuple(value.shape)} on "meta", where there are no '
            "numbers; make the batches on a real device."
        )
    kind = f"tensor {value.dtype} {value.layout}"
    if value.is_nested:
        return kind, [(part,) for part in value.cpu().unbind()]
    shape = (str(tuple(value.shape)).encode(),)
    if value.is_quantized:
        return kind, [*shape, (value.int_repr(),), *_scale(value)]
    if value.layout == torch.sparse_coo:
        value = value.coalesce()
        return kind, [*shape, (value.indices(),), (value.values(),)]
    if value.layout in (torch.sparse_csr, torch.sparse_bsr):
        tensors = (value.crow_indices(), value.col_indices(), value.values())
        return kind, [*shape, *((part,) for part in tensors)]
    if value.layout in (torch.sparse_csc, torch.sparse_bsc):
        tensors = (value.ccol_indices(), value.row_indices(), value.values())
        return kind, [*shape, *((part,) for part in tensors)]
    if value.layout != torch.strided:
        value = value.to_dense()
    plain = value.cpu().resolve_conj().resolve_neg().contiguous().flatten()
    if plain.stride(0) != 1:  # torch calls a single element contiguous whatever its stride
        plain = torch.empty(plain.shape, dtype=plain.dtype).copy_(plain)
    return kind, [*shape, plain.view(torch.uint8).numpy().tobytes()]


def _scale(value: Tensor) -> list[Part]:
    if value.qscheme() in (torch.per_tensor_affine, torch.per_tensor_symmetric):
        return [(value.q_scale(),), (value.q_zero_point(),)]
    points = (value.q_per_channel_scales(), value.q_per_channel_zero_points())
    return [*((part,) for part in points), (value.q_per_channel_axis(),)]


def _array(value: np.ndarray) -> tuple[str, list[Part]]:
    kind, shape = f"array {value.dtype}", str(value.shape).encode()
    if isinstance(value, np.ma.MaskedArray):
        return f"masked {kind}", [(np.ma.getmaskarray(value),), (value.filled(),)]
    if value.dtype.names and value.dtype.hasobject:
        return kind, [shape, *((value[name],) for name in value.dtype.names)]
    if value.dtype.kind in "OT":  # what it holds are addresses
        return kind, [shape, (value.ravel().tolist(),)]
    return kind, [shape, value.tobytes()]


def _state(value: Any) -> list[Part]:
    """What an object of any class consists of: what a copy of it would be made of."""
    registered = copyreg.dispatch_table.get(type(value))
    try:
        reduced = registered(value) if registered else value.__reduce_ex__(4)
    except Exception:
        # Locks, files, generators: no copy can be made, and what they hold cannot be read.
        return [(_fields(value),)]
    if isinstance(reduced, str):
        return [reduced.encode()]
    constructor, arguments, state, entries, items = (*reduced, None, None, None)[:5]
    return [(constructor,), (arguments,), (state,), (list(entries or ()),), (list(items or ()),)]


def _fields(value: Any) -> dict[str, Any]:
    slots: list[str] = []
    for base in type(value).__mro__:
        names = base.__dict__.get("__slots__", ())
        slots += [names] if isinstance(names, str) else names
    slot_values = {name: getattr(value, name) for name in slots if hasattr(value, name)}
    return {**slot_values, **getattr(value, "__dict__", {})}


def _name(value: Any) -> str:
    name = getattr(value, "__qualname__", None) or getattr(value, "__name__", "")
    return f"{getattr(value, '__module__', '')}.{name}"


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
