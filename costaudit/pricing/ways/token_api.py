"""A token API: the same model on somebody else's replicas, by the million tokens.

Input, cached input and output have prices of their own; where no discount on cached input is
listed there is none. Batch prices are for answers within a day, of no use to a user who waits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.facts.token_prices import prices_of_model, same_model
from costaudit.pricing.market import own_quote
from costaudit.pricing.way import Kind, Offer, PerToken, Quote

if TYPE_CHECKING:
    from costaudit.facts.own_prices import OwnToken
    from costaudit.facts.token_prices import TokenPrice
    from costaudit.pricing.market import Market

UNIT = "usd_per_1m_tokens"
Listed = tuple[tuple[PerToken, ...], tuple[Quote, ...]]


def offer(market: Market) -> Offer:
    """Every API that lists this very model, or the one that was asked for."""
    wanted = market.api or market.model
    own = [
        price
        for price in market.own.tokens
        if wanted == f"{price.provider}/{price.model}" or same_model(price.model, wanted)
    ]
    found: list[Listed] = [_own(price, market) for price in own]
    found += [_listed(price, market) for price in prices_of_model(wanted)]
    if not found:
        return Offer(
            why_not=f"no price list at hand has {wanted or 'this model'} behind an API; "
            "name one with --api PROVIDER/MODEL"
        )
    return Offer(
        ways=tuple(way for ways, _ in found for way in ways),
        quotes=tuple(quote for _, quotes in found for quote in quotes),
    )


def _own(price: OwnToken, market: Market) -> Listed:
    identity, usual = _identity(price.provider), price.input_usd
    ways = [_way(identity, price.provider, price.input_usd, price.cached_usd, price.output_usd)]
    if price.batch_input_usd is not None and price.batch_output_usd is not None:
        ways.append(_batch(price.provider, price.batch_input_usd, price.batch_output_usd))
    quote = own_quote(identity, usual, price.origin, market.today, UNIT)
    return tuple(ways), (quote,)


def _listed(price: TokenPrice, market: Market) -> Listed:
    identity = _identity(price.provider)
    ways = [
        _way(
            identity,
            price.provider,
            price.input_usd_per_1m,
            price.cached_usd_per_1m,
            price.output_usd_per_1m,
        )
    ]
    if price.batch_input_usd_per_1m is not None and price.batch_output_usd_per_1m is not None:
        ways.append(
            _batch(price.provider, price.batch_input_usd_per_1m, price.batch_output_usd_per_1m)
        )
    disagreement = f"two lists disagree: {price.note}" if price.disagrees else ""
    said = (f"listed as {price.model}", f"{price.output_usd_per_1m:g} for output", disagreement)
    quote = Quote(
        id=identity,
        usd=price.input_usd_per_1m,
        unit=UNIT,
        source=price.source,
        as_of=price.as_of,
        stale=price.stale(market.today),
        note="; ".join(part for part in said if part),
    )
    return tuple(ways), (quote,)


def _identity(provider: str) -> str:
    return f"api-{provider}"


def _way(
    identity: str, provider: str, entry: float, cached: float | None, output: float
) -> PerToken:
    return PerToken(
        id=identity,
        title=f"Token API ({provider})",
        usd_per_1m_input=entry,
        usd_per_1m_cached=entry if cached is None else cached,
        usd_per_1m_output=output,
    )


def _batch(provider: str, entry: float, output: float) -> PerToken:
    return PerToken(
        id=f"batch-{provider}",
        title=f"Batch API ({provider})",
        usd_per_1m_input=entry,
        usd_per_1m_cached=entry,
        usd_per_1m_output=output,
        patient=True,
    )


KIND = Kind(id="token-api", title="Token API", offer=offer)
