"""Recorded scrapes of a server's metrics as series: levels, deltas, restarts."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from costaudit.recording.rows import Gauge

METER = "server"
SCRAPE = "scrape"  # one row per scrape, whatever else the page had
_TOTALS = ("_total", "_sum", ".sum", ".count")
_REASON = "requests.waiting_by_reason."


class Scrapes:
    """All scrapes of a recording, by quantity and time.

    A total is only written when it moved, so its value at a time is the last one written.
    """

    def __init__(self, gauges: Iterable[Gauge]) -> None:
        self._times: dict[str, list[float]] = defaultdict(list)
        self._values: dict[str, list[float]] = defaultdict(list)
        for gauge in sorted((g for g in gauges if g.meter == METER), key=lambda g: g.t_s):
            self._times[gauge.name].append(gauge.t_s)
            self._values[gauge.name].append(gauge.value)

    def around(self, from_s: float, to_s: float) -> tuple[float, float]:
        """The last scrape over by `from_s`, the first begun after `to_s`; else the nearest.

        A scrape is stamped when it had been read, and its row tells how long that took.
        """
        times = self._times.get(SCRAPE, [])
        if not times:
            return from_s, from_s
        begin = times[max(0, bisect_right(times, from_s) - 1)]
        took = self._values[SCRAPE]
        ends = (end for end, took_s in zip(times, took, strict=True) if end - took_s >= to_s)
        return begin, next(ends, times[-1])

    def count(self, begin: float, end: float) -> int:
        """Scrapes from `begin` to `end`, both included."""
        times = self._times.get(SCRAPE, [])
        return max(0, bisect_right(times, end) - bisect_left(times, begin))

    def restarted(self, begin: float, end: float) -> str:
        """The name of a total that went down; "" none did."""
        for name in self._times:
            if name.endswith(_TOTALS):
                first = self.value(name, begin)
                values = [v for v in (first, *self.between(name, begin, end)) if v is not None]
                if any(after < before for before, after in pairwise(values)):
                    return name
        return ""

    def value(self, name: str, t_s: float) -> float | None:
        """What a quantity was at a time; None before its first reading."""
        place = bisect_right(self._times.get(name, []), t_s)
        return self._values[name][place - 1] if place else None

    def between(self, name: str, begin: float, end: float) -> list[float]:
        """Readings from `begin` to `end`, both included."""
        times = self._times.get(name, [])
        return self._values.get(name, [])[bisect_left(times, begin) : bisect_right(times, end)]

    def times(self, name: str, begin: float, end: float) -> list[float]:
        """When a quantity was read, from `begin` to `end`, both included."""
        times = self._times.get(name, [])
        return times[bisect_left(times, begin) : bisect_right(times, end)]

    def names(self, prefix: str) -> list[str]:
        """Quantities that begin so."""
        return [name for name in self._times if name.startswith(prefix)]


@dataclass(frozen=True, slots=True)
class Window:
    """The time between two scrapes."""

    scrapes: Scrapes
    begin: float
    end: float

    def delta(self, *names: str) -> float | None:
        """Growth of the first of these totals that was there at both ends.

        A series that appears in between (a label value's first event) grew from 0, if others of the
        page were there before; it is then of a page that was read at the beginning.
        """
        for name in names:
            after = self.scrapes.value(name, self.end)
            if after is not None:
                before = self.scrapes.value(name, self.begin)
                return after - (before or 0.0)
        return None

    def tokens(self, kind: str) -> float | None:
        """Growth of "prompt" or "generation" tokens, by their total or by requests' sums."""
        return self.delta(f"tokens.{kind}_total", f"req.{kind}_tokens.sum")

    def mean(self, name: str) -> float | None:
        """Mean of a histogram over the window; None where nothing was added to it."""
        added, count = self.delta(f"{name}.sum"), self.delta(f"{name}.count")
        if added is None or not count:
            return None
        return added / count

    def levels(self, name: str) -> list[float]:
        """Readings of a gauge."""
        return self.scrapes.between(name, self.begin, self.end)

    def by_reason(self) -> dict[str, float]:
        """Highest number of waiting requests seen, by the reason that the server gives."""
        names = self.scrapes.names(_REASON)
        seen = {name.removeprefix(_REASON): max(self.levels(name), default=0.0) for name in names}
        return {reason: most for reason, most in seen.items() if most > 0}
