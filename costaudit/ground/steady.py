"""The rate of something that happens at instants, with an interval from batch means."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from costaudit.ground.stats import mean

if TYPE_CHECKING:
    from collections.abc import Sequence

BATCHES = 10
T95 = 2.262  # two-sided 95 % quantile of Student's t with BATCHES - 1 degrees of freedom


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """Amount per second over a window; `half_share` is the 95 % half-width over the rate."""

    per_s: float
    half_share: float
    from_s: float
    to_s: float


def steady_rate(
    at_s: Sequence[float], amounts: Sequence[float], *, from_s: float, to_s: float
) -> Rate | None:
    """The rate within [from_s, to_s), by ten equal batches; None where nothing happened.

    Batch means are close to independent where a batch is longer than what couples the instants
    (here: a request's life), so their spread gives the interval (Law, Simulation Modeling, 9.5.3).
    """
    width_s = (to_s - from_s) / BATCHES
    if width_s <= 0:
        return None
    batches = [0.0] * BATCHES
    for t_s, amount in zip(at_s, amounts, strict=True):
        if from_s <= t_s < to_s:
            batches[min(int((t_s - from_s) / width_s), BATCHES - 1)] += amount
    rate = mean(batches) / width_s
    if rate <= 0:
        return None
    variance = math.fsum((batch / width_s - rate) ** 2 for batch in batches) / (BATCHES - 1)
    half = T95 * math.sqrt(variance / BATCHES)
    return Rate(per_s=rate, half_share=half / rate, from_s=from_s, to_s=to_s)
