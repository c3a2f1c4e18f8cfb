"""What values a command's fields may have; every refusal says what came and what may."""

import difflib
import itertools
import math
import numbers
import operator
from collections.abc import Iterable, Mapping
from typing import Any

from hessview.checked import shown
from hessview.errors import InputError

MOST_PROBES = 100_000
MOST_STEPS = 100_000
MOST_READINGS = 1_000_000
"""Of one run: a record of 400 MB, weeks of products, and a dataset of 100 MB."""
MOST_NUMBERS = 1 << 25
"""Of one dataset: 268 MB."""
MOST_ENTRIES = 1_000  # of a list: epsilons, blocks, operators, patterns
MOST_LETTERS = 1_000  # of a word in one
LARGEST = 2**63 - 1
"""What numpy, netCDF and Zarr hold."""


def whole(name: str, value: Any, least: int) -> int:
    """A whole number >= least as Python's own, also from numpy's; refuse anything else."""
    try:
        number = least - 1 if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = least - 1
    if number < least:
        raise InputError(f"{name}={shown(value)} is not allowed; use a whole number >= {least}.")
    return int(number)


def positive(name: str, value: object, rest: str = "") -> float:
    """A finite number > 0, also from numpy's; refuse anything else.

    Args:
        name: Of the field, for the error's text.
        value: What was given.
        rest: What else is allowed, for the error's text.
    """
    real = isinstance(value, numbers.Real) and not isinstance(value, bool)
    try:
        number = float(value) if real else math.nan  # type: ignore[arg-type]
    except OverflowError:
        number = math.nan
    if not math.isfinite(number) or number <= 0:
        raise InputError(f"{name}={shown(value)} is not allowed; use a finite number > 0{rest}.")
    return number


def truth(name: str, value: object) -> bool:
    """True or False as Python's own, also from numpy's; refuse anything else."""
    of_numpy = getattr(getattr(value, "dtype", None), "kind", "") == "b"
    if isinstance(value, bool) or (of_numpy and getattr(value, "shape", None) == ()):
        return bool(value)
    raise InputError(f"{name}={shown(value)} is not allowed; use True or False.")


def word(name: str, value: object, what: str = "a name") -> str:
    """A text that any file can hold, as Python's own; refuse anything else."""
    if isinstance(value, str) and value and "\0" not in value:
        try:
            value.encode()
        except UnicodeEncodeError:
            pass
        else:
            return str(value)
    raise InputError(f"{name}={shown(value)} is not allowed; use {what}.")


def one_of(name: str, value: object, allowed: tuple[str, ...]) -> None:
    """Refuse what is not among the allowed words."""
    if not isinstance(value, str) or value not in allowed:
        meant = did_you_mean(value, allowed) if isinstance(value, str) else ""
        raise InputError(
            f"{name}={shown(value)} is not allowed{meant}; use one of {list(allowed)}."
        )


def did_you_mean(name: str, allowed: Iterable[str]) -> str:
    """A question that names what was probably meant, to be put into a refusal.

    Args:
        name: What came: a name, or a pattern of names.
        allowed: What may come. Of names with dots, each part counts as a name too.

    Returns:
        Such as " (did you mean 'hessian'?)"; "" if nothing is near.
    """
    names = {part for each in allowed for part in (each, *each.split("."))}
    bare = name.strip("*?.")
    near = difflib.get_close_matches(bare, sorted(names), n=1, cutoff=0.7)
    if not near:
        return ""
    meant = name.replace(bare, near[0]) if bare else near[0]
    return f" (did you mean {meant!r}?)" if meant != name else ""


def several(name: str, values: Any, what: str) -> tuple[Any, ...]:
    """The entries of a sequence; refuse what is none (a lone number), and what never ends."""
    refusal = InputError(f"{name}={shown(values)} is not allowed; use a list of {what}.")
    if isinstance(values, str | bytes | bytearray | Mapping) or not isinstance(values, Iterable):
        raise refusal
    try:
        entries = iter(values)
    except TypeError:  # an array of no dimension
        raise refusal from None
    # A list of a record is as long as it is; what is asked for now is held to `check_size`.
    found = tuple(itertools.islice(entries, _ENDLESS))
    if len(found) == _ENDLESS:
        raise InputError(f"{name} has {_ENDLESS:,} entries or more; use at most {MOST_ENTRIES:,}.")
    return found


def ascending(name: str, values: Any) -> tuple[float, ...]:
    """Positive numbers in ascending order, each once; refuse anything else."""
    found = tuple(positive(name, value) for value in several(name, values, "numbers, ascending"))
    if not found or any(b <= a for a, b in itertools.pairwise(found)):
        raise InputError(
            f"{name}={shown(list(found))} is not allowed; use one or more numbers, ascending and "
            "each once."
        )
    return found


def words(name: str, values: Any, what: str) -> tuple[str, ...]:
    """One word, or several, as a tuple; refuse anything else."""
    found = (values,) if isinstance(values, str) else several(name, values, what)
    if not found:
        raise InputError(f"{name}={shown(values)} is not allowed; use {what}.")
    try:
        return tuple(word(name, entry) for entry in found)
    except InputError:
        raise InputError(f"{name}={shown(values)} is not allowed; use {what}.") from None


def patterns(values: Any) -> tuple[str, ...]:
    """Patterns of parameter names, as a tuple; refuse anything else."""
    return words("subset", values, "patterns of parameter names")


def at_most(name: str, value: int, most: int, what: str = "") -> None:
    """Refuse a size that nobody could hold or wait for.

    Args:
        name: Of the field, for the error's text.
        value: The size.
        most: The largest that is allowed.
        what: What else to do, for the error's text.
    """
    if value > most:
        raise InputError(f"{name}={shown(value)} is too many; use {name} <= {most:,}{what}.")


def few(name: str, values: tuple[Any, ...]) -> None:
    """Refuse lists, and words in them, that are too long to be read by anybody."""
    if len(values) > MOST_ENTRIES:
        raise InputError(f"{name} has {len(values):,} entries; use at most {MOST_ENTRIES:,}.")
    for entry in values:
        if isinstance(entry, str) and len(entry) > MOST_LETTERS:
            raise InputError(
                f"{name} holds a word of {len(entry):,} letters, {shown(entry, 40)}; use at most "
                f"{MOST_LETTERS:,}."
            )


_ENDLESS = 1 << 20
