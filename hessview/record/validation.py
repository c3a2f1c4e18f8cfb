"""Reading what anything may have been written into; every refusal says what came and what may.

Values of a command's fields, and dataclasses from JSON objects.
"""

import dataclasses
import difflib
import functools
import itertools
import math
import numbers
import operator
import re
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, TypeVar

from hessview.errors import InputError

T = TypeVar("T")
_Convert = Callable[[Any], Any]

_LARGEST = 2**63  # what numpy, netCDF and Zarr hold
_DEPTH = 4  # of lists of numbers
_NAME = re.compile(r"[A-Za-z0-9_-]{1,128}")  # what may become a part of a file's name


def checked(cls: type[T], data: object) -> T:
    """An object of a dataclass, each field of which is of the type that it was declared with.

    Fields that the class does not know are passed over: a later version may write more.

    Args:
        cls: A dataclass whose fields are numbers, texts, and lists, dicts and dataclasses of such.
        data: Its JSON object; null where a float belongs becomes NaN.

    Raises:
        ValueError: Not such an object; it says which field, and what it holds.
    """
    if not isinstance(data, Mapping):
        raise ValueError(f"it is {shown(data)}, not an object")
    values = {}
    for name, convert, optional in _fields(cls):  # type: ignore[arg-type]  # a class is hashable
        if name in data:
            try:
                values[name] = convert(data[name])
            except (ValueError, OverflowError) as error:
                raise ValueError(f"{name}: {error}") from None
        elif not optional:
            raise ValueError(f"there is no {name!r}")
    return cls(**values)


def shown(value: object, most: int = 200) -> str:
    """A value for an error's text, which never fails and never fills a page.

    Args:
        value: Anything.
        most: Characters to show.
    """
    try:
        text = repr(value)
    except Exception:  # a number of 5,000 digits, or an object whose own repr fails
        text = f"<a {type(value).__name__} that cannot be shown>"
    return plain(text if len(text) <= most else f"{text[:most]}...")


def plain(text: str) -> str:
    """A text that any file can hold: what is no character in it (a surrogate) becomes "?"."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def told(text: str, most: int = 2000) -> str:
    """A text for people to read, without its end where nobody would read so far.

    Args:
        text: What somebody wrote.
        most: Characters to keep.
    """
    return text if len(text) <= most else f"{text[:most]}..."


def one_line(text: str, most: int = 200) -> str:
    """A text that a terminal shows in one line, and is not steered by.

    Args:
        text: What somebody wrote.
        most: Characters to keep.
    """
    return told(
        "".join(letter if letter.isprintable() else "?" for letter in text[: most + 1]), most
    )


def check_name(what: str, name: str) -> str:
    """A text that may become a part of a file's name.

    Args:
        what: What it is, for the error's text.
        name: The text.

    Raises:
        ValueError: It holds other characters than letters, digits, "_" and "-", or too many.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"{what}: {shown(name)} is no name")
    return name


def check_time(what: str, seconds: float) -> float:
    """Seconds since the epoch, of a year that a calendar knows.

    Args:
        what: What they are, for the error's text.
        seconds: The seconds.

    Raises:
        ValueError: No such time.
    """
    if not 0 <= seconds < 253_370_764_800:  # the year 9999
        raise ValueError(f"{what}: {shown(seconds)} is no time")
    return seconds


@functools.cache
def _fields(cls: type) -> tuple[tuple[str, _Convert, bool], ...]:
    hints = typing.get_type_hints(cls)
    return tuple(
        (
            field.name,
            _converter(hints[field.name]),
            field.default is not dataclasses.MISSING
            or field.default_factory is not dataclasses.MISSING,
        )
        for field in dataclasses.fields(cls)
    )


