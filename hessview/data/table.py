"""A summary as lines of text."""

import math

import xarray as xr

from hessview.data.digits import alone, rounded

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
        (str(name).replace("_", " "), *_words(float(value), float(uncertainty), str(basis)))
        for name, value, uncertainty, basis in zip(
            summary.quantity.values,
            summary.value.values,
            summary.uncertainty.values,
            summary.basis.values,
            strict=True,
        )
    ]
    names, numbers = (max(len(row[column]) for row in rows) for column in (0, 1))
    return "\n".join(
        f"{name:<{names}}  {number:<{numbers}}  {basis}".rstrip() for name, number, basis in rows
    )


def written(value: float, uncertainty: float) -> str:
    """A number with its uncertainty as text.

    Args:
        value: Any number; NaN reads as a dash.
        uncertainty: Its uncertainty, NaN if it is not known.

    Returns:
        Such as "41.30 ± 0.13", "(1.23 ± 0.12)e+09", or the value alone.
    """
    if not math.isfinite(value) or math.isnan(uncertainty):
        return alone(value, DIGITS_ALONE)
    if math.isinf(uncertainty):
        return f"{alone(value, DIGITS_ALONE)} ± inf"
    text, doubt, power = rounded(value, uncertainty)
    return f"({text} ± {doubt})e{power:+03d}" if power else f"{text} ± {doubt}"


def _words(value: float, uncertainty: float, basis: str) -> tuple[str, str]:
    """What stands in the columns of the number and of its basis."""
    return (basis, "") if math.isnan(value) else (written(value, uncertainty), basis)
