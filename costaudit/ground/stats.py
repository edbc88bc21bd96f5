"""Small statistics, without heavy imports."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

P99_MIN_SAMPLES = 662  # below this an order statistic bounds p99 at 99 % confidence no more


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A closed interval; `low` ≤ `high`, same unit as what it stands for."""

    low: float
    high: float

    @property
    def mid(self) -> float:
        """The middle of the interval."""
        return (self.low + self.high) / 2


def percentile(values: Sequence[float], share: float) -> float:
    """Linear-interpolated percentile, `share` from 0 to 1 (numpy's default method).

    Raises:
        ValueError: no values.
    """
    if not values:
        raise ValueError("percentile of nothing")
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def median(values: Sequence[float]) -> float:
    """The middle value."""
    return percentile(values, 0.5)


def mean(values: Sequence[float]) -> float:
    """The arithmetic mean."""
    return math.fsum(values) / len(values)
