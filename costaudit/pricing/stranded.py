"""Why the contract comes last: what a commitment is worth after the engineering it preceded.

A gain of g leaves N/g of the need. Who commits first goes on paying for what was freed; who gains
first commits to what is still needed. The difference, month for month to the end of the term, is
stranded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from costaudit.facts.own_prices import HOURS_PER_MONTH
from costaudit.ground.errors import UsageError
from costaudit.pricing.cover import best_units, mix_usd, rows_of

if TYPE_CHECKING:
    from costaudit.pricing.load import Load
    from costaudit.pricing.way import Mix


@dataclass(frozen=True, slots=True, kw_only=True)
class Gain:
    """Tokens per replica after the engineering over those before; `source` says who claims it."""

    factor: float
    source: str


USUAL_GAIN = Gain(factor=1.6, source="a what-if of × 1.6, no prediction of this target")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stranded:
    """Both orders, in dollars a month after the gain has come."""

    gain: Gain
    units_before: int
    units_after: int
    commit_first_usd: float
    gain_first_usd: float
    per_month_usd: float
    term_months: float
    over_term_usd: float


def stranded(load: Load, mix: Mix, gain: Gain) -> Stranded:
    """What committing before the gain costs more than after it.

    Raises:
        UsageError: the gain is none, or the mix commits to nothing.
    """
    if not gain.factor >= 1 or mix.committed is None:
        raise UsageError(f"a gain of {gain.factor} on {mix.id} strands nothing")
    step = load.replicas_per_server
    before = best_units(rows_of(load), mix, step=step)
    reduced = load.scaled(efficiency=gain.factor)
    rows = rows_of(reduced)
    after = best_units(rows, mix, step=step)
    first, last = (mix_usd(rows, mix, units) * load.per_month for units in (before, after))
    months = mix.term_h / HOURS_PER_MONTH
    return Stranded(
        gain=gain,
        units_before=before,
        units_after=after,
        commit_first_usd=first,
        gain_first_usd=last,
        per_month_usd=first - last,
        term_months=months,
        over_term_usd=(first - last) * months,
    )
