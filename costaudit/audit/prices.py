"""The price of a device-hour: the user's own word first, the price book second, else unknown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from costaudit.facts.prices import Price, price_of_cpu_core, price_of_gpu
from costaudit.whatif.scenario import Prices

if TYPE_CHECKING:
    import datetime as dt

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
    device: DeviceMetrics, *, given_usd: float | None, reserved_usd: float | None, today: dt.date
) -> tuple[KnownPrice, ...]:
    """On-demand and reserved price of one device-hour, as far as they are known."""
    found: list[KnownPrice] = []
    if given_usd is not None:
        found.append(_given("on-demand", given_usd, today))
    elif (price := _book(device, today)) is not None:
        found.append(_listed(price))
    if reserved_usd is not None:
        found.append(_given("reserved", reserved_usd, today))
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