def _converter(hint: Any) -> _Convert:
    """What takes the values of a declared type, and refuses others with a ValueError."""
    if hint in _SIMPLE:
        return _SIMPLE[hint]
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return functools.partial(_word, inner)
    if hint == float | list[float]:
        return _numbers
    if origin is types.UnionType:
        (inner_hint,) = (kind for kind in inner if kind is not types.NoneType)
        return functools.partial(_optional, _converter(inner_hint))
    if origin is list:
        return functools.partial(_list, _converter(inner[0]))
    if hint == dict[str, float | list[float]]:
        return _readings
    if origin is dict:
        return functools.partial(_dict, _converter(inner[1]))
    return functools.partial(checked, hint)


def _whole(value: Any) -> int:
    if type(value) is int and -_LARGEST <= value < _LARGEST:
        return value
    raise ValueError(f"{shown(value)} is not a whole number of 64 bits")


def _number(value: Any) -> float:
    if value is None:
        return math.nan
    if isinstance(value, float | int) and not isinstance(value, bool):
        number = float(value)
        if math.isfinite(number):
            return number
    raise ValueError(f"{shown(value)} is not a finite number")


def _numbers(value: Any, depth: int = _DEPTH) -> Any:
    if isinstance(value, list) and depth:
        return [_numbers(entry, depth - 1) for entry in value]
    return _number(value)


def _readings(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{shown(value)} is not an object")
    # A record is mostly these, so that the common case goes first: x - x is 0 if x is finite.
    return {
        name: x if type(x) is float and x - x == 0.0 else _numbers(x) for name, x in value.items()
    }


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{shown(value)} is not a text")
    return plain(value)


def _word(allowed: tuple[str, ...], value: Any) -> str:
    if not isinstance(value, str) or value not in allowed:
        raise ValueError(f"{shown(value)} is none of {list(allowed)}")
    return value


def _optional(convert: _Convert, value: Any) -> Any:
    return None if value is None else convert(value)


def _list(convert: _Convert, value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"{shown(value)} is not a list")
    return [convert(entry) for entry in value]


def _dict(convert: _Convert, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise ValueError(f"{shown(value)} is not an object")
    return {plain(key): convert(entry) for key, entry in value.items()}


_SIMPLE: dict[Any, _Convert] = {
    int: _whole,
    float: _number,
    str: _text,
    Any: lambda value: value,
}


MOST_PROBES = 100_000
MOST_STEPS = 100_000
MOST_READINGS = 1_000_000
"""Of one run: a record of 400 MB, weeks of products, and a dataset of 100 MB."""
MOST_NUMBERS = 1 << 25
"""Of one dataset: 268 MB."""
_MOST_ENTRIES = 1_000  # of a list: epsilons, blocks, operators, patterns
_MOST_LETTERS = 1_000  # of a word in one
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
    listed = tuple(itertools.islice(entries, _ENDLESS))
    if len(listed) == _ENDLESS:
        raise InputError(f"{name} has {_ENDLESS:,} entries or more; use at most {_MOST_ENTRIES:,}.")
    return listed


def ascending(name: str, values: Any) -> tuple[float, ...]:
    """Positive numbers in ascending order, each once; refuse anything else."""
    listed = tuple(positive(name, value) for value in several(name, values, "numbers, ascending"))
    if not listed or any(b <= a for a, b in itertools.pairwise(listed)):
        raise InputError(
            f"{name}={shown(list(listed))} is not allowed; use one or more numbers, ascending and "
            "each once."
        )
    return listed


def words(name: str, values: Any, what: str) -> tuple[str, ...]:
    """One word, or several, as a tuple; refuse anything else."""
    listed = (values,) if isinstance(values, str) else several(name, values, what)
    if not listed:
        raise InputError(f"{name}={shown(values)} is not allowed; use {what}.")
    try:
        return tuple(word(name, entry) for entry in listed)
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
    if len(values) > _MOST_ENTRIES:
        raise InputError(f"{name} has {len(values):,} entries; use at most {_MOST_ENTRIES:,}.")
    for entry in values:
        if isinstance(entry, str) and len(entry) > _MOST_LETTERS:
            raise InputError(
                f"{name} holds a word of {len(entry):,} letters, {shown(entry, 40)}; use at most "
                f"{_MOST_LETTERS:,}."
            )


_ENDLESS = 1 << 20
