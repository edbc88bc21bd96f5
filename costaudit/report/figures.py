"""Numbers as people read them; the only place where a share becomes a percentage."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

UNKNOWN = "unknown"  # never a dash and never a zero
RANGE = " to "  # a minus sign may follow, so no dash stands between two figures
POINT = "\N{NO-BREAK SPACE}%"  # behind a percentage
_TINY_POINTS = 0.05  # rounds to 0.0 %
_WHOLE_POINTS = 9.95  # from here on one decimal says no more
_WHOLE_USD = 1000


def usd(value: float | None, *, like: float | None = None) -> str:
    """Dollars with three significant digits, cents above one.

    `like` is the whole of a column, whose decimals all its figures take; what rounds to nothing
    there is told as less than the least of them.
    """
    if value is None:
        return UNKNOWN
    if value == 0:
        return "$0"
    sign, size = ("-" if value < 0 else ""), abs(like or value)
    decimals = 2 if size >= 1 else min(max(2, 2 - math.floor(math.log10(size))), 9)
    if size >= _WHOLE_USD:
        decimals = 0
    least = 10.0**-decimals
    if abs(value) < least / 2:
        return f"{'>' if sign else '<'}{sign}${least:.{decimals}f}"
    return f"{sign}${abs(value):,.{decimals}f}"


def percent(share: float | None) -> str:
    """A share (0 to 1) as a percentage that no line break tears; one decimal below ten."""
    if share is None:
        return UNKNOWN
    points = share * 100
    if points and abs(points) < _TINY_POINTS:
        return f"<0.1{POINT}" if points > 0 else f">-0.1{POINT}"
    whole = abs(points) >= _WHOLE_POINTS or points == 0
    return f"{points:.{0 if whole else 1}f}{POINT}"


def percent_range(low: float, high: float) -> str:
    """Both ends of a saving; one figure where they read the same."""
    first, last = percent(low), percent(high)
    return last if first == last else f"{first.removesuffix(POINT)}{RANGE}{last}"


def usd_range(low: float | None, high: float | None) -> str:
    """Both ends in dollars."""
    first, last = usd(low), usd(high)
    return last if first == last else f"{first}{RANGE}{last}"


def significant(value: float | None, unit: str = "") -> str:
    """Three significant digits with thousands separators."""
    if value is None:
        return UNKNOWN
    if value == 0:
        return f"0{unit}"
    decimals = max(0, 2 - math.floor(math.log10(abs(value))))
    text = f"{value:,.{min(decimals, 9)}f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text) + unit


def count(value: float | None) -> str:
    """A whole number with thousands separators."""
    return UNKNOWN if value is None else f"{value:,.0f}"


def duration(seconds: float | None) -> str:
    """Seconds in the unit that reads best."""
    if seconds is None:
        return UNKNOWN
    size = abs(seconds)
    for limit, factor, unit in ((1e-3, 1e6, "µs"), (1, 1e3, "ms"), (300, 1, "s")):
        if 0 < size < limit:
            return significant(seconds * factor, f" {unit}")
    return f"{seconds / 60:,.0f} min" if size else "0 s"


def binary_bytes(value: float | None) -> str:
    """Memory in powers of 1024."""
    return UNKNOWN if value is None else _scaled(value, 1024, ("B", "KiB", "MiB", "GiB", "TiB"))


def rate(value: float | None, unit: str) -> str:
    """A rate in powers of 1000: `rate(3e12, "B/s")` is "3 TB/s"."""
    if value is None:
        return UNKNOWN
    return _scaled(value, 1000, tuple(p + unit for p in ("", "k", "M", "G", "T", "P")))


def figure(value: float | None, unit: str) -> str:
    """An observation in its own unit."""
    match unit:
        case "share":
            return percent(value)
        case "s":
            return duration(value)
        case "bytes":
            return binary_bytes(value)
        case "count":
            return count(value)
        case "usd":
            return usd(value)
        case _:
            return significant(value, f" {unit}" if unit and value is not None else "")


def given(value: Any) -> str:
    """A setting as it was exported: words stay words, numbers keep all their digits."""
    match value:
        case None:
            return UNKNOWN
        case bool():
            return "on" if value else "off"
        case int():
            return count(value)
        case float():
            return significant(value)
        case _:
            return str(value)


def per_million(
    usd_per_1m: float | None, gpu_s_per_1m: float | None, *, like: float | None = None
) -> str:
    """A cost per 1M tokens: dollars where there is a price, else device-seconds."""
    return (
        usd(usd_per_1m, like=like)
        if usd_per_1m is not None
        else significant(gpu_s_per_1m, " device-s")
    )


def interval(bounds: Mapping[str, float] | None, *, dollars: bool) -> str:
    """Both ends of an interval of the bill; "" where there is none."""
    if bounds is None:
        return ""
    if dollars:
        return usd_range(bounds["low"], bounds["high"])
    return f"{significant(bounds['low'])}{RANGE}{significant(bounds['high'])} device-s"


def sentence(text: str) -> str:
    """A clause as a sentence of its own."""
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."


def _scaled(value: float, base: int, units: tuple[str, ...]) -> str:
    size, place = float(value), 0
    while abs(size) >= base and place < len(units) - 1:
        size, place = size / base, place + 1
    return significant(size, f" {units[place]}")
