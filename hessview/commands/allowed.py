"""What values a command's fields may have; every refusal says what came and what may."""

import itertools
import math
from collections.abc import Iterable

from hessview.errors import InputError


def whole(name: str, value: object, least: int) -> None:
    """Refuse what is not a whole number >= least."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise InputError(f"{name}={value!r} is not allowed; use a whole number >= {least}.")


def positive(name: str, value: object, rest: str = "") -> None:
    """Refuse what is not a finite number > 0; `rest` says what else is allowed."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or value <= 0:  # type: ignore[arg-type, operator]
        raise InputError(f"{name}={value!r} is not allowed; use a finite number > 0{rest}.")


def one_of(name: str, value: object, allowed: tuple[str, ...]) -> None:
    """Refuse what is not among the allowed words."""
    if value not in allowed:
        raise InputError(f"{name}={value!r} is not allowed; use one of {list(allowed)}.")


def ascending(name: str, values: Iterable[float]) -> tuple[float, ...]:
    """Positive numbers in ascending order, each once; refuse anything else."""
    numbers = tuple(float(value) for value in values)
    for number in numbers:
        positive(name, number)
    if not numbers or any(b <= a for a, b in itertools.pairwise(numbers)):
        raise InputError(
            f"{name}={list(numbers)!r} is not allowed; use one or more numbers, ascending and "
            "each once."
        )
    return numbers
