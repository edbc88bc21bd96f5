"""Canonical quantities of a server at one moment, and a page of them.

Names: `requests.running`, `tokens.generation_total`, … (see `metric_map`). A histogram is
`NAME.sum`, `NAME.count` and `NAME.le.EDGE` (cumulative counts). In a detailed page a total may also
stand by a label's value (`requests.completed_total.length`), and a level by rank or replica
(`requests.running@0`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

STARTED = "server.started"  # of the process, in Unix seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """A canonical quantity now; `total` is a counter's, which only grows.

    `native` is what the server calls it; "" where it was worked out.
    """

    value: float
    unit: str
    total: bool = False
    native: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """All quantities of one reading; `t_s` are seconds on a clock that all pages share."""

    t_s: float
    quantities: Mapping[str, Quantity]


def falls(pages: Sequence[Page]) -> list[int]:
    """Where a total is lower than when it was last told, or the process has another start.

    Indices of the pages after each fall; rounding of the text is no fall.
    """
    found, known, started = [], dict[str, float](), math.nan
    for place, page in enumerate(pages):
        totals = {name: one.value for name, one in page.quantities.items() if one.total}
        start = page.quantities[STARTED].value if STARTED in page.quantities else started
        fell = any(value < known.get(name, value) * (1 - 1e-12) for name, value in totals.items())
        if fell or abs(start - started) > 1:
            found.append(place)
            known = {}
        known |= totals
        started = start
    return found
