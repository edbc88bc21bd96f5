"""Windows without a request: was nobody there, or did nobody write it down?"""

from __future__ import annotations

import math
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

WEEK_S, DAY_S = 7 * 86400.0, 86400.0
CHANCE_SHARE = 0.01  # an emptiness less likely than this is not put down to chance


def collection_gaps(counts: Sequence[int], *, window_s: float) -> frozenset[int]:
    """Indices of empty windows in which requests were to be expected.

    What to expect is the median of the same hour of the week in other weeks; with less history,
    of the same time on other days; with less than that, the mean of the whole log. A stretch of
    empty windows holds a gap where so many were to be expected in it that none at all is beyond
    chance: nights and weekends that are always empty stay zero, and so does the silence of a
    service seldom used.
    """
    gaps: set[int] = set()
    for stretch in _empty_stretches(counts):
        expected = [_expected(counts, index, window_s) for index in stretch]
        fewest = min(samples for _, samples in expected)
        if sum(requests for requests, _ in expected) >= _beyond_chance(fewest):
            gaps.update(i for i, (n, _) in zip(stretch, expected, strict=True) if n)
    return frozenset(gaps)


def _beyond_chance(samples: int) -> float:
    """Requests to be expected, by the mean of k samples, so that none is beyond chance.

    Given n requests in k + 1 stretches of one rate, all fall into the k others with (k/(k+1))^n
    (binomial); with many samples this is Poisson's e^-n.
    """
    k = max(samples, 1)
    return math.log(CHANCE_SHARE) / (k * math.log(k / (k + 1)))


def _empty_stretches(counts: Sequence[int]) -> Iterator[range]:
    first = None
    for index, count in enumerate([*counts, 1]):
        if not count and first is None:
            first = index
        elif count and first is not None:
            yield range(first, index)
            first = None


def _expected(counts: Sequence[int], index: int, window_s: float) -> tuple[float, int]:
    """Requests to be expected in a window, and from how many samples that is known."""
    for period_s in (WEEK_S, DAY_S):
        step = round(period_s / window_s)
        same = range(index % step, len(counts), step) if step else ()
        if others := [counts[i] for i in same if i != index]:
            return median(others), len(others)
    return sum(counts) / len(counts), len(counts)
