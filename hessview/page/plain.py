"""Values as they cross to the page: plain JSON, with the digits that a picture needs."""

import base64
import math
from typing import Any

import numpy as np

PRECISION = 10  # significant digits; what is drawn must agree with numpy to 1e-6


def plain(value: Any) -> Any:
    """A value as JSON takes it.

    Args:
        value: Anything that a Plotly figure holds, nested as it may be.

    Returns:
        The same with arrays as lists, numbers rounded to `PRECISION`, and None for those that
        are not finite.
    """
    if isinstance(value, np.ndarray):
        return [plain(entry) for entry in value.tolist()]
    if isinstance(value, float | np.floating):
        return float(f"{value:.{PRECISION}g}") if math.isfinite(value) else None
    if isinstance(value, dict):
        if "bdata" in value:  # Plotly packs arrays so, which neither rounds nor can hold a gap
            return plain(_unpacked(value))
        return {key: plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    return value


def _unpacked(packed: dict[str, Any]) -> Any:
    values = np.frombuffer(base64.b64decode(packed["bdata"]), packed["dtype"])
    shape = [int(size) for size in str(packed.get("shape", len(values))).split(",")]
    return values.reshape(shape)
