"""Lengths in tokens: three distributions, and their quantiles."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from statistics import NormalDist


class Distribution(StrEnum):
    """The forms that a workload may declare."""

    FIXED = "fixed"
    UNIFORM = "uniform"
    LOGNORMAL = "lognormal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lengths:
    """A distribution over `low` … `high` tokens, both possible.

    `median` and `sigma` (of the logarithm) belong to the lognormal; what lies beyond the bounds is
    drawn at the bound, so that its quantiles stay where they were declared.
    """

    distribution: Distribution
    low: int
    high: int
    median: float = 0.0
    sigma: float = 0.0

    def quantile(self, share: float) -> int:
        """The length at `share` (0 to 1) of the distribution within its bounds."""
        if self.distribution is not Distribution.LOGNORMAL:
            return round(self.low + share * (self.high - self.low))
        if self.sigma == 0:
            return round(self.median)
        place = min(max(share, 1e-12), 1 - 1e-12)
        value = math.exp(NormalDist(math.log(self.median), self.sigma).inv_cdf(place))
        return min(max(round(value), self.low), self.high)

    def spread(self, count: int) -> list[int]:
        """`count` lengths at evenly spaced quantiles, shortest first.

        A handful of requests drawn so keeps the distribution's mean and tail; independent draws
        would need hundreds.
        """
        return [self.quantile((i + 0.5) / count) for i in range(count)]
