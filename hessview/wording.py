"""Numbers, errors, counts and durations as people read them.

The one place where a number and its uncertainty are rounded, for texts and for pages. What is
written holds the interval that was stated: uncertainties are rounded up, and hold what rounding
the value takes away; so none reads 0 beside a number that was rounded.
"""

import datetime
import math
from collections.abc import Mapping, Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from typing import NamedTuple


def counted(count: int, singular: str, plural: str = "") -> str:
    """A number of things, such as "1 probe" or "1,200 steps".

    Args:
        count: How many.
        singular: One of them, such as "training step".
        plural: Several of them, where they do not just end in s.

    Returns:
        Plain text.
    """
    return f"{count:,} {singular if count == 1 else plural or singular + 's'}"


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Rows of text in columns, each as wide as its widest cell; the last may end anywhere.

    Args:
        rows: At least one, all of as many cells.

    Returns:
        Lines without a trailing newline.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


_DIGITS = 2  # of an uncertainty; more says nothing when a few probes give it
_MOST_DIGITS = 12  # of a value, beyond which float64's own rounding begins to show
_LEAST_POWER, _MOST_POWER = -4, 6  # numbers of these powers of ten and between are written out
_MOST_DECIMALS = 6  # of a per cent
_EVEN = 12  # digits after which what is left is float64's rounding, not to be rounded up for


Ends = tuple[float, float]
ANYTHING: Ends = (-math.inf, math.inf)
NOT_NEGATIVE: Ends = (0.0, math.inf)
LIMITS: Mapping[str, Ends] = {
    "frobenius_norm": NOT_NEGATIVE,
    "negative_mass": (0.0, 1.0),
    "unresolved_mass": (0.0, 1.0),
    "block_error": NOT_NEGATIVE,
    "block_error_pooled": NOT_NEGATIVE,
    "cosine": (-1.0, 1.0),
    "cosine_pooled": (-1.0, 1.0),
}
"""Between which numbers a quantity can lie at all, where that is not anywhere."""


def limits_of(quantity: str) -> Ends:
    """Between which numbers a quantity can lie, by its name in a summary."""
    return LIMITS.get(quantity, ANYTHING)


class Rounded(NamedTuple):
    """A number and its uncertainty as decimal texts, all times ten to the power.

    Attributes:
        value: Such as "41.30".
        uncertainty: Such as "0.13", with as many decimals.
        power: Of ten; 0 for numbers that are written out.
        low: Lower end of the interval, where value ± uncertainty would reach beyond what the
            number can be, and is not to be written; "" elsewhere.
        high: Upper end, likewise.
    """

    value: str
    uncertainty: str
    power: int
    low: str = ""
    high: str = ""


def rounded(
    value: float,
    uncertainty: float,
    *,
    limits: Ends = ANYTHING,
    ends: Ends | None = None,
    most: int = _MOST_DIGITS,
) -> Rounded:
    """A value rounded to its uncertainty, and this rounded up to two digits.

    Args:
        value: A finite number.
        uncertainty: A finite number >= 0.
        limits: Between which numbers the quantity can lie, such as `limits_of` has them.
        ends: Those of the interval, if it is not value ± uncertainty.
        most: Digits that the value has at most; if it is known better, the uncertainty that is
            written is that of its last digit.

    Returns:
        Their texts: value ± uncertainty holds what they said before, as does low to high.
    """
    number, error = Decimal(repr(float(value))).normalize(), Decimal(f"{uncertainty:.{_EVEN}g}")
    lead = number.adjusted() if number else (error.adjusted() if error else 0)
    places = int(number.as_tuple().exponent)
    if not error and lead - places < most:  # so few digits say all there is
        return _scaled(number, error, lead, min(places, 0) if lead < _MOST_POWER else places)
    last = error.adjusted() - (_DIGITS - 1) if error else lead - most + 1
    if number:
        last = max(last, lead - most + 1)
    unit = Decimal(1).scaleb(last)
    shown = number.quantize(unit, ROUND_HALF_EVEN)
    error = (error + abs(number - shown)).quantize(unit, ROUND_CEILING)
    lead = max(lead, error.adjusted()) if error else lead
    texts_of_value = _scaled(shown, error, lead, last)
    least, greatest = map(Decimal, limits)
    if not least <= number <= greatest or (shown - error >= least and shown + error <= greatest):
        return texts_of_value
    low, high = ends or (value - uncertainty, value + uncertainty)
    outward = (
        Decimal(f"{max(low, limits[0]):.{_EVEN}g}").quantize(unit, ROUND_FLOOR),
        Decimal(f"{min(high, limits[1]):.{_EVEN}g}").quantize(unit, ROUND_CEILING),
    )
    texts = [_scaled(end, Decimal(0), lead, last).value if end else "0" for end in outward]
    return texts_of_value._replace(low=texts[0], high=texts[1])


