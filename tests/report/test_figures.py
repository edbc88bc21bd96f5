"""Numbers as people read them."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costaudit.report import figures

NBSP = "\N{NO-BREAK SPACE}"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "unknown"),
        (0, "$0"),
        (0.662, "$0.662"),
        (0.00787, "$0.00787"),
        (0.5, "$0.500"),
        (1, "$1.00"),
        (12345.6, "$12,346"),
        (-0.25, "-$0.250"),
        (1e-12, "<$0.000000001"),
    ],
)
def test_usd(value, text):
    assert figures.usd(value) == text


def test_a_column_of_dollars_takes_the_decimals_of_its_whole():
    assert figures.usd(0.00787, like=0.662) == "$0.008"
    assert figures.usd(0.00787, like=12.0) == "$0.01"
    assert figures.usd(3.0, like=4000.0) == "$3"
    assert figures.usd(0.001, like=12.0) == "<$0.01"
    assert figures.usd(-0.2, like=4000.0) == ">-$1"


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (None, "unknown"),
        (0, "0 %"),
        (0.00012, "<0.1 %"),
        (0.0123, "1.2 %"),
        (0.0996, "10 %"),
        (0.4149, "41 %"),
        (1, "100 %"),
        (-0.034, "-3.4 %"),
        (-0.0001, ">-0.1 %"),
    ],
)
def test_percent(share, text):
    assert figures.percent(share).replace(NBSP, " ") == text


def test_ranges_print_both_ends_once():
    assert figures.percent_range(0.39, 0.47).replace(NBSP, " ") == "39 to 47 %"
    assert figures.percent_range(0.391, 0.392).replace(NBSP, " ") == "39 %"
    assert figures.percent_range(-0.02, 0.3).replace(NBSP, " ") == "-2.0 to 30 %"
    assert figures.usd_range(0.258, 0.311) == "$0.258 to $0.311"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "unknown"),
        (0, "0 s"),
        (2.41e-05, "24.1 µs"),
        (0.0241, "24.1 ms"),
        (1.34, "1.34 s"),
        (118.4, "118 s"),
        (3600, "60 min"),
        (-0.5, "-500 ms"),
    ],
)
def test_duration(seconds, text):
    assert figures.duration(seconds) == text


def test_bytes_rates_and_observations():
    assert figures.binary_bytes(131072) == "128 KiB"
    assert figures.binary_bytes(85520809984) == "79.6 GiB"
    assert figures.rate(2.98e12, "B/s") == "2.98 TB/s"
    assert figures.rate(7.62e14, "FLOP/s") == "762 TFLOP/s"
    assert figures.figure(0.412, "share").replace(NBSP, " ") == "41 %"
    assert figures.figure(24, "sequences") == "24 sequences"
    assert figures.figure(None, "sequences") == "unknown"
    assert figures.given(True) == "on"
    assert figures.given(8192) == "8,192"
    assert figures.given(None) == "unknown"


def test_cost_is_dollars_where_there_is_a_price():
    assert figures.per_million(0.5, 700.0) == "$0.500"
    assert figures.per_million(None, 796.7) == "797 device-s"
    assert figures.per_million(None, None) == "unknown"


@given(st.floats(1e-9, 1e15))
def test_three_digits_are_true(value):
    text = figures.significant(value)
    assert math.isclose(float(text.replace(",", "")), value, rel_tol=0.0051, abs_tol=6e-10)


@given(st.floats(-1, 1))
def test_a_percentage_never_hides_that_something_is_there(share):
    text = figures.percent(share)
    assert (re.sub(r"[^0-9.]", "", text) == "0") == (share == 0)
