"""On demand: replicas by the hour, there when needed, given back when not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.facts.prices import price_of_cpu_core, price_of_gpu
from costaudit.pricing.market import given_quote, own_quote
from costaudit.pricing.way import Hourly, Kind, Offer, Quote

if TYPE_CHECKING:
    from costaudit.pricing.market import Market


def device_hour(market: Market) -> Quote | None:
    """The price of one device-hour: as given, else from one's own book, else the market's middle.

    None: nobody lists this device.
    """
    if market.on_demand_usd is not None:
        return given_quote("on-demand", market.on_demand_usd, market.today)
    if (own := market.own.gpu(market.device)) is not None:
        return own_quote("on-demand", own.on_demand_usd, own.origin, market.today)
    listed = (
        price_of_cpu_core(market.today)
        if market.kind == "cpu"
        else price_of_gpu(market.device, market.today)
    )
    if listed is None:
        return None
    spread = (
        f"market {listed.low_usd_per_device_h:g} to {listed.high_usd_per_device_h:g} "
        f"over {listed.providers} provider(s)"
    )
    return Quote(
        id="on-demand",
        usd=listed.usd_per_device_h,
        unit="usd_per_device_h",
        source=f"{listed.provider} {listed.instance} {listed.region}: {listed.source}",
        as_of=listed.as_of,
        stale=listed.stale,
        note="; ".join(part for part in (spread, listed.note) if part),
    )


def offer(market: Market) -> Offer:
    """The on-demand price of a replica."""
    quote = device_hour(market)
    if quote is None:
        return Offer(
            why_not=f"no price of an hour of {market.device or 'this device'} is known; "
            "give it with --price, or in a price book"
        )
    way = Hourly(id="on-demand", title="On demand", usd_per_replica_h=quote.usd * market.devices)
    return Offer(ways=(way,), quotes=(quote,))


KIND = Kind(id="on-demand", title="On demand", offer=offer)
