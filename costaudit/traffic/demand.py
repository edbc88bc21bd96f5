"""Demand: how many requests and tokens came per window of time, and what is not known of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    Series = tuple[float | None, ...]

HOURS_PER_WEEK = 168
HALF_COVERED_SHARE = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """Rows that were not used: why, how many, and the first of them as far as it can be shown."""

    reason: str
    rows: int
    example: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LengthCell:
    """One cell of the joint histogram of lengths: a weight, and the mean lengths within it.

    Cells are a quarter of an octave wide in both directions, so Σ requests × mean is exact while
    single lengths are known to ±9 %.
    """

    requests: float
    prompt_tokens: float
    output_tokens: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefixShare:
    """Share of the prompt tokens found in a prefix cache of this many tokens (LRU, full blocks)."""

    cache_tokens: float  # inf: nothing is ever evicted
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """Requests and tokens per window, in order of time without holes; sums as they were logged.

    None is a window without a record: a gap of the collection, never a demand of zero. A window
    may be covered in part, at both ends of the log above all: `covered_s` says how many of its
    seconds the log spans, and `rates_per_s` divides by that. Whoever sizes for a window wants
    `rates_per_s` × `window_s`; the sums alone understate windows covered in part.
    """

    source: str
    format: str
    window_s: float  # as asked for, or the width of the log's own windows where that is greater
    starts: tuple[datetime, ...]  # UTC
    requests: Series
    prompt_tokens: Series
    output_tokens: Series
    cached_prompt_tokens: Series  # prompt tokens served or servable from a prefix cache
    covered_s: tuple[float, ...]
    rejected: tuple[Rejected, ...] = ()
    duplicates: int = 0
    time_zone_note: str = ""
    relative_time: bool = False  # the log has no date: `starts` count from 1970-01-01
    prefix_share: float | None = None  # share of prompt tokens, cache of any size; None: unknown
    prefix_shares: tuple[PrefixShare, ...] = ()  # the same by size of the cache
    lengths: tuple[LengthCell, ...] = ()  # empty where the log has no single requests
    first: datetime
    last: datetime
    notes: tuple[str, ...] = ()

    @property
    def days(self) -> float:
        """Days from the first to the last record."""
        return (self.last - self.first).total_seconds() / 86400

    @property
    def coverage_share(self) -> float:
        """Share of the time from first to last window that the log covers."""
        return math.fsum(self.covered_s) / (len(self.starts) * self.window_s)

    @property
    def gaps(self) -> int:
        """Windows without a record."""
        return sum(covered_s <= 0 for covered_s in self.covered_s)

    @property
    def rejected_rows(self) -> int:
        """Rows that were not used, for whatever reason; duplicates are not among them."""
        return sum(rejected.rows for rejected in self.rejected)

    def rates_per_s(self, series: Series) -> Series:
        """Per second covered; None for gaps and for windows covered by less than half.

        Where no window is covered by half, that of the best covered one stands alone.
        """
        enough = min(HALF_COVERED_SHARE * self.window_s, max(self.covered_s, default=0.0))
        return tuple(
            None if value is None or covered_s <= 0 or covered_s < enough else value / covered_s
            for value, covered_s in zip(series, self.covered_s, strict=True)
        )

    def by_hour_of_week(self, series: Series, *, zone: str = "UTC") -> Series:
        """Mean rate per second for each hour of the week, Monday 0:00 first, as clocks in `zone`.

        None for hours never seen. Daylight saving is the zone's. Meaningless where
        `relative_time`: the first weekday is then not known.
        """
        place = ZoneInfo(zone)
        seen: list[list[float]] = [[] for _ in range(HOURS_PER_WEEK)]
        for start, rate in zip(self.starts, self.rates_per_s(series), strict=True):
            if rate is not None:
                local = start.astimezone(place)
                seen[local.weekday() * 24 + local.hour].append(rate)
        return tuple(math.fsum(rates) / len(rates) if rates else None for rates in seen)


def total(series: Sequence[float | None]) -> float:
    """Sum over the windows that have a record."""
    return math.fsum(value for value in series if value is not None)
