"""Distributions of latencies that are counted, not listed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from costaudit.whatif.scheduler.gaps import LEAST_S, RATIO

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class Gaps:
    """Gaps between the tokens of a request (ITL), of all requests: sizes rising, each counted.

    Sizes stand for bins of 1 %, so they are right to half a percent.
    """

    seconds: tuple[float, ...] = ()
    counts: tuple[int, ...] = ()

    @property
    def total(self) -> int:
        """How many gaps there were."""
        return sum(self.counts)

    @property
    def mean_s(self) -> float | None:
        """Mean gap; None where there was none."""
        if not self.total:
            return None
        return sum(s * n for s, n in zip(self.seconds, self.counts, strict=True)) / self.total

    def quantile_s(self, share: float) -> float | None:
        """The smallest size that at least `share` of the gaps do not exceed; None without gaps."""
        wanted, passed = share * self.total, 0
        for seconds, count in zip(self.seconds, self.counts, strict=True):
            passed += count
            if passed >= wanted:
                return seconds
        return None


def gaps_of(bins: Sequence[int]) -> Gaps:
    """The distribution that the scheduler has counted."""
    filled = [(place, int(count)) for place, count in enumerate(bins) if count]
    return Gaps(
        seconds=tuple(LEAST_S * RATIO ** (place + 0.5) for place, _ in filled),
        counts=tuple(count for _, count in filled),
    )


def pooled(parts: Sequence[Gaps]) -> Gaps:
    """Several distributions as one."""
    counts: dict[float, int] = {}
    for part in parts:
        for seconds, count in zip(part.seconds, part.counts, strict=True):
            counts[seconds] = counts.get(seconds, 0) + count
    sizes = sorted(counts)
    return Gaps(seconds=tuple(sizes), counts=tuple(counts[size] for size in sizes))
