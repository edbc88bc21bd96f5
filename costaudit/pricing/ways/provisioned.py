"""Provisioned throughput: units of somebody else's capacity (PTU, Bedrock model unit) by the hour.

Billed while deployed, used or not, so it is a commitment like any other; a Bedrock term cannot be
cancelled. How many tokens a unit serves comes from the vendor's calculator alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.facts.own_prices import HOURS_PER_MONTH
from costaudit.facts.provisioned import unit_prices
from costaudit.pricing.market import own_quote
from costaudit.pricing.way import Assumption, Committed, Kind, Offer

if TYPE_CHECKING:
    from costaudit.facts.own_prices import OwnUnit
    from costaudit.pricing.market import Market

MINUTES_PER_H = 60.0


def units_per_replica(market: Market, unit: OwnUnit) -> float:
    """Units that serve what one fully used replica does; prompt and output tokens take turns."""
    served = market.served
    prompt = (served.computed + served.cached) / MINUTES_PER_H / unit.input_tokens_per_min
    return prompt + served.output / MINUTES_PER_H / unit.output_tokens_per_min


def offer(market: Market) -> Offer:
    """Units whose throughput the user gave; a bare price per unit cannot be compared."""
    if not market.own.units:
        known = len({price.model for price in unit_prices()})
        return Offer(
            why_not="how many tokens a unit serves is in no price list "
            f"(prices per unit of {known} models are known, see `costaudit price --list units`); "
            "take it from the vendor's calculator into [[provisioned]] of a price book"
        )
    return Offer(
        ways=tuple(_way(market, unit) for unit in market.own.units),
        quotes=tuple(
            own_quote(
                f"provisioned-{unit.provider}",
                unit.usd_per_unit_h,
                unit.origin,
                market.today,
                "usd_per_unit_h",
            )
            for unit in market.own.units
        ),
        assumptions=tuple(
            Assumption(
                what=f"units of {unit.provider} per replica",
                value=units_per_replica(market, unit),
                unit="units",
                source=f"own price book: {unit.origin.source}",
            )
            for unit in market.own.units
        ),
    )


def _way(market: Market, unit: OwnUnit) -> Committed:
    return Committed(
        id=f"provisioned-{unit.provider}",
        title=f"Provisioned ({unit.provider})",
        usd_per_replica_h=unit.usd_per_unit_h * units_per_replica(market, unit),
        term_h=unit.term_months * HOURS_PER_MONTH,
    )


KIND = Kind(id="provisioned", title="Provisioned throughput", offer=offer)
