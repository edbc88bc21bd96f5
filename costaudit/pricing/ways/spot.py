"""Spot: spare capacity, reclaimed when its owner needs it.

What an hour of need really costs is a·s·(1 + λ·h) + (1 − a)·o: in the share a of the hours in
which spot can be had, its price s and, λ times an hour, h hours lost to draining, a cold start and
caches that fill again; in all others on demand. Zones are reclaimed together, so it may be a part
of the fleet only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.facts import spot as facts
from costaudit.facts.prices import spot_ratio
from costaudit.pricing.market import own_quote
from costaudit.pricing.way import Assumption, Hourly, Kind, Offer, Quote
from costaudit.pricing.ways.on_demand import device_hour

if TYPE_CHECKING:
    from costaudit.pricing.market import Market

UNITS = {
    "spot availability": "share",
    "spot interruptions": "per hour",
    "lost per interruption": "h",
    "spot part of the fleet": "share",
}


def effective_usd(
    spot_usd: float,
    on_demand_usd: float,
    *,
    availability_share: float,
    interruptions_per_h: float,
    lost_h_per_interruption: float,
) -> float:
    """What an hour of need costs on spot capacity, in the unit of the two prices."""
    up_usd = spot_usd * (1 + interruptions_per_h * lost_h_per_interruption)
    return availability_share * up_usd + (1 - availability_share) * on_demand_usd


def offer(market: Market) -> Offer:
    """The effective price of a spot replica."""
    hour = device_hour(market)
    quote = _quote(market, hour)
    if quote is None or hour is None:
        return Offer(why_not=f"no spot price of {market.device or 'this device'} is known")
    relied = _reliance(market)
    values = {a.what: a.value for a in relied}
    usd = effective_usd(
        quote.usd,
        hour.usd,
        availability_share=values["spot availability"],
        interruptions_per_h=values["spot interruptions"],
        lost_h_per_interruption=values["lost per interruption"],
    )
    way = Hourly(
        id="spot",
        title="Spot",
        usd_per_replica_h=usd * market.devices,
        fleet_share=values["spot part of the fleet"],
    )
    return Offer(ways=(way,), quotes=(quote,), assumptions=relied)


def _quote(market: Market, hour: Quote | None) -> Quote | None:
    own = market.own.gpu(market.device)
    if own is not None and own.spot_usd is not None:
        return own_quote("spot", own.spot_usd, own.origin, market.today)
    ratio = spot_ratio(market.device, market.today)
    if ratio is None or hour is None:
        return None
    spread = (
        f"lists at hand {ratio.low_share:.2f} to {ratio.high_share:.2f} of on demand "
        f"over {ratio.providers} provider(s)"
    )
    return Quote(
        id="spot",
        usd=hour.usd * ratio.share,
        unit="usd_per_device_h",
        source=f"on-demand price × {ratio.share:.3f}, the ratio that {ratio.provider} lists: "
        f"{ratio.source}",
        as_of=ratio.as_of,
        stale=ratio.stale or hour.stale,
        note="; ".join(part for part in (spread, _advice(market), ratio.note) if part),
    )


def _advice(market: Market) -> str:
    found = facts.spot_advice(market.device)
    if found is None:
        return ""
    return (
        f"AWS advisor of {found.as_of}: saving {found.low_saving_share:.2f} to "
        f"{found.high_saving_share:.2f}, above 20 interruptions a month per 100 instances in "
        f"{found.often_interrupted_share:.2f} of {found.rows} rows"
    )


def _reliance(market: Market) -> tuple[Assumption, ...]:
    own = market.own.spot
    source = f"own price book: {own.origin.source}" if own else facts.TRACES
    figures = {
        "spot availability": own.availability_share if own else facts.AVAILABILITY_SHARE,
        "spot interruptions": own.interruptions_per_h if own else facts.INTERRUPTIONS_PER_H,
        "lost per interruption": (
            own.lost_h_per_interruption if own else facts.LOST_H_PER_INTERRUPTION
        ),
        "spot part of the fleet": own.fleet_share if own else facts.FLEET_SHARE,
    }
    return tuple(
        Assumption(what=what, value=value, unit=UNITS[what], source=source)
        for what, value in figures.items()
    )


KIND = Kind(id="spot", title="Spot", offer=offer)
