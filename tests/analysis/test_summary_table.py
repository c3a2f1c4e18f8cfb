from decimal import Decimal

import numpy as np
import pytest
import xarray as xr

from hessview.analysis.summary import format_summary
from hessview.wording import LIMITS, rounded


def table(value, uncertainty, basis="b"):
    found = xr.Dataset(
        {
            "value": ("quantity", [value]),
            "uncertainty": ("quantity", [uncertainty]),
            "basis": ("quantity", np.array([basis], dtype=object)),
        },
        {"quantity": np.array(["q"], dtype=object)},
    )
    return format_summary(found)


@pytest.mark.parametrize(
    ("value", "uncertainty", "expected"),
    [
        (12.3456, 0.0567, "12.346 ± 0.058"),
        (12.3456, 0.0996, "12.346 ± 0.100"),
        (-1.5, 0.25, "-1.50 ± 0.25"),
        (0.03, 0.5, "0.03 ± 0.50"),
        (-0.0001, 0.5, "0.00 ± 0.51"),
        (3.0, 120.0, "0 ± 130"),
        (123456.7, 890.0, "123460 ± 900"),
        (180.0, 130.0, "180 ± 130"),
        (195.0, 12.0, "195 ± 12"),
        (1.23e9, 4.5e7, "(1.230 ± 0.045)e+09"),
        (1.2345e-7, 3.4e-9, "(1.234 ± 0.035)e-07"),
        (0.0, 0.01, "0.000 ± 0.010"),
        (41.3, 1e-7, "41.30000000 ± 0.00000010"),
        (41.3, 0.0, "41.3 ± 0"),
        (1 / 3, 0.0, "0.333333333333 ± 0.000000000001"),
        (41.3, 1e-17, "41.3000000000 ± 0.0000000001"),
        (0.0, 0.0, "0 ± 0"),
        (5.0, np.inf, "5 ± inf"),
        (41.34567, np.nan, "41.35"),
        (1.2345e9, np.nan, "1.234e+09"),
    ],
)
def test_a_value_is_rounded_to_its_uncertainty(value, uncertainty, expected):
    assert table(value, uncertainty) == f"q  {expected}  b"


@pytest.mark.parametrize(
    ("name", "value", "ends", "expected"),
    [
        ("negative_mass", 0.003, (0.0, 0.0121), "0.0030 (0 to 0.0121)"),
        ("negative_mass", 0.03, (0.021, 0.0441), "0.030 ± 0.015"),
        ("negative_mass", 0.0, (0.0, 3.33e-9), "0.0e-09 (0 to 3.4e-09)"),
        ("unresolved_mass", 0.996, (0.9904, 1.0), "0.9960 (0.9904 to 1.0000)"),
        ("unresolved_mass", 0.5, (0.0, 1.0), "0.50 ± 0.50"),
        ("frobenius_norm", 1600.0, (0.0, 7890.0), "1600 (0 to 7900)"),
        ("frobenius_norm", 1.6e9, (3e8, 7.89e9), "1.6e+09 (0.3e+09 to 7.9e+09)"),
        ("block_error", 0.021, (0.0, 0.0533), "0.021 (0 to 0.054)"),
        ("cosine", 0.9712, (0.894, 1.0), "0.971 (0.894 to 1.000)"),
        ("trace", 0.003, (-0.006, 0.0121), "0.0030 ± 0.0091"),  # can be anything
    ],
)
def test_no_range_is_stated_that_cannot_be(name, value, ends, expected):
    found = xr.Dataset(
        {
            "value": ("quantity", [value]),
            "uncertainty": ("quantity", [max(value - ends[0], ends[1] - value)]),
            "low": ("quantity", [ends[0]]),
            "high": ("quantity", [ends[1]]),
            "basis": ("quantity", np.array([""], dtype=object)),
        },
        {"quantity": np.array([name], dtype=object)},
    )
    assert format_summary(found) == f"{name.replace('_', ' ')}  {expected}"


@pytest.mark.parametrize("name", sorted(LIMITS))
def test_whatever_is_written_holds_the_interval_and_stays_within_the_limits(name):
    least, most = LIMITS[name]
    random = np.random.default_rng(0)
    plain = 0
    for _ in range(2000):
        scale = 10.0 ** random.uniform(-7, 5 if np.isinf(most) else 0)
        drawn = scale * random.uniform(-1 if least < 0 else 0, 1, 3)
        if np.isfinite(most) and random.uniform() < 0.3:
            drawn = most - np.abs(drawn)  # near the upper end
        value, low, high = drawn[0], min(drawn[:2]), max(drawn[0], drawn[2])
        uncertainty = max(high - value, value - low)
        found = rounded(value, uncertainty, limits=(least, most), ends=(low, high))
        texts = [text for text in found[:2] + found[3:] if text]
        numbers = [Decimal(text).scaleb(found.power) for text in texts]
        ends = numbers[2:] or [numbers[0] - numbers[1], numbers[0] + numbers[1]]
        plain += not numbers[2:]
        assert least <= ends[0] <= Decimal(f"{low:.12g}")
        assert Decimal(f"{high:.12g}") <= ends[1] <= most
    assert 0 < plain < 2000  # both ways of writing were tried


def test_where_a_number_is_withheld_the_reason_stands_in_its_place():
    assert table(np.nan, np.nan, "withheld: a kink") == "q  withheld: a kink"


def test_columns_are_aligned_and_names_are_words():
    found = xr.Dataset(
        {
            "value": ("quantity", [41.3, 0.031]),
            "uncertainty": ("quantity", [0.2, np.nan]),
            "basis": ("quantity", np.array(["residual bound", "1 probe"], dtype=object)),
        },
        {"quantity": np.array(["largest", "negative_mass"], dtype=object)},
    )
    assert format_summary(found).splitlines() == [
        "largest        41.30 ± 0.20  residual bound",
        "negative mass  0.031         1 probe",
    ]
