"""How far the gaps between tokens that clients see spread around those that the steps make."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from costaudit.whatif.latency import Gaps

TRIED = tuple(step / 40 for step in range(25))  # up to 0.6: a gap of 10 ms is seen as 5 to 20
BUNCHED = 0.1  # of the longest: tokens that were held back and came with others tell of no step


def gap_spread(pairs: Sequence[tuple[Gaps, Mapping[float, float], float]]) -> float:
    """The spread under which simulated gaps look most like those seen; 0 where none were.

    Each pair is the gaps told, the quantiles seen by their share, and the weight of the load. An
    error counts by its size, not its square: the tail of a load is made by disturbances.
    """
    usable = [(told, seen, weight) for told, seen, weight in pairs if told.total and seen]
    if not usable:
        return 0.0
    return min(TRIED, key=lambda spread: sum(w * _off(t, s, spread) for t, s, w in usable))


def _off(told: Gaps, seen: Mapping[float, float], spread: float) -> float:
    spread_out = replace(told, spread=spread)
    least_s = BUNCHED * max(seen.values())
    return sum(
        abs(math.log((spread_out.quantile_s(share) or seconds) / seconds))
        for share, seconds in seen.items()
        if seconds > least_s
    )
