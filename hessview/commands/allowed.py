"""What values a command's fields may have; every refusal says what came and what may."""

import difflib
import itertools
import math
import numbers
import operator
from collections.abc import Iterable
from typing import Any

from hessview.errors import InputError


def whole(name: str, value: Any, least: int) -> int:
    """A whole number >= least as Python's own, also from numpy's; refuse anything else."""
    try:
        number = least - 1 if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = least - 1
    if number < least:
        raise InputError(f"{name}={value!r} is not allowed; use a whole number >= {least}.")
    return number


def positive(name: str, value: object, rest: str = "") -> float:
    """A finite number > 0, also from numpy's; refuse anything else.

    Args:
        name: Of the field, for the error's text.
        value: What was given.
        rest: What else is allowed, for the error's text.
    """
    real = isinstance(value, numbers.Real) and not isinstance(value, bool)
    number = float(value) if real else math.nan  # type: ignore[arg-type]
    if not math.isfinite(number) or number <= 0:
        raise InputError(f"{name}={value!r} is not allowed; use a finite number > 0{rest}.")
    return number


def one_of(name: str, value: object, allowed: tuple[str, ...]) -> None:
    """Refuse what is not among the allowed words."""
    if value not in allowed:
        meant = did_you_mean(value, allowed) if isinstance(value, str) else ""
        raise InputError(f"{name}={value!r} is not allowed{meant}; use one of {list(allowed)}.")


def did_you_mean(word: str, allowed: Iterable[str]) -> str:
    """A question that names what was probably meant, to be put into a refusal.

    Args:
        word: What came: a name, or a pattern of names.
        allowed: What may come. Of names with dots, each part counts as a name too.

    Returns:
        Such as " (did you mean 'hessian'?)"; "" if nothing is near.
    """
    names = {word_of for name in allowed for word_of in (name, *name.split("."))}
    bare = word.strip("*?.")
    near = difflib.get_close_matches(bare, sorted(names), n=1, cutoff=0.7)
    if not near:
        return ""
    meant = word.replace(bare, near[0]) if bare else near[0]
    return f" (did you mean {meant!r}?)" if meant != word else ""


def several(name: str, values: Any, what: str) -> tuple[Any, ...]:
    """The entries of a sequence; refuse what is none, such as a lone number."""
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise InputError(f"{name}={values!r} is not allowed; use a list of {what}.")
    return tuple(values)


def ascending(name: str, values: Any) -> tuple[float, ...]:
    """Positive numbers in ascending order, each once; refuse anything else."""
    found = tuple(positive(name, value) for value in several(name, values, "numbers, ascending"))
    if not found or any(b <= a for a, b in itertools.pairwise(found)):
        raise InputError(
            f"{name}={list(found)!r} is not allowed; use one or more numbers, ascending and "
            "each once."
        )
    return found


def words(name: str, values: Any, what: str) -> tuple[str, ...]:
    """One word, or several, as a tuple; refuse anything else."""
    found = (values,) if isinstance(values, str) else several(name, values, what)
    if not found or not all(isinstance(word, str) and word for word in found):
        raise InputError(f"{name}={values!r} is not allowed; use {what}.")
    return found


def patterns(values: Any) -> tuple[str, ...]:
    """Patterns of parameter names, as a tuple; refuse anything else."""
    return words("subset", values, "patterns of parameter names")
