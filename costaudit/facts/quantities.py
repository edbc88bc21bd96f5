"""Canonical quantities of a server at one moment, and a page of them.

Names: `requests.running`, `tokens.generation_total`, … (see `metric_map`). A histogram is
`NAME.sum`, `NAME.count` and `NAME.le.EDGE` (cumulative counts). In a detailed page a total may also
stand by a label's value (`requests.completed_total.length`), and a level by rank or replica
(`requests.running@0`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


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
