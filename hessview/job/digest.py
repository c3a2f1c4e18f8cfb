"""A digest of contents: equal for equal data, on every rank and in every process."""

import copyreg
import dataclasses
import hashlib
import struct
import types
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any

import numpy as np
import torch
from torch import Tensor
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
        state.update(_of(item, ()))
    return state.hexdigest()


def _of(value: Any, above: tuple[int, ...]) -> bytes:
    """Digest of one value; `above` are the ids of what it lies in, which may hold itself."""
    if id(value) in above:
        return _hash("itself", [str(len(above) - above.index(id(value))).encode()])
    inside = (*above, id(value))
    kind, parts = _parts(value)
    found = [part if isinstance(part, bytes) else _of(part[0], inside) for part in parts]
    return _hash(kind, sorted(found) if kind == _UNORDERED else found)


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
        # Whole: its parts differ between ranks, which the contents do not.
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
        own = (value.crow_indices(), value.col_indices(), value.values())
        return kind, [*shape, *((part,) for part in own)]
    if value.layout in (torch.sparse_csc, torch.sparse_bsc):
        own = (value.ccol_indices(), value.row_indices(), value.values())
        return kind, [*shape, *((part,) for part in own)]
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
        # Locks, files, generators: no copy can be made, and what they hold cannot be told.
        return [(_fields(value),)]
    if isinstance(reduced, str):
        return [reduced.encode()]
    made, arguments, state, entries, items = (*reduced, None, None, None)[:5]
    return [(made,), (arguments,), (state,), (list(entries or ()),), (list(items or ()),)]


def _fields(value: Any) -> dict[str, Any]:
    slots: list[str] = []
    for base in type(value).__mro__:
        names = base.__dict__.get("__slots__", ())
        slots += [names] if isinstance(names, str) else names
    own = {name: getattr(value, name) for name in slots if hasattr(value, name)}
    return {**own, **getattr(value, "__dict__", {})}


def _name(value: Any) -> str:
    name = getattr(value, "__qualname__", None) or getattr(value, "__name__", "")
    return f"{getattr(value, '__module__', '')}.{name}"
