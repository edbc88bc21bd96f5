"""By how much a simulated load misses one that the fit has not seen.

Each load is left out in turn, the terms are solved for without it (with the slopes of the whole
fit) and the load is told from them; loads that were held out from the start are told as they are.
What is found is few and noisy, so it is pooled with what is usual.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

USUAL: Mapping[str, float] = {"e2e": 0.05, "ttft": 0.12, "itl": 0.08}
USUAL_WEIGHT = 4.0  # loads that the usual error counts for
MOST = 3.0  # usual errors: a load further out was disturbed, or its tokens came in bunches


def pooled_errors(logs: Iterable[Sequence[float]], weights: Sequence[float]) -> dict[str, float]:
    """Standard deviations by the kinds of USUAL.

    `logs` are logarithms of told over seen of each load, as if it had been watched for ever, in
    the order of USUAL; 0 stands for what a load does not have.
    """
    columns = zip(*logs, strict=True)
    found = {}
    for (kind, usual), column in zip(USUAL.items(), columns, strict=True):
        most = MOST * usual
        seen = [(min(abs(log), most), w) for log, w in zip(column, weights, strict=True) if log]
        squares = sum(w * log * log for log, w in seen) + USUAL_WEIGHT * usual**2
        found[kind] = math.sqrt(squares / (sum(w for _, w in seen) + USUAL_WEIGHT))
    return found
