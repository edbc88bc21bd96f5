"""Sums per window laid out on a line of time: what is covered, what is a gap, what is zero."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

from costaudit.ground.errors import UsageError
from costaudit.traffic.gaps import collection_gaps

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from costaudit.traffic.layout import Layout
    from costaudit.traffic.reduce import Sum

MICROS = 1_000_000
MAX_WINDOWS = 500_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
CACHED = "cached_prompt_tokens"
COUNTS = ("requests", "prompt_tokens", "output_tokens", CACHED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """What a Demand says of each window."""

    window_s: float
    starts: tuple[datetime, ...]
    series: Mapping[str, tuple[float | None, ...]]  # by the names in COUNTS
    covered_s: tuple[float, ...]
    first: datetime
    last: datetime
    notes: tuple[str, ...] = ()


def moment(micros: int) -> datetime:
    """Microseconds since 1970 as a time, UTC."""
    return EPOCH + timedelta(microseconds=micros)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Grid:
    """Windows of one width that hold the time from `start_us` to before `end_us`."""

    width_us: int
    start_us: int
    end_us: int
    anchor_us: int = 0  # a border between windows

    def __post_init__(self) -> None:
        if len(self.places) > MAX_WINDOWS:
            raise UsageError(
                f"the log spans {len(self.places):,} windows",
                hint="ask for longer windows, or check its times",
            )

    @property
    def places(self) -> range:
        """Numbers of the windows."""
        return range(self.place(self.start_us), self.place(self.end_us - 1) + 1)

    def place(self, time_us: int) -> int:
        """Number of the window that a time is in."""
        return (time_us - self.anchor_us) // self.width_us

    def begin_us(self, place: int) -> int:
        """When a window begins."""
        return place * self.width_us + self.anchor_us

    def inside_us(self, place: int) -> int:
        """How much of a window lies between start and end."""
        begin = self.begin_us(place)
        return min(self.end_us, begin + self.width_us) - max(self.start_us, begin)

    def laid(
        self,
        series: Mapping[str, tuple[float | None, ...]],
        covered_us: Sequence[int],
        *,
        gaps: int,
    ) -> Windows:
        """The windows with what was found in them."""
        said = f"{gaps:,} windows without a record are taken as gaps of the collection, not as zero"
        return Windows(
            window_s=self.width_us / MICROS,
            starts=tuple(moment(self.begin_us(place)) for place in self.places),
            series=series,
            covered_s=tuple(us / MICROS for us in covered_us),
            first=moment(self.start_us),
            last=moment(self.end_us),
            notes=(said,) if gaps > 0 else (),
        )


def of_requests(sums: Mapping[int, Sum], *, width_us: int) -> Windows:
    """Windows of a log of single requests; covered from its first to its last one.

    Raises:
        UsageError: there would be more windows than can be handled.
    """
    first = min(found.first_us for found in sums.values())
    last = max(found.last_us for found in sums.values())
    grid = _Grid(width_us=width_us, start_us=first, end_us=last + 1)
    counts = [round(sums[i].requests or 0) if i in sums else 0 for i in grid.places]
    low = grid.places.start
    gaps = {low + i for i in collection_gaps(counts, window_s=width_us / MICROS)}
    cached = any(found.cached_prompt_tokens is not None for found in sums.values())
    series = {
        name: tuple(
            None if i in gaps or (name == CACHED and not cached) else _value(sums.get(i), name)
            for i in grid.places
        )
        for name in COUNTS
    }
    covered = [0 if i in gaps else grid.inside_us(i) for i in grid.places]
    covered[-1] -= 1  # the last request's own microsecond
    return replace(grid.laid(series, covered, gaps=len(gaps)), last=moment(last))


def of_rows(sums: Mapping[int, Sum], layout: Layout, *, asked_us: int) -> Windows:
    """Windows of a log that has windows itself, gathered to the width that was asked for.

    Raises:
        UsageError: the width of its windows cannot be told, or there are too many windows.
    """
    own_us, silent = _own_width(sums, layout), layout.format.silence_is_idle
    rows = _recorded(sums, layout)
    start, end = min(sums), max(sums) + own_us
    width_us = own_us * max(1, math.ceil(asked_us / own_us))
    grid = _Grid(width_us=width_us, start_us=start, end_us=end, anchor_us=start % own_us)
    within: dict[int, list[Sum]] = {place: [] for place in grid.places}
    for at in sorted(rows):
        within[grid.place(at)].append(rows[at])
    covered = [
        grid.inside_us(place) if silent else min(grid.inside_us(place), own_us * len(found))
        for place, found in within.items()
    ]
    scale = own_us / MICROS if layout.kind == "rates" else 1.0
    series = {
        name: tuple(_gathered(found, name, scale, silent=silent) for found in within.values())
        for name in COUNTS
    }
    missing = 0 if silent else (end - start) // own_us - len(rows)
    return grid.laid(series, covered, gaps=missing)


def _recorded(sums: Mapping[int, Sum], layout: Layout) -> Mapping[int, Sum]:
    """Without the rows that only say that nothing was recorded."""
    if not layout.format.zero_is_gap:
        return sums
    filled = {at: found for at, found in sums.items() if any(getattr(found, n) for n in COUNTS[:3])}
    return filled or sums


def _own_width(sums: Mapping[int, Sum], layout: Layout) -> int:
    if layout.format.row_s:
        return round(layout.format.row_s * MICROS)
    widths = Counter(
        found.end_us - at for at, found in sums.items() if found.end_us and found.end_us > at
    )
    ordered = sorted(sums)
    if not widths:
        widths = Counter(b - a for a, b in pairwise(ordered))
    if not widths:
        raise UsageError(
            "the log has one window only, and no column says when it ends",
            hint="name one with --map window_end=COLUMN",
        )
    return max(widths, key=lambda width: (widths[width], -width))


def _value(found: Sum | None, name: str) -> float | None:
    return 0.0 if found is None else getattr(found, name)


def _gathered(rows: Iterable[Sum], name: str, scale: float, *, silent: bool) -> float | None:
    values = [value for row in rows if (value := getattr(row, name)) is not None]
    if not values:
        return 0.0 if silent and name in ("prompt_tokens", "output_tokens") else None
    return math.fsum(values) * scale
