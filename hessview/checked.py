"""Dataclasses from JSON objects that anything may have been written into."""

import dataclasses
import functools
import math
import re
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeVar

T = TypeVar("T")
Convert = Callable[[Any], Any]

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
    found = {}
    for name, convert, optional in _fields(cls):  # type: ignore[arg-type]  # a class is hashable
        if name in data:
            try:
                found[name] = convert(data[name])
            except (ValueError, OverflowError) as error:
                raise ValueError(f"{name}: {error}") from None
        elif not optional:
            raise ValueError(f"there is no {name!r}")
    return cls(**found)


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
def _fields(cls: type) -> tuple[tuple[str, Convert, bool], ...]:
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


def _converter(hint: Any) -> Convert:
    """What takes the values of a declared type, and refuses others with a ValueError."""
    if hint in _SIMPLE:
        return _SIMPLE[hint]
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return functools.partial(_word, inner)
    if hint == float | list[float]:
        return _numbers
    if origin is types.UnionType:
        (one,) = (kind for kind in inner if kind is not types.NoneType)
        return functools.partial(_optional, _converter(one))
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


def _optional(convert: Convert, value: Any) -> Any:
    return None if value is None else convert(value)


def _list(convert: Convert, value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"{shown(value)} is not a list")
    return [convert(entry) for entry in value]


def _dict(convert: Convert, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise ValueError(f"{shown(value)} is not an object")
    return {plain(key): convert(entry) for key, entry in value.items()}


_SIMPLE: dict[Any, Convert] = {
    int: _whole,
    float: _number,
    str: _text,
    Any: lambda value: value,
}
