import math

import pytest

from hessview import wording
from hessview.wording import aligned, between, count, duration, measured, number, share, size, span


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
        (41.3, 0.0128, ("41.300", "± 0.013")),
        (-1.9, 0.5, ("−1.90", "± 0.50")),
        (-0.02, 0.3, ("−0.02", "± 0.30")),
        (-0.002, 0.3, ("0.00", "± 0.31")),
        (2.6123e6, 504_526, ("2.61×10⁶", "± 0.51×10⁶")),
        (123_456.7, 890, ("123,460", "± 900")),
        (3e-9, 4e-10, ("3.00×10⁻⁹", "± 0.40×10⁻⁹")),
        (5, 20, ("5", "± 20")),
        (9.99, 0.06, ("9.990", "± 0.060")),
        (41.3, 1e-9, ("41.3000", "± 0.0001")),
        (1 / 3, 0, ("0.333333", "± 0.000001")),
        (2.5, math.inf, ("2.50", "± ∞")),
        (0, 0, ("0", "± 0")),
        (2.5, math.nan, ("2.50", "")),
        (math.nan, 1.0, ("–", "")),
    ],
)
def test_a_value_is_rounded_to_its_uncertainty(value, uncertainty, texts):
    assert measured(value, uncertainty) == texts


@pytest.mark.parametrize(
    ("value", "ends", "limits", "texts"),
    [
        (0.003, (0.0, 0.0121), (0, 1), ("0.0030", "(0 – 0.0121)")),
        (1600.0, (0.0, 7890.0), (0, math.inf), ("1,600", "(0 – 7,900)")),
        (1.6e9, (3e8, 7.89e9), (0, math.inf), ("1.6×10⁹", "(0.3×10⁹ – 7.9×10⁹)")),
        (0.9712, (0.894, 1.0), (-1, 1), ("0.971", "(0.894 – 1.000)")),
        (0.03, (0.021, 0.0441), (0, 1), ("0.030", "± 0.015")),
    ],
)
def test_no_range_is_stated_that_cannot_be(value, ends, limits, texts):
    uncertainty = max(ends[1] - value, value - ends[0])
    assert measured(value, uncertainty, limits=limits, ends=ends) == texts


def test_shares():
    assert share(0.043) == "4.3 %"
    assert share(0.5046) == "50 %"
    assert share(5e-7) == "5.0×10⁻⁵ %"
    assert share(1.5) == "1.5×10² %" or share(1.5) == "150 %"
    assert share(math.nan) == "–"


@pytest.mark.parametrize("value", [0.9996, 0.999_999, 0.999_999_999_9, 0.00017, 1e-12])
def test_no_share_reads_as_nothing_or_as_all_unless_it_is(value):
    assert share(value) not in ("0 %", "100 %", "0.0 %", "100.0 %")
    assert [share(whole) for whole in (0.0, 1.0)] == ["0 %", "100 %"]


def test_intervals_of_shares_are_rounded_outward():
    assert (
        between(0.00017, 0.9301) == "0.017 – 93.1 %" or between(0.00017, 0.9301) == "0.017 – 94 %"
    )
    assert between(0.0, 1.0) == "0 – 100 %"
    assert between(0.0, 0.0) == "0 %"


def test_spans_durations_and_counts():
    assert span(1.34e-4, 0.232) == "1.3×10⁻⁴ – 0.23"
    assert span(0.1, 0.1) == "0.10"
    assert [duration(s) for s in (7.2, 125, 4800)] == ["8 s", "2 min 05 s", "1 h 20 min"]
    assert [duration(3600 * hours) for hours in (47, 50)] == ["47 h 00 min", "2 days 2 h"]


def test_sizes_have_a_unit_that_suits_them():
    sizes = (10, 999, 1000, 3.2 * 2**20, 2**40)
    assert [size(n) for n in sizes] == ["10 B", "999 B", "0.98 KiB", "3.20 MiB", "1,024.0 GiB"]
    assert [count(n) for n in (4096, 134_515_008, 7e9)] == ["4,096", "135 M", "7 B"]


@pytest.mark.parametrize("value", [5e-324, -5e-324, 2.2e-308, 1e-300, 1.7976931348623157e308])
def test_the_least_and_largest_numbers_have_words(value):
    mantissa, power = f"{abs(value):.2e}".split("e")
    text = wording.number(value)
    assert text.lstrip(wording.MINUS) == f"{mantissa}×10" + str(int(power)).translate(
        wording._RAISED
    )
    assert wording.measured(value, abs(value))[1].startswith("± ")


def test_columns_are_as_wide_as_their_widest_cell():
    assert aligned([["a", "bb", "c"], ["long", "", "d"], ["", "b", ""]]) == (
        "a     bb  c\nlong      d\n      b"
    )
