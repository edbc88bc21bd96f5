"""What going from one set of steps to another saves, as an interval."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from costaudit.ground.stats import Interval, percentile
from costaudit.plan.plan import Saving
from costaudit.plan.pricer import FITTED
from costaudit.playbook.step import Edge

if TYPE_CHECKING:
    from costaudit.plan.pricer import Ids, Pricer

QUANTILES = (0.05, 0.95)  # of the draws
EDGES = (Edge.LOW, Edge.HIGH)


def saving(before: Ids, after: Ids, pricer: Pricer) -> Saving:
    """The saving from one set to the other.

    The interval runs from the 5 % quantile over the draws at the worse edge to the 95 % quantile
    at the better one, each moved outwards by the simulation's own error e: before and after come
    from one model, so a share s is off by e·s·(1 - s), nothing where nothing or all is saved.
    """
    fitted = [pricer.saved(before, after, edge, FITTED) for edge in EDGES]
    drawn = [
        [pricer.saved(before, after, edge, draw) for draw in range(1, pricer.draws)] or [point]
        for edge, point in zip(EDGES, fitted, strict=True)
    ]
    low = min(*fitted, *(percentile(shares, QUANTILES[0]) for shares in drawn))
    high = max(*fitted, *(percentile(shares, QUANTILES[1]) for shares in drawn))
    share = widened(low, high, pricer.error_share)
    present = pricer.cost(frozenset(), Edge.LOW, FITTED)
    return Saving(
        point_share=math.fsum(fitted) / len(fitted),
        share=share,
        cost=Interval(low=share.low * present, high=share.high * present),
    )


def widened(low: float, high: float, error_share: float) -> Interval:
    """Both ends of a share moved outwards by the error of the model that both sides come from.

    Nothing saves more than all, however large that error.
    """
    return Interval(
        low=low - error_share * abs(low) * (1 - low),
        high=min(high + error_share * abs(high) * (1 - high), max(high, 1.0)),
    )