def _scaled(value: Decimal, doubt: Decimal, lead: int, last: int) -> Rounded:
    power = 0 if _LEAST_POWER < lead < _MOST_POWER else lead
    decimals = max(power - last, 0)
    texts = [f"{part.scaleb(-power):.{decimals}f}" for part in (value, doubt)]
    # What rounds to zero has no sign; what is zero has no decimals.
    return Rounded(texts[0] if value else texts[0].lstrip("-"), texts[1] if doubt else "0", power)


def _per_cent(share: float, *, up: bool | None = None) -> str:
    """A share of one in per cent, with two digits of what it, or the rest, amounts to.

    So 99.96 % does not read as 100 %, nor 0.017 % as 0.

    Args:
        share: Between 0 and 1.
        up: Whether to round up or down, as of an end of an interval; None rounds to the nearest.

    Returns:
        Text without a sign for per cent.
    """
    number = 100 * Decimal(f"{share:.{_EVEN}g}")
    less = min(number, 100 - number)
    if less <= 0:
        return f"{max(min(number, Decimal(100)), Decimal(0)):.0f}"
    decimals = max(_DIGITS - 1 - less.adjusted(), 0)
    rounding = {None: ROUND_HALF_EVEN, True: ROUND_CEILING, False: ROUND_FLOOR}[up]
    if decimals <= _MOST_DECIMALS:
        return f"{number.quantize(Decimal(1).scaleb(-decimals), rounding):f}"
    if number < 1:
        return (
            f"{number.quantize(Decimal(1).scaleb(number.adjusted() - _DIGITS + 1), rounding):.1e}"
        )
    if up:  # so near to all, no less is an upper end
        return "100"
    return f"{number.quantize(Decimal(1).scaleb(-_MOST_DECIMALS), ROUND_FLOOR):f}"


def outward(low: float, high: float, *, digits: int = _DIGITS) -> tuple[str, str]:
    """Ends of an interval, rounded outward.

    Args:
        low: Lower end, finite.
        high: Upper end, finite.
        digits: Significant digits of each.

    Returns:
        Their texts as Python writes numbers.
    """
    texts = []
    for end, rounding in ((low, ROUND_FLOOR), (high, ROUND_CEILING)):
        number = Decimal(f"{end:.{_EVEN}g}")
        unit = Decimal(1).scaleb(number.adjusted() - digits + 1)
        texts.append(f"{float(number.quantize(unit, rounding)) if number else 0.0:.{digits}g}")
    return texts[0], texts[1]


def at_most(bound: float) -> str:
    """A bound, rounded up to two digits, as Python writes numbers.

    Args:
        bound: A finite number >= 0.
    """
    return outward(0.0, bound)[1]


def alone(value: float, digits: int) -> str:
    """A number without an uncertainty, as Python's "g" writes it; NaN reads as a dash."""
    return f"{value:.{digits}g}" if math.isfinite(value) else "–"


_DIGITS_ALONE = 4  # of a value without an uncertainty


