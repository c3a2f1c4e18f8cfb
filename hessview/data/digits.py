"""How many digits of a number are written, so that what is written is true.

The one place where a number and its uncertainty are rounded, for texts and for pages. What is
written holds the interval that was stated: uncertainties are rounded up, and hold what rounding
the value takes away; so none reads 0 beside a number that was rounded.
"""

import math
from collections.abc import Mapping
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from typing import NamedTuple

DIGITS = 2  # of an uncertainty; more says nothing when a few probes give it
MOST_DIGITS = 12  # of a value, beyond which float64's own rounding begins to show
LEAST_POWER, MOST_POWER = -4, 6  # numbers of these powers of ten and between are written out
MOST_DECIMALS = 6  # of a per cent
EVEN = 12  # digits after which what is left is float64's rounding, not to be rounded up for


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
    most: int = MOST_DIGITS,
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
    number, doubt = Decimal(repr(float(value))).normalize(), Decimal(f"{uncertainty:.{EVEN}g}")
    lead = number.adjusted() if number else (doubt.adjusted() if doubt else 0)
    places = int(number.as_tuple().exponent)
    if not doubt and lead - places < most:  # so few digits say all there is
        return _scaled(number, doubt, lead, min(places, 0) if lead < MOST_POWER else places)
    last = doubt.adjusted() - (DIGITS - 1) if doubt else lead - most + 1
    if number:
        last = max(last, lead - most + 1)
    unit = Decimal(1).scaleb(last)
    shown = number.quantize(unit, ROUND_HALF_EVEN)
    doubt = (doubt + abs(number - shown)).quantize(unit, ROUND_CEILING)
    lead = max(lead, doubt.adjusted()) if doubt else lead
    found = _scaled(shown, doubt, lead, last)
    least, greatest = map(Decimal, limits)
    if not least <= number <= greatest or (shown - doubt >= least and shown + doubt <= greatest):
        return found
    low, high = ends or (value - uncertainty, value + uncertainty)
    outward = (
        Decimal(f"{max(low, limits[0]):.{EVEN}g}").quantize(unit, ROUND_FLOOR),
        Decimal(f"{min(high, limits[1]):.{EVEN}g}").quantize(unit, ROUND_CEILING),
    )
    texts = [_scaled(end, Decimal(0), lead, last).value if end else "0" for end in outward]
    return found._replace(low=texts[0], high=texts[1])


def _scaled(value: Decimal, doubt: Decimal, lead: int, last: int) -> Rounded:
    power = 0 if LEAST_POWER < lead < MOST_POWER else lead
    decimals = max(power - last, 0)
    texts = [f"{part.scaleb(-power):.{decimals}f}" for part in (value, doubt)]
    # What rounds to nothing has no sign; what is nothing has no decimals.
    return Rounded(texts[0] if value else texts[0].lstrip("-"), texts[1] if doubt else "0", power)


def per_cent(share: float, *, up: bool | None = None) -> str:
    """A share of one in per cent, with two digits of what it, or the rest, amounts to.

    So 99.96 % does not read as 100 %, nor 0.017 % as 0.

    Args:
        share: Between 0 and 1.
        up: Whether to round up or down, as of an end of an interval; None rounds to the nearest.

    Returns:
        Text without a sign for per cent.
    """
    number = 100 * Decimal(f"{share:.{EVEN}g}")
    less = min(number, 100 - number)
    if less <= 0:
        return f"{max(min(number, Decimal(100)), Decimal(0)):.0f}"
    decimals = max(DIGITS - 1 - less.adjusted(), 0)
    way = {None: ROUND_HALF_EVEN, True: ROUND_CEILING, False: ROUND_FLOOR}[up]
    if decimals <= MOST_DECIMALS:
        return f"{number.quantize(Decimal(1).scaleb(-decimals), way):f}"
    if number < 1:
        return f"{number:.1e}"
    return f"{number.quantize(Decimal(1).scaleb(-MOST_DECIMALS), ROUND_FLOOR):f}"


def span(low: float, high: float, *, digits: int = DIGITS) -> tuple[str, str]:
    """Ends of an interval, rounded outward.

    Args:
        low: Lower end, finite.
        high: Upper end, finite.
        digits: Significant digits of each.

    Returns:
        Their texts as Python writes numbers.
    """
    texts = []
    for end, way in ((low, ROUND_FLOOR), (high, ROUND_CEILING)):
        number = Decimal(f"{end:.{EVEN}g}")
        unit = Decimal(1).scaleb(number.adjusted() - digits + 1)
        texts.append(f"{float(number.quantize(unit, way)) if number else 0.0:.{digits}g}")
    return texts[0], texts[1]


def at_most(bound: float) -> str:
    """A bound, rounded up to two digits, as Python writes numbers.

    Args:
        bound: A finite number >= 0.
    """
    return span(0.0, bound)[1]


def alone(value: float, digits: int) -> str:
    """A number without an uncertainty, as Python's "g" writes it; NaN reads as a dash."""
    return f"{value:.{digits}g}" if math.isfinite(value) else "–"
