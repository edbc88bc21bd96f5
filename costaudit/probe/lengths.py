"""Lengths in tokens: three distributions, their quantiles, and requests drawn from them."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
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

    `median` and `sigma` (of the logarithm) belong to the lognormal before it is cut to the bounds.
    """

    distribution: Distribution
    low: int
    high: int
    median: float = 0.0
    sigma: float = 0.0

    @property
    def highest(self) -> int:
        """The longest length that can be drawn."""
        return self.high

    def quantile(self, share: float) -> int:
        """The length at `share` (0 to 1) of the distribution within its bounds."""
        if self.distribution is not Distribution.LOGNORMAL or self.sigma == 0:
            value = self.low + share * (self.high - self.low)
            return round(self.median) if self.distribution is Distribution.LOGNORMAL else round(value)
        log = NormalDist(math.log(self.median), self.sigma)
        below, above = log.cdf(math.log(self.low)), log.cdf(math.log(self.high))
        place = min(max(below + share * (above - below), 1e-12), 1 - 1e-12)
        return min(max(round(math.exp(log.inv_cdf(place))), self.low), self.high)

    def spread(self, count: int) -> list[int]:
        """`count` lengths at evenly spaced quantiles, shortest first.

        A handful of requests drawn so keeps the distribution's mean and tail; independent draws
        would need hundreds.
        """
        return [self.quantile((i + 0.5) / count) for i in range(count)]


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnRequest:
    """One request as plain lengths; the first `prefix_tokens` are shared within `prefix_id`."""

    prompt_tokens: int
    output_tokens: int
    arrival_s: float
    prefix_id: int | None
    prefix_tokens: int


def shuffled(values: Sequence[int], seed: str) -> list[int]:
    """A seeded permutation."""
    order = list(values)
    random.Random(seed).shuffle(order)
    return order
