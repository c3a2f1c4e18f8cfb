"""A summary as lines of text."""

import math

import numpy as np
import xarray as xr

DIGITS = 2  # of an uncertainty; more says nothing when a few probes give it
DIGITS_ALONE = 4  # of a value without an uncertainty


def format_summary(summary: xr.Dataset) -> str:
    """One line per quantity: name, value ± uncertainty, and how the uncertainty was obtained.

    Args:
        summary: What `hessview.summary` gave.

    Returns:
        Aligned lines without a trailing newline; values are rounded to their uncertainty.
    """
    rows = [
        (
            str(name).replace("_", " "),
            _number(float(value), float(uncertainty), str(basis)),
            str(basis),
        )
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
        f"{name:<{names}}  {number:<{numbers}}  {basis}" for name, number, basis in rows
    )


def _number(value: float, uncertainty: float, basis: str) -> str:
    if math.isnan(value):
        return "withheld" if basis.startswith("withheld") else "not measured"
    if math.isnan(uncertainty) or uncertainty == 0:
        spread = " ± 0" if uncertainty == 0 else ""
        return f"{value:.{DIGITS_ALONE}g}{spread}"
    last = _exponent(float(f"{uncertainty:.{DIGITS - 1}e}")) - (DIGITS - 1)
    lead = max(_exponent(value), last + DIGITS - 1)
    if -4 <= lead < 6 and last <= 0:
        return f"{_fixed(value, -last)} ± {_fixed(uncertainty, -last)}"
    scale = 10.0**lead
    return (
        f"({_fixed(value / scale, lead - last)} ± {_fixed(uncertainty / scale, lead - last)})"
        f"e{lead:+03d}"
    )


def _exponent(value: float) -> int:
    return math.floor(math.log10(abs(value))) if value else -999


def _fixed(value: float, decimals: int) -> str:
    return f"{np.round(value, decimals) + 0.0:.{decimals}f}"  # + 0.0 drops the sign of -0
