import numpy as np
import pytest
import xarray as xr

from hessview.data.table import format_summary


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
