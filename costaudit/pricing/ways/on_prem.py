"""On premises: devices of one's own, with the interest, the power and the hands they take.

An hour costs [capex·(CRF + m)]/8760 + kW·PUE·tariff, over the share of hours it is there, with the
capital recovery factor CRF = i(1+i)^n / ((1+i)^n − 1) and m the upkeep a year, both of the price.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.pricing.market import HOURS_PER_YEAR, own_quote
from costaudit.pricing.way import Committed, Kind, Offer

if TYPE_CHECKING:
    from costaudit.facts.own_prices import OwnPrem
    from costaudit.pricing.market import Market

W_PER_KW = 1000.0


def recovery_factor(interest_share: float, years: float) -> float:
    """CRF: the yearly payment that pays back 1 over so many years; 1/n without interest."""
    if not interest_share:
        return 1 / years
    grown: float = (1 + interest_share) ** years
    return interest_share * grown / (grown - 1)


def usd_per_device_h(prem: OwnPrem) -> float:
    """Dollars of one device-hour that is there to be used."""
    yearly = recovery_factor(prem.interest_share, prem.years) + prem.upkeep_share
    owned = prem.capex_usd_per_device * yearly / HOURS_PER_YEAR
    power = prem.device_w / W_PER_KW * prem.pue * prem.usd_per_kwh
    return (owned + power) / prem.availability_share


def offer(market: Market) -> Offer:
    """A replica of one's own, from what the user says it costs."""
    prem = market.own.on_prem
    if prem is None:
        return Offer(
            why_not="what a device of one's own costs to buy, to feed and to look after is not "
            "known; say it under [on_prem] of a price book"
        )
    usd = usd_per_device_h(prem)
    way = Committed(
        id="on-prem",
        title="On premises",
        usd_per_replica_h=usd * market.devices,
        term_h=prem.years * HOURS_PER_YEAR,
    )
    return Offer(ways=(way,), quotes=(own_quote("on-prem", usd, prem.origin, market.today),))


KIND = Kind(id="on-prem", title="On premises", offer=offer)
