"""How many replicas to commit to: the exact rule on the load-duration curve.

With r the committed and o the on-demand price of an hour, T hours and a need N that varies,

    cost(R) = R·r·T + o·Σ (N − R)⁺

is convex, and unit k pays exactly when its hours of use do: P(N ≥ k) ≥ r/o (the newsvendor's
critical fractile, Arrow, Harris & Marschak 1951). What decides is the use of the marginal unit,
not the fleet's average.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from costaudit.ground.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_TIE = 1e-12  # relative: where a unit costs as much as it saves, it is taken


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """A step of the load-duration curve: `share` of the hours need `replicas` or more."""

    replicas: int
    share: float


def reserve_units(replicas: Sequence[int], ratio: float) -> int:
    """R: the most units k with P(N ≥ k) ≥ ratio, the committed price over the hourly one.

    0 where a commitment costs as much as the hour itself, since it cannot be given back.

    Raises:
        UsageError: no hours, or a ratio that is no price.
    """
    if not replicas:
        raise UsageError("no hours of demand to commit to")
    if not ratio > 0:
        raise UsageError(f"a committed price of {ratio} times the hourly one is no price")
    if ratio >= 1:
        return 0
    falling = sorted(replicas, reverse=True)
    # k units are used in at least n hours iff the n-th largest need is k or more.
    hours = math.ceil(ratio * len(falling) * (1 - _TIE))
    return falling[max(hours, 1) - 1]


def commitment_usd(
    replicas: Sequence[int], units: int, *, committed: float, hourly: float
) -> float:
    """cost(R) over these hours, in dollars of the two hourly prices."""
    beyond = sum(max(n - units, 0) for n in replicas)
    return units * committed * len(replicas) + hourly * beyond


def load_duration(replicas: Sequence[int]) -> tuple[Level, ...]:
    """The load-duration curve: for each level that occurs, the share of hours at it or above."""
    hours = len(replicas)
    above, levels = hours, []
    for level, count in sorted(Counter(replicas).items()):
        levels.append(Level(replicas=level, share=above / hours))
        above -= count
    return tuple(levels)


def break_even_share(
    committed: float, hourly: float, *, fall_per_year: float, years: float
) -> float:
    """The use from which a commitment pays, if hourly prices fall by this rate over its term.

    r over the mean of o·e^(−δt) over the term: o·(1 − e^(−δL))/(δL). 0.44 of today's price over
    three years is 0.58 of prices that fall by 20 % a year, 0.67 at 30 %.
    """
    return committed / (hourly * mean_of_falling(fall_per_year, years))


def mean_of_falling(fall_per_year: float, years: float) -> float:
    """The mean over the term of a price that starts at 1 and falls by this rate: (1−e^(−δL))/δL."""
    fallen = fall_per_year * years
    return -math.expm1(-fallen) / fallen if fallen else 1.0


def fewest(cost: Callable[[int], float], most: int) -> int:
    """Where a convex function of 0 … most is least; of equals the largest, as the rule has it."""
    low, high = 0, most
    while low < high:
        middle = (low + high) // 2
        here, after = cost(middle), cost(middle + 1)
        if after <= here * (1 + _TIE) if here >= 0 else after <= here:
            low = middle + 1
        else:
            high = middle
    return low
