"""Reserved for one or three years: cheaper, and paid for every hour of the term."""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.facts.prices import reserved_ratio
from costaudit.pricing.market import HOURS_PER_YEAR, given_quote, own_quote
from costaudit.pricing.way import Committed, Kind, Offer, Quote
from costaudit.pricing.ways.on_demand import device_hour

if TYPE_CHECKING:
    from costaudit.pricing.market import Market

TERMS_YEARS = (1, 3)


def offer(market: Market) -> Offer:
    """Reserved replicas by term, as far as a price of that term is known."""
    quotes = {years: quote for years in TERMS_YEARS if (quote := _quote(market, years))}
    if not quotes:
        return Offer(
            why_not=f"no list at hand has a reserved price of {market.device or 'this device'}; "
            "give it in a price book or with --reserved-price"
        )
    ways = tuple(
        Committed(
            id=f"reserved-{years}y",
            title=f"Reserved {years} y",
            usd_per_replica_h=quote.usd * market.devices,
            term_h=years * HOURS_PER_YEAR,
        )
        for years, quote in quotes.items()
    )
    return Offer(ways=ways, quotes=tuple(quotes.values()))


def _quote(market: Market, years: int) -> Quote | None:
    identity = f"reserved-{years}y"
    if years == 1 and market.reserved_usd is not None:
        return given_quote(identity, market.reserved_usd, market.today)
    own = market.own.gpu(market.device)
    if own is not None:
        usd = {1: own.reserved_1y_usd, 3: own.reserved_3y_usd}[years]
        if usd is not None:
            return own_quote(identity, usd, own.origin, market.today)
    ratio, hour = reserved_ratio(market.device, years, market.today), device_hour(market)
    if ratio is None or hour is None:
        return None
    return Quote(
        id=identity,
        usd=hour.usd * ratio.share,
        unit="usd_per_device_h",
        source=f"on-demand price × {ratio.share:.3f}, the ratio that {ratio.provider} lists: "
        f"{ratio.source}",
        as_of=ratio.as_of,
        stale=ratio.stale or hour.stale,
        note="; ".join(part for part in ("assumed, not quoted", ratio.note) if part),
    )


KIND = Kind(id="reserved", title="Reserved", offer=offer)
