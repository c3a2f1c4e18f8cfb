"""A summary as lines of text."""

import math

import xarray as xr

from hessview.data.digits import ANYTHING, Ends, alone, limits_of, rounded

DIGITS_ALONE = 4  # of a value without an uncertainty


def format_summary(summary: xr.Dataset) -> str:
    """One line per quantity: name, value ± uncertainty, and how the uncertainty was obtained.

    Args:
        summary: What `hessview.summary` or `hessview.coupling_summary` gave.

    Returns:
        Aligned lines without a trailing newline; values are rounded to their uncertainty, and
        this is rounded up. Where a number is withheld, the reason stands in its place.
    """
    rows = [
        _row(summary.isel(quantity=place), str(name))
        for place, name in enumerate(summary.quantity.values)
    ]
    names, numbers = (max(len(row[column]) for row in rows) for column in (0, 1))
    return "\n".join(
        f"{name:<{names}}  {number:<{numbers}}  {basis}".rstrip() for name, number, basis in rows
    )


def written(
    value: float, uncertainty: float, *, limits: Ends = ANYTHING, ends: Ends | None = None
) -> str:
    """A number with its uncertainty as text.

    Args:
        value: Any number; NaN reads as a dash.
        uncertainty: Its uncertainty, NaN if it is not known.
        limits: Between which numbers it can lie at all; see `digits.limits_of`.
        ends: Those of its interval, if it is not value ± uncertainty.

    Returns:
        Such as "41.30 ± 0.13", "(1.23 ± 0.12)e+09", or the value alone; where ± would reach beyond
        the limits the ends take its place, such as "0.0030 (0 to 0.0121)".
    """
    if not math.isfinite(value) or math.isnan(uncertainty):
        return alone(value, DIGITS_ALONE)
    if math.isinf(uncertainty):
        return f"{alone(value, DIGITS_ALONE)} ± inf"
    text, doubt, power, *outer = rounded(value, uncertainty, limits=limits, ends=ends)
    suffix = f"e{power:+03d}" if power else ""
    if outer[0]:
        low, high = (end if end == "0" else end + suffix for end in outer)
        return f"{text}{suffix} ({low} to {high})"
    return f"({text} ± {doubt}){suffix}" if power else f"{text} ± {doubt}"


def _row(one: xr.Dataset, name: str) -> tuple[str, str, str]:
    """What stands in the columns of the name, the number, and its basis."""
    basis = str(one.basis.item())
    if math.isnan(one.value):
        return name.replace("_", " "), basis, ""
    text = written(
        float(one.value), float(one.uncertainty), limits=limits_of(name), ends=ends_of(one)
    )
    return name.replace("_", " "), text, basis


def ends_of(one: xr.Dataset) -> Ends | None:
    """Ends of a quantity's interval; None where a summary tells none.

    Args:
        one: A summary's entry of the quantity.
    """
    ends = (float(one.low), float(one.high)) if "low" in one else (math.nan, math.nan)
    return ends if all(map(math.isfinite, ends)) else None
