"""The price of a device-hour: as given, from the user's own book, from the lists, or unknown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from costaudit.facts.own_prices import NO_OWN_PRICES
from costaudit.facts.prices import Price, price_of_cpu_core, price_of_gpu
from costaudit.whatif.scenario import Prices

if TYPE_CHECKING:
    import datetime as dt

    from costaudit.facts.own_prices import Origin, OwnPrices
    from costaudit.measure.metrics import DeviceMetrics


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownPrice:
    """A price with its origin; `as_of` is a date, or says why there is none."""

    id: str
    usd_per_device_h: float
    source: str
    as_of: str
    stale: bool
    note: str


def known_prices(
    device: DeviceMetrics,
    *,
    given_usd: float | None,
    reserved_usd: float | None,
    today: dt.date,
    own: OwnPrices = NO_OWN_PRICES,
) -> tuple[KnownPrice, ...]:
    """On-demand and reserved price of one device-hour, as far as they are known.

    What the user says rules over the user's own price book, and that over the shipped lists.
    """
    found: list[KnownPrice] = []
    mine = own.gpu(device.name)
    if given_usd is not None:
        found.append(_given("on-demand", given_usd, today))
    elif mine is not None:
        found.append(_own("on-demand", mine.on_demand_usd, mine.origin, today))
    elif (price := _book(device, today)) is not None:
        found.append(_listed(price))
    if reserved_usd is not None:
        found.append(_given("reserved", reserved_usd, today))
    elif mine is not None and mine.reserved_1y_usd is not None:
        found.append(_own("reserved", mine.reserved_1y_usd, mine.origin, today))
    return tuple(found)


def scenario_prices(prices: tuple[KnownPrice, ...]) -> Prices:
    """The same for a scenario."""
    usd = {price.id: price.usd_per_device_h for price in prices}
    return Prices(
        usd_per_device_h=usd.get("on-demand"),
        reserved_usd_per_device_h=usd.get("reserved"),
        reserved_term="as given" if "reserved" in usd else "",
    )


def _book(device: DeviceMetrics, today: dt.date) -> Price | None:
    return price_of_cpu_core(today) if device.kind == "cpu" else price_of_gpu(device.name, today)


def _given(kind: str, usd: float, today: dt.date) -> KnownPrice:
    return KnownPrice(
        id=kind,
        usd_per_device_h=usd,
        source="given by the user",
        as_of=today.isoformat(),
        stale=False,
        note="",
    )


def _own(kind: str, usd: float, origin: Origin, today: dt.date) -> KnownPrice:
    return KnownPrice(
        id=kind,
        usd_per_device_h=usd,
        source=f"own price book: {origin.source}",
        as_of=origin.as_of,
        stale=origin.stale(today),
        note="",
    )


def _listed(price: Price) -> KnownPrice:
    market = (
        f"market {price.low_usd_per_device_h:g} to {price.high_usd_per_device_h:g} "
        f"over {price.providers} provider(s)"
    )
    return KnownPrice(
        id="on-demand",
        usd_per_device_h=price.usd_per_device_h,
        source=f"{price.provider} {price.instance} {price.region}: {price.source}",
        as_of=price.as_of,
        stale=price.stale,
        note="; ".join(part for part in (market, price.note) if part),
    )