def written(
    value: float, uncertainty: float, *, limits: Ends = ANYTHING, ends: Ends | None = None
) -> str:
    """A number with its uncertainty as text.

    Args:
        value: Any number; NaN reads as a dash.
        uncertainty: Its uncertainty, NaN if it is not known.
        limits: Between which numbers it can lie at all; see `limits_of`.
        ends: Those of its interval, if it is not value ± uncertainty.

    Returns:
        Such as "41.30 ± 0.13", "(1.23 ± 0.12)e+09", or the value alone; where ± would reach beyond
        the limits the ends take its place, such as "0.0030 (0 to 0.0121)".
    """
    if not math.isfinite(value) or math.isnan(uncertainty):
        return alone(value, _DIGITS_ALONE)
    if math.isinf(uncertainty):
        return f"{alone(value, _DIGITS_ALONE)} ± inf"
    text, doubt, power, *outer = rounded(value, uncertainty, limits=limits, ends=ends)
    suffix = f"e{power:+03d}" if power else ""
    if outer[0]:
        low, high = (end if end == "0" else end + suffix for end in outer)
        return f"{text}{suffix} ({low} to {high})"
    return f"({text} ± {doubt}){suffix}" if power else f"{text} ± {doubt}"


_READ_DIGITS = 6  # more cannot be compared at a glance
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
    """A value rounded to its uncertainty, and the uncertainty, as `wording` rounds both.

    Args:
        value: Any number.
        uncertainty: Its uncertainty, NaN if it is not known.
        limits: Between which numbers it can lie at all; see `wording.limits_of`.
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
        value, uncertainty, limits=limits, ends=ends, most=_READ_DIGITS
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
    return f"{_per_cent(value)} %"


def between(low: float, high: float) -> str:
    """An interval of shares as per cent, rounded outward, such as "0.017 – 93 %"."""
    if high > 1:
        return f"{number(100 * low, 2)} – {number(100 * high, 2)} %"
    ends = [_per_cent(max(end, 0.0), up=up) for end, up in ((low, False), (high, True))]
    return f"{ends[0]} %" if ends[0] == ends[1] else f"{ends[0]} – {ends[1]} %"


def span(low: float, high: float) -> str:
    """A range of numbers, or one number if both ends read the same."""
    ends = number(low, 2), number(high, 2)
    return ends[0] if ends[0] == ends[1] else f"{ends[0]} – {ends[1]}"


def size(number: float) -> str:
    """Bytes with a unit that suits them, such as "512 B", "3.20 MiB" or "1,024.0 GiB"."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if number < 1000 or unit == "GiB":
            break
        number /= 1024
    return f"{number:,.{0 if unit == 'B' else 1 if number >= 10 else 2}f} {unit}"


def duration(seconds: float) -> str:
    """A time span such as "8 s", "2 min 05 s", "1 h 20 min" or "3 days 4 h".

    Seconds are rounded up; from an hour on minutes, and from two days on hours, are cut off.
    """
    rounded_up = math.ceil(seconds)
    if rounded_up < 60:
        return f"{rounded_up} s"
    if rounded_up < 3600:
        return f"{rounded_up // 60} min {rounded_up % 60:02d} s"
    if rounded_up < 48 * 3600:
        return f"{rounded_up // 3600} h {rounded_up % 3600 // 60:02d} min"
    return f"{rounded_up // 86400} days {rounded_up % 86400 // 3600} h"


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
    digits, dot, decimals = text.partition(".")
    return f"{int(digits):,}{dot}{decimals}" if int(digits) else text


def _over_power(value: float, power: int) -> float:
    """The value over a power of ten, also of the least numbers, whose power is none itself."""
    return value / 10.0**power if power > -300 else value * 1e300 / 10.0 ** (power + 300)


def _power(exponent: int) -> str:
    return f"×10{str(exponent).translate(_RAISED)}"


def _signed(text: str) -> str:
    if not text.strip("-0."):  # what rounds to nothing has no sign
        return text.lstrip("-")
    return text.replace("-", MINUS)
