"""What is written of any number, the least and the largest included, is true of it."""

import math
from decimal import Decimal

from hypothesis import example, given, settings
from hypothesis import strategies as st

from hessview import wording

NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
NOT_NEGATIVE = st.floats(0, allow_nan=False, allow_infinity=False)
SHARES = st.floats(0, 1)
LOWERED = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹−", "-0123456789-", ",")


def read(text):
    """The number that a text says, exactly."""
    mantissa, _, power = text.translate(LOWERED).partition("×10")
    return Decimal(mantissa).scaleb(int(power or 0))


def exactly(value):
    """The decimal that Python writes for a float."""
    return Decimal(repr(value))


@given(NUMBERS, NOT_NEGATIVE)
@settings(max_examples=400)
def test_a_value_with_its_uncertainty_holds_the_interval_that_was_stated(value, uncertainty):
    text, doubt = wording.measured(value, uncertainty)
    assert doubt.startswith("± ")
    shown, within = read(text), read(doubt.removeprefix("± "))
    # The uncertainty itself is taken at 12 digits, after which float64's rounding begins.
    stated = exactly(uncertainty) * (1 - Decimal("1e-11"))
    assert abs(shown - exactly(value)) + stated <= within
    if doubt == "± 0":
        assert (shown, uncertainty) == (exactly(value), 0.0)


@given(NUMBERS, st.integers(1, 12))
@settings(max_examples=400)
def test_a_number_is_right_to_its_last_digit(value, digits):
    shown = read(wording.number(value, digits))
    unit = Decimal(10) ** (Decimal(value).adjusted() - digits + 1)
    assert abs(shown - Decimal(value)) <= unit * Decimal("0.5000001")
    assert (shown == 0) == (value == 0)


@given(SHARES, SHARES)
@example(0.0, 1 - 1e-11)  # 99.999999 % is no upper end of it
@settings(max_examples=400)
def test_an_interval_of_shares_is_rounded_outward(one, other):
    low, high = sorted((one, other))
    texts = wording.between(low, high).removesuffix(" %").split(" – ")
    ends = [Decimal(text) / 100 for text in texts]
    rounding = Decimal("1e-11")
    assert ends[0] <= exactly(low) * (1 + rounding)
    assert exactly(high) * (1 - rounding) <= ends[-1]


@given(SHARES)
def test_no_share_reads_as_nothing_or_as_all_unless_it_is(value):
    shown = read(wording.share(value).removesuffix(" %"))
    assert (shown == 0) == (value == 0)
    # What is nearer to one than 12 digits tell is one.
    assert (shown == 100) == (value > 1 - 1e-12)


@given(NUMBERS, NUMBERS)
def test_ends_of_an_interval_are_rounded_outward(one, other):
    low, high = sorted((one, other))
    texts = wording.outward(low, high)
    assert float(texts[0]) <= low + abs(low) * 1e-11
    assert high - abs(high) * 1e-11 <= float(texts[1])


@given(st.floats(0, 1e9))
def test_a_time_span_is_never_said_to_be_shorter(seconds):
    text = wording.duration(seconds)
    sizes = {"s": 1, "min": 60, "h": 3600, "days": 86400}
    words = text.split()
    said = sum(
        int(count) * sizes[unit] for count, unit in zip(words[::2], words[1::2], strict=True)
    )
    # Hours are told with minutes and days with hours, cut off.
    least = 3600 if "days" in text else 60 if "h" in text else 1
    assert said <= math.ceil(seconds) < said + least
