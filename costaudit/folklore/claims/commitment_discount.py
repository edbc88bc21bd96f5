"""What a commitment takes off each token.

Said of reserved capacity: 30 to 50 %. A reserved hour is paid whether used or not, so a token costs
the reserved price over the share of hours that are needed. Tried on the prices given, else the
lists' one and three years over the same offer on demand, and on the hours of the traffic.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.facts.prices import reserved_ratio
from costaudit.folklore.claim import Claim, Figure, Finding, Found, Known, Untold
from costaudit.ground.stats import Interval

if TYPE_CHECKING:
    from costaudit.playbook.step import Situation

CLAIMED = Interval(low=0.30, high=0.50)
YEARS = (1, 3)
FULL_USE = (
    "the load is closed, so the figure is that of hours all needed; a log of real traffic would"
    " show how many are"
)


def look(known: Known) -> Finding:
    """One minus the reserved price over what is used of it."""
    ratios, where = _ratios(known)
    if not ratios:
        name = known.situation.metrics.device.name
        return Untold(because=f"no reserved price is known for {name}: give --reserved-price")
    needed = _needed_share(known.situation)
    off = [1 - ratio / (needed or 1.0) for ratio in ratios]
    figure = Figure(
        what="off each token by committing",
        value=Interval(low=min(off), high=max(off)),
        claimed=CLAIMED,
        unit="share",
        where=where,
    )
    return Found(figures=(figure,), doubt="" if needed else FULL_USE)


def _ratios(known: Known) -> tuple[list[float], str]:
    """Reserved over on-demand prices of an hour, and where they are from."""
    prices = known.situation.scenario.prices
    if prices.usd_per_device_h and prices.reserved_usd_per_device_h is not None:
        return [prices.reserved_usd_per_device_h / prices.usd_per_device_h], "the prices given"
    name = known.situation.metrics.device.name
    found = [r for r in (reserved_ratio(name, years, known.today) for years in YEARS) if r]
    ends = [share for ratio in found for share in (ratio.low_share, ratio.high_share)]
    return ends, "; ".join(sorted({f"{ratio.source}, {ratio.as_of}" for ratio in found}))


def _needed_share(situation: Situation) -> float | None:
    """Of the hours, those with demand; None where the load is closed."""
    outcome = situation.outcome
    if situation.scenario.traffic.concurrency is not None or not outcome.window_s:
        return None
    return 1 - outcome.demand_idle_s / outcome.window_s


CLAIM = Claim(
    id="commitment-discount",
    text="A commitment takes 30 to 50 % off each token",
    look=look,
)
