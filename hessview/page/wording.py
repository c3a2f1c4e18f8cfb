"""Numbers as people read them: rounded to what is known, with real minus signs and powers."""

import datetime
import math

MOST_DIGITS = 6  # more cannot be compared at a glance
MINUS = "\N{MINUS SIGN}"
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def number(value: float, digits: int = 3) -> str:
    """A number with so many significant digits, such as "41.3" or "2.10×10⁻⁴".

    Args:
        value: Any number; NaN reads as a dash.
        digits: Significant digits.

    Returns:
        Plain text.
    """
    if not math.isfinite(value):
        return "–"
    if value == 0:
        return "0"
    power = int(f"{value:.{digits - 1}e}".split("e")[1])
    if -4 < power < 6:
        return _signed(f"{value:,.{max(digits - 1 - power, 0)}f}")
    return f"{_signed(f'{_over_power(value, power):.{digits - 1}f}')}{_power(power)}"


def measured(value: float, uncertainty: float) -> tuple[str, str]:
    """A value rounded to its uncertainty, and the uncertainty.

    Args:
        value: Any number.
        uncertainty: Its uncertainty, NaN if it is not known.

    Returns:
        Texts such as ("41.30", "± 0.02"); the second is "" if it is not known.
    """
    if not (math.isfinite(value) and math.isfinite(uncertainty)):
        return number(value), ""
    if value == 0 or uncertainty <= 0:
        return number(value, 4), f"± {number(uncertainty, 1)}"
    power, last = (int(f"{part:.0e}".split("e")[1]) for part in (value, uncertainty))
    if power - last > MOST_DIGITS:
        return number(value, MOST_DIGITS), f"± {number(uncertainty, 1)}"
    if -4 < power < 6:
        shared, decimals, suffix = 0, max(-last, 0), ""
    else:  # both in the same power of ten
        shared, decimals, suffix = power, max(power - last, 0), _power(power)
    parts = [_over_power(part, shared) for part in (value, uncertainty)]
    texts = [_signed(f"{part:,.{decimals}f}") for part in parts]
    return f"{texts[0]}{suffix}", f"± {texts[1]}{suffix}"


def share(value: float, uncertainty: float = math.nan) -> tuple[str, str]:
    """A share of one as per cent, and its uncertainty; both as `measured` gives them."""
    if 0 < abs(value) < 1e-4:
        return measured(value, uncertainty)
    text, spread = measured(100 * value, 100 * uncertainty)
    if not math.isfinite(value):
        return text, spread
    return f"{text} %", f"{spread} %" if spread else ""


def span(low: float, high: float) -> str:
    """A range of numbers, or one number if both ends read the same."""
    ends = number(low, 2), number(high, 2)
    return ends[0] if ends[0] == ends[1] else f"{ends[0]} – {ends[1]}"


def duration(seconds: float) -> str:
    """A time span such as "8 s", "2 min 05 s" or "1 h 20 min"."""
    whole = math.ceil(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def now() -> str:
    """This moment, such as "2026-11-24 16:27", for what is stored and may be read much later."""
    return f"{datetime.datetime.now():%Y-%m-%d %H:%M}"


def count(value: float) -> str:
    """A large count such as "135 M"; exact below a million."""
    for size, unit in ((1e12, "T"), (1e9, "B"), (1e6, "M")):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value:,.0f}"


def _over_power(value: float, power: int) -> float:
    """The value over a power of ten, also of the least numbers, whose power is none itself."""
    return value / 10.0**power if power > -300 else value * 1e300 / 10.0 ** (power + 300)


def _power(exponent: int) -> str:
    return f"×10{str(exponent).translate(_RAISED)}"


def _signed(text: str) -> str:
    if not text.strip("-0."):  # what rounds to nothing has no sign
        return text.lstrip("-")
    return text.replace("-", MINUS)
