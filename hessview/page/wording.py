"""Numbers as people read them: rounded to what is known, with real minus signs and powers."""

import datetime
import math

from hessview.data.digits import ANYTHING, Ends, per_cent, rounded

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


def measured(
    value: float, uncertainty: float, *, limits: Ends = ANYTHING, ends: Ends | None = None
) -> tuple[str, str]:
    """A value rounded to its uncertainty, and the uncertainty, as `data.digits` rounds both.

    Args:
        value: Any number.
        uncertainty: Its uncertainty, NaN if it is not known.
        limits: Between which numbers it can lie at all; see `data.digits.limits_of`.
        ends: Those of its interval, if it is not value ± uncertainty.

    Returns:
        Texts such as ("41.30", "± 0.13"); the second is "" if it is not known, and such as
        "(0 – 0.012)" where ± would reach beyond the limits.
    """
    if not math.isfinite(value) or math.isnan(uncertainty):
        return number(value), ""
    if math.isinf(uncertainty):
        return number(value), "± ∞"
    text, doubt, power, *outer = rounded(
        value, uncertainty, limits=limits, ends=ends, most=MOST_DIGITS
    )
    suffix = _power(power) if power else ""
    texts = [_signed(_thousands(part)) for part in (text, doubt, *filter(None, outer))]
    texts = [part if part == "0" else f"{part}{suffix}" for part in texts]
    return texts[0], f"± {texts[1]}" if not outer[0] else f"({texts[2]} – {texts[3]})"


def share(value: float) -> str:
    """A share of one as per cent; neither 0 nor 100 % unless it is."""
    if not math.isfinite(value):
        return "–"
    if 0 < value < 1e-6 or value > 1:  # noise may lie beyond the range
        return number(100 * value, 2) + " %"
    return f"{per_cent(value)} %"


def between(low: float, high: float) -> str:
    """An interval of shares as per cent, rounded outward, such as "0.017 – 93 %"."""
    if high > 1:
        return f"{number(100 * low, 2)} – {number(100 * high, 2)} %"
    ends = [per_cent(max(end, 0.0), up=up) for end, up in ((low, False), (high, True))]
    return f"{ends[0]} %" if ends[0] == ends[1] else f"{ends[0]} – {ends[1]} %"


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


def _thousands(text: str) -> str:
    whole, dot, rest = text.partition(".")
    return f"{int(whole):,}{dot}{rest}" if int(whole) else text


def _over_power(value: float, power: int) -> float:
    """The value over a power of ten, also of the least numbers, whose power is none itself."""
    return value / 10.0**power if power > -300 else value * 1e300 / 10.0 ** (power + 300)


def _power(exponent: int) -> str:
    return f"×10{str(exponent).translate(_RAISED)}"


def _signed(text: str) -> str:
    if not text.strip("-0."):  # what rounds to nothing has no sign
        return text.lstrip("-")
    return text.replace("-", MINUS)
