"""What travels to the page: plain JSON, with the digits that a picture needs; differences."""

import base64
import math
from typing import Any

import numpy as np
from plotly.basedatatypes import BasePlotlyType

_PRECISION = 10  # significant digits; what is drawn must agree with numpy to 1e-6


def plain(value: Any) -> Any:
    """A value as JSON takes it.

    Args:
        value: Anything that a Plotly figure holds, nested as it may be.

    Returns:
        The same with arrays as lists, numbers rounded to `_PRECISION`, and None for those that
        are not finite.
    """
    if isinstance(value, np.ndarray):
        return [plain(entry) for entry in value.tolist()]
    if isinstance(value, float | np.floating):
        return float(f"{value:.{_PRECISION}g}") if math.isfinite(value) else None
    if isinstance(value, dict):
        if "bdata" in value:  # Plotly packs arrays so, which neither rounds nor can hold a gap
            return plain(_unpacked(value))
        return {key: plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    if isinstance(value, BasePlotlyType):
        return plain(value.to_plotly_json())
    return value


def _unpacked(packed: dict[str, Any]) -> Any:
    values = np.frombuffer(base64.b64decode(packed["bdata"]), packed["dtype"])
    shape = [int(size) for size in str(packed.get("shape", len(values))).split(",")]
    return values.reshape(shape)


def change(old: Any, new: Any) -> Any:
    """The difference that makes `new` of `old`; `changed` in src/board.js applies it.

    Args:
        old: A JSON value.
        new: Another.

    Returns:
        [value] where something was replaced; a dict of differences by key or place where a dict
        has the same keys, or a list is as long or longer; {} where nothing differs.
    """
    if isinstance(old, dict) and isinstance(new, dict) and _same_keys(old, new):
        pairs: Any = ((key, old[key], new[key]) for key in new)
    elif isinstance(old, list) and isinstance(new, list) and len(old) <= len(new):
        pairs = (
            (str(i), old_value, new_value)
            for i, (old_value, new_value) in enumerate(zip(old, new, strict=False))
        )
    else:  # Python takes true for 1, which JSON does not
        return {} if old == new and isinstance(old, bool) == isinstance(new, bool) else [new]
    differences = {
        key: difference
        for key, old_value, new_value in pairs
        if not _are_same_numbers(old_value, new_value)
        and (difference := change(old_value, new_value)) != {}
    }
    if isinstance(new, list):
        differences |= {str(i): [new[i]] for i in range(len(old), len(new))}
    return differences


def _same_keys(old: dict[str, Any], new: dict[str, Any]) -> bool:
    """Whether differences can be told by key; "__proto__" cannot be set as others are."""
    return old.keys() == new.keys() and "__proto__" not in new


def _are_same_numbers(old: Any, new: Any) -> bool:
    """Whether both are lists of the same numbers, which are seen to be so at once."""
    return (
        isinstance(old, list) and old == new and {*map(type, old), *map(type, new)} <= {int, float}
    )
