"""Rows of the table that bench/gpu_check.py prints, and the time that is left for them."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One figure; `low` and `high` are the bar, None where there is none on that side.

    `value` None: it was not measured, and `why` says why.
    """

    what: str
    value: float | None
    unit: str = ""
    low: float | None = None
    high: float | None = None
    why: str = ""

    @property
    def verdict(self) -> str:
        """Whether the bar was met."""
        if self.value is None:
            return "not measured"
        if self.low is None and self.high is None:
            return ""
        low_met = self.low is None or self.value >= self.low
        high_met = self.high is None or self.value <= self.high
        return "met" if low_met and high_met else "missed"


@dataclass(slots=True, kw_only=True)
class Table:
    """Rows as they come. A subject that fails or comes too late leaves a row that says so."""

    until: float
    rows: list[Row] = field(default_factory=list)

    def measure(self, what: str, needs_s: float, subject: Callable[[], Iterable[Row]]) -> None:
        """Run a subject where `needs_s` seconds are left; its rows, or why there are none."""
        left_s = self.until - time.monotonic()
        if left_s < needs_s:
            self.rows.append(Row(what=what, value=None, why=f"{left_s:.0f} s were left for it"))
            return
        try:
            self.rows += subject()
        except Exception as err:  # noqa: BLE001 - the other subjects are still worth having
            words = " ".join(f"{type(err).__name__}: {err}".split())[:300]
            self.rows.append(Row(what=what, value=None, why=words))
