"""What a unit of provisioned throughput costs an hour: `data/provisioned_throughput.csv`.

Bedrock sells model units, Azure PTUs. How many tokens a unit serves is in no price list; it comes
from the vendor's calculator, so it has to be given (`[[provisioned]]` of one's own prices).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from costaudit.facts.table import rows, stale

if TYPE_CHECKING:
    import datetime as dt


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitPrice:
    """One row: USD per hour of one unit under its term."""

    provider: str
    region: str
    term: str
    model: str
    usd_per_unit_h: float
    source: str
    as_of: str

    def flags(self, today: dt.date) -> tuple[str, ...]:
        """What a reader should know before trusting this row."""
        said = ["stale"] if stale(self.as_of, today) else []
        return (*said, "tokens per unit not listed")


@cache
def unit_prices() -> tuple[UnitPrice, ...]:
    """All rows."""
    return tuple(
        UnitPrice(
            provider=row["provider"],
            region=row["region"],
            term=row["term"],
            model=row["model"],
            usd_per_unit_h=float(row["usd_per_hour_per_model_unit"]),
            source=row["source"],
            as_of=row["as_of"],
        )
        for row in rows("provisioned_throughput.csv")
    )
