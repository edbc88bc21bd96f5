"""Percentiles of very many whole numbers in little memory."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterable

RELATIVE_ERROR = 1e-4  # of a folded value, at most
_EXACT_BELOW = 10_000  # these stay exact for ever: folding them would save nothing
_ROOM = 16_384  # different values kept exactly before the large ones are folded
_FEW = 512  # values that came one by one, from which they are counted
_STEP = math.log1p(2 * RELATIVE_ERROR)  # a value is at most half a step from its bucket's middle


class Tally:
    """Counts of non-negative whole numbers, for their percentiles.

    Exact until more than 16,384 different values came; then values of 10,000 and above share
    buckets, and a percentile is off by 0.01 % of itself at most. Memory depends on how far the
    values spread, not on how many there are: below 8 MB for values up to 2^32.
    """

    __slots__ = ("_counts", "_few", "_limit", "folded")

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()
        self._few: list[int] = []  # came one by one, and are counted together
        self._limit = _ROOM
        self.folded = False

    def add(self, value: int, times: int = 1) -> None:
        """Count one value, `times` times."""
        if times == 1:
            self._few.append(value)
            if len(self._few) >= _FEW:
                self._count()
            return
        self._counts[value] = self._counts.get(value, 0) + times
        if len(self._counts) > self._limit:
            self._fold()

    def add_all(self, values: Iterable[int]) -> None:
        """Count many values at once (of a mapping as often as it says); counted in C."""
        self._counts.update(values)
        if len(self._counts) > self._limit:
            self._fold()

    def absorb(self, other: Self) -> None:
        """Count all that `other` has counted."""
        self._limit = max(self._limit, other._limit)
        self.folded = self.folded or other.folded
        self.add_all(other._count())

    def __len__(self) -> int:
        return self._count().total()

    def percentiles(self, shares: Iterable[float]) -> list[float]:
        """Linear-interpolated percentiles as in `stats.percentile`, each share from 0 to 1.

        Raises:
            ValueError: nothing was counted.
        """
        counts = self._count()
        if not counts:
            raise ValueError("percentile of nothing")
        values = sorted(counts)
        ends = []  # how many counted values lie at or below
        total = 0
        for value in values:
            total += counts[value]
            ends.append(total)
        return [_at(values, ends, share * (total - 1)) for share in shares]

    def _count(self) -> Counter[int]:
        if self._few:
            self.add_all(self._few)
            self._few.clear()
        return self._counts

    def _fold(self) -> None:
        folded: Counter[int] = Counter()
        for value, times in self._counts.items():
            folded[_bucket(value)] += times
        self._counts = folded
        self._limit = max(_ROOM, 2 * len(folded))
        self.folded = True


def _bucket(value: int) -> int:
    """The middle of the bucket of this value; a middle falls into its own bucket."""
    if value < _EXACT_BELOW:
        return value
    return round(_EXACT_BELOW * math.exp(round(math.log(value / _EXACT_BELOW) / _STEP) * _STEP))


def _at(values: list[int], ends: list[int], place: float) -> float:
    """The value at a place (from 0) of the sorted row that the counts stand for."""
    low = math.floor(place)
    below = values[bisect_right(ends, low)]
    above = values[min(bisect_right(ends, low + 1), len(values) - 1)]
    return below + (above - below) * (place - low)
