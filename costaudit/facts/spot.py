"""How far spot capacity can be relied on: what the AWS advisor lists, and what traces showed.

`data/spot_advisor.csv` (region × instance, 2025-06-28) gives the average saving over 30 days and a
band of the monthly share of interrupted instances; a saving can be negative. The band says nothing
of how often capacity can be had at all, so that is a figure of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from statistics import median_low
from typing import TYPE_CHECKING

from costaudit.facts.offers import labels
from costaudit.facts.table import rows, stale

if TYPE_CHECKING:
    import datetime as dt

# skypilot-org/spot-traces, AWS V100, 2022-23: capacity could be had 17 to 91 % of the time by
# zone, with 0.1 to 1.4 losses per hour up and outages of 0.4 to 0.7 h in the median. The defaults
# lie inside these ranges; none is a measurement of the zone that will be used.
AVAILABILITY_SHARE = 0.75
INTERRUPTIONS_PER_H = 0.2
LOST_H_PER_INTERRUPTION = 0.25  # drain, cold start, caches filled again
FLEET_SHARE = 0.30  # zones are reclaimed together: what the rest of the fleet can bear to lose
TRACES = (
    "inside the ranges of skypilot-org/spot-traces (AWS V100, 2022-23): capacity 0.17 to 0.91 of "
    "the time, 0.1 to 1.4 losses per hour up"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """What the advisor lists for a device over all regions and sizes; shares from 0 to 1."""

    rows: int
    saving_share: float  # the middle one
    low_saving_share: float  # negative: dearer than on demand
    high_saving_share: float
    often_interrupted_share: float  # of rows, those in the band above 20 % a month
    source: str
    as_of: str

    def stale(self, today: dt.date) -> bool:
        """Older than STALE_AFTER_DAYS, or undated."""
        return stale(self.as_of, today)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpotRow:
    """One row of the advisor."""

    region: str
    instance: str
    label: str
    saving_share: float
    band: str
    source: str
    as_of: str

    def flags(self, today: dt.date) -> tuple[str, ...]:
        """What a reader should know before trusting this row."""
        said = ["stale"] if stale(self.as_of, today) else []
        return (*said, "dearer than on demand") if self.saving_share < 0 else tuple(said)


@cache
def spot_rows() -> tuple[SpotRow, ...]:
    """All rows of the advisor."""
    return tuple(
        SpotRow(
            region=row["region"],
            instance=row["instance"],
            label=row["gpu"],
            saving_share=float(row["avg_savings_vs_od_pct_30d"]) / 100,
            band=row["interruption_band_monthly"],
            source=row["source"],
            as_of=row["as_of"],
        )
        for row in rows("spot_advisor.csv")
    )


def spot_advice(name: str) -> Advice | None:
    """The advisor on a device; None where it does not list it."""
    known = labels(name)
    found = [row for row in spot_rows() if row.label in known]
    if not found:
        return None
    savings = [row.saving_share for row in found]
    return Advice(
        rows=len(found),
        saving_share=median_low(savings),
        low_saving_share=min(savings),
        high_saving_share=max(savings),
        often_interrupted_share=sum(row.band == ">20%" for row in found) / len(found),
        source=found[0].source,
        as_of=found[0].as_of,
    )
