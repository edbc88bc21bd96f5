"""Distributions of latencies that are counted, not listed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from costaudit.whatif.scheduler.gaps import LEAST_S, RATIO

if TYPE_CHECKING:
    from collections.abc import Sequence


HALVINGS = 24  # of the interval in which a quantile lies; far finer than a bin
FAR = 6.0  # spreads beyond which nothing is seen


@dataclass(frozen=True, slots=True, kw_only=True)
class Gaps:
    """Gaps between the tokens of a request (ITL), of all requests: sizes rising, each counted.

    Sizes stand for bins of 1 %, so they are right to half a percent. No two equal steps last
    equally long, and a token is not always sent at once: what a client sees of a gap is longer or
    shorter by a factor whose logarithm has the standard deviation `spread` and whose mean is 1.
    """

    seconds: tuple[float, ...] = ()
    counts: tuple[int, ...] = ()
    spread: float = 0.0

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
        if self.spread and 0 < share < 1 and self.total:
            return self._seen_s(share)
        wanted, passed = share * self.total, 0
        for seconds, count in zip(self.seconds, self.counts, strict=True):
            passed += count
            if passed >= wanted:
                return seconds
        return None

    def _seen_s(self, share: float) -> float:
        """The quantile of a mixture of log-normals, one for each size."""
        import numpy as np
        from scipy.special import ndtr

        sizes = np.log(self.seconds) - self.spread**2 / 2
        parts = np.array(self.counts) / self.total
        low, high = sizes[0] - FAR * self.spread, sizes[-1] + FAR * self.spread
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            below = parts @ ndtr((middle - sizes) / self.spread)
            low, high = (middle, high) if below < share else (low, middle)
        return math.exp((low + high) / 2)


def gaps_of(bins: Sequence[int], *, spread: float = 0.0) -> Gaps:
    """The distribution that the scheduler has counted."""
    import numpy as np

    counts = np.asarray(bins)
    filled = [(place, int(counts[place])) for place in np.flatnonzero(counts).tolist()]
    return Gaps(
        seconds=tuple(LEAST_S * RATIO ** (place + 0.5) for place, _ in filled),
        counts=tuple(count for _, count in filled),
        spread=spread,
    )


def pooled(parts: Sequence[Gaps]) -> Gaps:
    """Several distributions as one."""
    counts: dict[float, int] = {}
    for part in parts:
        for seconds, count in zip(part.seconds, part.counts, strict=True):
            counts[seconds] = counts.get(seconds, 0) + count
    sizes = sorted(counts)
    return Gaps(
        seconds=tuple(sizes),
        counts=tuple(counts[size] for size in sizes),
        spread=max((part.spread for part in parts), default=0.0),
    )
