"""Drift of the cost per token, marked as it happens.

The cost is taken over blocks that do not overlap. A block is off when it differs from the median of
those before it by more than a tenth and by more than four robust standard deviations (1.4826 · the
median absolute deviation; Rousseeuw and Croux 1993); two such blocks in a row in one direction are
a drift, and what comes after is measured against the new level. Blocks without tokens have no cost.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

from costaudit.ground.stats import median

KEPT = 40  # blocks of the level
LEAST = 5  # blocks before there is a level
LEAST_SHARE = 0.10
DEVIATIONS = 4.0
_SCALE = 1.4826
_IN_A_ROW = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """The level moved from `before` to `after` since `since_s`; `share` is positive for dearer."""

    since_s: float
    before: float
    after: float

    @property
    def share(self) -> float:
        """Relative change."""
        return self.after / self.before - 1


class DriftWatch:
    """Takes the cost of one block after the other."""

    def __init__(self) -> None:
        self._level: deque[float] = deque(maxlen=KEPT)
        self._off: list[tuple[float, float]] = []

    @property
    def level(self) -> float | None:
        """Median cost of the blocks so far; None: too few."""
        return median(self._level) if len(self._level) >= LEAST else None

    @property
    def is_off(self) -> bool:
        """The last block differed; a second one makes it a drift."""
        return bool(self._off)

    def add(self, t_s: float, cost: float | None) -> Drift | None:
        """The drift that the block ending at `t_s` completes, if it does."""
        if cost is None or not (math.isfinite(cost) and cost > 0):
            return None
        level = self.level
        if level is None or not self._differs(cost, level):
            self._level += [one for _, one in self._off]  # were outliers, hence part of the level
            self._level.append(cost)
            self._off = []
            return None
        if self._off and (self._off[-1][1] > level) != (cost > level):
            self._off = []
        self._off.append((t_s, cost))
        if len(self._off) < _IN_A_ROW:
            return None
        drift = Drift(
            since_s=self._off[0][0], before=level, after=median([one for _, one in self._off])
        )
        self._level = deque((one for _, one in self._off), maxlen=KEPT)
        self._off = []
        return drift

    def _differs(self, cost: float, level: float) -> bool:
        spread = _SCALE * median([abs(one - level) for one in self._level])
        return abs(cost - level) > max(LEAST_SHARE * level, DEVIATIONS * spread)
