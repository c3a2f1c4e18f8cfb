import math

import pytest

from hessview.page import wording
from hessview.page.wording import count, duration, measured, number, share, span


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (41.27, "41.3"),
        (-1.9, "−1.90"),
        (0.000123, "1.23×10⁻⁴"),
        (-3.2e-9, "−3.20×10⁻⁹"),
        (123_456, "123,456"),
        (999_999.9, "1.00×10⁶"),
        (0.0999999, "0.100"),
        (0, "0"),
        (math.nan, "–"),
    ],
)
def test_numbers(value, text):
    assert number(value) == text


@pytest.mark.parametrize(
    ("value", "uncertainty", "texts"),
    [
        (41.3, 0.0128, ("41.30", "± 0.01")),
        (-1.9, 0.5, ("−1.9", "± 0.5")),
        (-0.02, 0.3, ("0.0", "± 0.3")),
        (2.6123e6, 504_526, ("2.6×10⁶", "± 0.5×10⁶")),
        (3e-9, 4e-10, ("3.0×10⁻⁹", "± 0.4×10⁻⁹")),
        (5, 20, ("5", "± 20")),
        (9.99, 0.06, ("9.99", "± 0.06")),
        (41.3, 1e-9, ("41.3000", "± 1×10⁻⁹")),
        (0, 0, ("0", "± 0")),
        (2.5, math.nan, ("2.50", "")),
        (math.nan, 1.0, ("–", "")),
    ],
)
def test_a_value_is_rounded_to_its_uncertainty(value, uncertainty, texts):
    assert measured(value, uncertainty) == texts


def test_shares():
    assert share(0.043, 0.004) == ("4.3 %", "± 0.4 %")
    assert share(5e-7, 2e-7) == ("5×10⁻⁷", "± 2×10⁻⁷")
    assert share(math.nan) == ("–", "")
    assert share(0.5) == ("50.0 %", "")


def test_spans_durations_and_counts():
    assert span(1.34e-4, 0.232) == "1.3×10⁻⁴ – 0.23"
    assert span(0.1, 0.1) == "0.10"
    assert [duration(s) for s in (7.2, 125, 4800)] == ["8 s", "2 min 05 s", "1 h 20 min"]
    assert [count(n) for n in (4096, 134_515_008, 7e9)] == ["4,096", "135 M", "7 B"]


@pytest.mark.parametrize("value", [5e-324, -5e-324, 2.2e-308, 1e-300, 1.7976931348623157e308])
def test_the_least_and_largest_numbers_have_words(value):
    mantissa, power = f"{abs(value):.2e}".split("e")
    text = wording.number(value)
    assert text.lstrip(wording.MINUS) == f"{mantissa}×10" + str(int(power)).translate(
        wording._RAISED
    )
    assert wording.measured(value, abs(value))[1].startswith("± ")
