"""Geometry of the pictures: places in an SVG's own units, so that templates compute nothing."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from costaudit.report import figures

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from costaudit.report.bill_rows import SliceRow
    from costaudit.report.step_rows import OrderRow

BAR = 1000.0  # width of a bar's viewBox: a thousandth of the bill
_HAIR = 3.0  # a slice is never thinner than this, so that it is seen
_LEFT, _RIGHT, _TOP, _BOTTOM = 96.0, 32.0, 16.0, 52.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One slice and, where it has one, its interaction band."""

    x: float
    width: float
    band_x: float | None
    band_width: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """A mark of an axis."""

    at: float
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Dot:
    """A measured point."""

    x: float
    y: float
    kind: str
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A polyline, as an SVG `points` attribute."""

    kind: str
    label: str
    points: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A picture with two axes; the plot lies between the four edges."""

    width: float
    height: float
    left: float
    right: float
    top: float
    bottom: float
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    lines: tuple[Line, ...]
    dots: tuple[Dot, ...]


def bars(rows: Sequence[SliceRow]) -> list[Bar | None]:
    """One bar per slice, None for a slice that cannot be told apart."""
    return [_bar(row) for row in rows]


def _bar(row: SliceRow) -> Bar | None:
    if row.share is None:
        return None
    first, last = sorted((row.start, row.start + row.share))
    x = min(max(first * BAR, 0.0), BAR - _HAIR)
    width = min(max((last - first) * BAR, _HAIR if row.share else 0.0), BAR - x)
    if row.band_low is None or row.band_high is None:
        return Bar(x=_round(x), width=_round(width), band_x=None, band_width=None)
    low = min(max((row.start + row.band_low) * BAR, 0.0), BAR)
    high = min((row.start + row.band_high) * BAR, BAR)
    return Bar(
        x=_round(x),
        width=_round(width),
        band_x=_round(low),
        band_width=_round(max(high - low, 0.0)),
    )


def roofline(document: Mapping[str, Any]) -> Chart | None:
    """Probes under the device's roof, both axes logarithmic; None without peaks or points."""
    device, phases = document["device"], document["phases"]
    peak = device["peak_flops"]["value"]
    bandwidth = device["peak_bandwidth_bytes_per_s"]["value"]
    points = [(kind, p) for kind in ("prefill", "decode") for p in phases[kind].get("roofline", ())]
    points = [(k, p) for k, p in points if p["flops_per_byte"] > 0 and p["flops_per_s"] > 0]
    if not peak or not bandwidth or not points:
        return None
    ridge = peak / bandwidth
    xs = [p["flops_per_byte"] for _, p in points] + [ridge]
    ys = [p["flops_per_s"] for _, p in points] + [peak]
    x = _Log(xs, _LEFT, 720 - _RIGHT)
    y = _Log(ys, 380 - _BOTTOM, _TOP)
    corners = ((x.low, x.low * bandwidth), (ridge, peak), (x.high, peak))
    return Chart(
        **_frame(720, 380),
        x_ticks=tuple(Tick(at=x.at(v), label=figures.significant(v)) for v in x.decades()),
        y_ticks=tuple(Tick(at=y.at(v), label=figures.rate(v, "FLOP/s")) for v in y.decades()),
        lines=(Line(kind="roof", label="roof", points=_points(x, y, corners)),),
        dots=tuple(_dot(x, y, kind, p) for kind, p in points),
    )


def orders(rows: Sequence[OrderRow], *, dollars: bool) -> Chart | None:
    """What is left to pay after each step, one line per order; None where there is no choice."""
    drawn = [row for row in rows if len(row.path) > 1]
    if len(drawn) < 2:  # noqa: PLR2004 - one line compares nothing
        return None
    steps = max(len(row.path) for row in drawn) - 1
    top = max(max(row.path) for row in drawn) or 1.0
    right, bottom = 720 - _RIGHT, 300 - _BOTTOM

    def place(step: int, cost: float) -> str:
        x = _LEFT + (right - _LEFT) * step / steps
        return f"{_round(x)},{_round(bottom - (bottom - _TOP) * max(cost, 0.0) / top)}"

    names = ["today", *(f"{n} step{'s' if n > 1 else ''}" for n in range(1, steps + 1))]
    return Chart(
        **_frame(720, 300),
        x_ticks=tuple(
            Tick(at=_round(_LEFT + (right - _LEFT) * n / steps), label=name)
            for n, name in enumerate(names)
        ),
        y_ticks=tuple(_money_tick(top * n / 4, top, bottom, dollars=dollars) for n in range(5)),
        lines=tuple(
            Line(
                kind="best" if row.best else f"other other-{n}",
                label=row.name,
                points=" ".join(place(step, cost) for step, cost in enumerate(row.path)),
            )
            for n, row in enumerate(drawn)
        ),
        dots=(),
    )


def _money_tick(value: float, top: float, bottom: float, *, dollars: bool) -> Tick:
    at = bottom - (bottom - _TOP) * value / top
    label = figures.usd(value, like=top) if dollars else figures.significant(value, " s")
    return Tick(at=_round(at), label=label)


class _Log:
    """A logarithmic axis over whole decades, from pixel `first` to pixel `last`."""

    def __init__(self, values: Sequence[float], first: float, last: float) -> None:
        self.from_decade = math.floor(math.log10(min(values)))
        self.to_decade = max(math.ceil(math.log10(max(values) * 1.05)), self.from_decade + 1)
        self.first, self.last = first, last
        self.low, self.high = 10.0**self.from_decade, 10.0**self.to_decade

    def at(self, value: float) -> float:
        """The pixel of a value."""
        share = (math.log10(value) - self.from_decade) / (self.to_decade - self.from_decade)
        return _round(self.first + (self.last - self.first) * share)

    def decades(self) -> list[float]:
        """Values of the ticks."""
        return [10.0**n for n in range(self.from_decade, self.to_decade + 1)]


def _points(x: _Log, y: _Log, corners: Sequence[tuple[float, float]]) -> str:
    """A roof's corners; what starts below the picture is cut where it enters it."""
    (x0, y0), (x1, y1), *rest = corners
    if y0 < y.low:
        x0, y0 = x0 * y.low / y0, y.low
    return " ".join(f"{x.at(a)},{y.at(b)}" for a, b in ((x0, y0), (x1, y1), *rest))


def _dot(x: _Log, y: _Log, kind: str, point: Mapping[str, Any]) -> Dot:
    label = (
        f"{point['label']}: {figures.significant(point['flops_per_byte'])} FLOP/B, "
        f"{figures.rate(point['flops_per_s'], 'FLOP/s')}"
    )
    return Dot(
        x=x.at(point["flops_per_byte"]), y=y.at(point["flops_per_s"]), kind=kind, label=label
    )


def _frame(width: float, height: float) -> dict[str, float]:
    return {
        "width": width,
        "height": height,
        "left": _LEFT,
        "right": width - _RIGHT,
        "top": _TOP,
        "bottom": height - _BOTTOM,
    }


def _round(value: float) -> float:
    return round(value, 1)
