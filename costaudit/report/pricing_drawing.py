"""The load-duration curve as geometry: how many replicas are needed for how much of the time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from costaudit.report import figures
from costaudit.report.drawing import Chart, Line, Tick

if TYPE_CHECKING:
    from collections.abc import Mapping

WIDTH, HEIGHT = 720.0, 320.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 64.0, 160.0, 16.0, 44.0
_TICKS = 4
_LEVELS_SHOWN = 3  # committed levels drawn; more would lie on each other


def load_duration(pricing: Mapping[str, Any]) -> Chart | None:
    """The curve, and the level that each of the cheapest commitments holds; None without a need."""
    levels = pricing["need"]["load_duration"]
    most = max((level["replicas"] for level in levels), default=0)
    if not most:
        return None
    corners = []
    for level, after in zip(levels, [*levels[1:], {"share": 0.0}], strict=True):
        height = _y(level["replicas"], most)
        corners += [(_x(level["share"]), height), (_x(after["share"]), height)]
    curve = Line(kind="best", label="needed", points=" ".join(f"{a},{b}" for a, b in corners))
    held = [
        Line(
            kind=f"other other-{place}",
            label=f"{count} {way}",
            points=f"{_x(0)},{_y(count, most)} {_x(1)},{_y(count, most)}",
        )
        for place, (way, count) in enumerate(_committed(pricing).items())
    ]
    return _chart((curve, *held), most)


def _chart(lines: tuple[Line, ...], most: int) -> Chart:
    """Both axes from zero, to the whole time and to the most that was needed."""
    right, bottom = WIDTH - _RIGHT, HEIGHT - _BOTTOM
    parts = [n / _TICKS for n in range(_TICKS + 1)]
    return Chart(
        width=WIDTH,
        height=HEIGHT,
        left=_LEFT,
        right=right,
        top=_TOP,
        bottom=bottom,
        x_ticks=tuple(Tick(at=_x(n), label=figures.percent(n)) for n in parts),
        y_ticks=tuple(
            Tick(at=_y(most * n, most), label=figures.significant(most * n)) for n in parts
        ),
        lines=lines,
        dots=(),
    )


def _x(share: float) -> float:
    return round(_LEFT + (WIDTH - _RIGHT - _LEFT) * share, 1)


def _y(replicas: float, most: int) -> float:
    bottom = HEIGHT - _BOTTOM
    return round(bottom - (bottom - _TOP) * replicas / most, 1)


def _committed(pricing: Mapping[str, Any]) -> Mapping[str, int]:
    """Replicas of the cheapest option of each commitment, the advised one before all others."""
    found: dict[str, int] = {}
    best_first = sorted(pricing["options"], key=lambda o: o["id"] != pricing["best"])
    for option in best_first:
        committed = option.get("committed")
        if committed and committed["replicas"] and committed["term_months"]:
            found.setdefault(committed["way"], committed["replicas"])
    return dict(list(found.items())[:_LEVELS_SHOWN])
