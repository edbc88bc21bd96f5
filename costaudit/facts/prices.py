"""What a device-hour costs on the market, with the source and the date of every price.

A price is a fact with a date, so everything here asks for today: older than `STALE_AFTER_DAYS`, or
of unknown date, is stale and says so. No price known is None, never a guess.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median_low
from typing import TYPE_CHECKING

from costaudit.facts.offers import cpu_offers, gpu_offers, labels
from costaudit.facts.table import STALE_AFTER_DAYS

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    from costaudit.facts.offers import DeviceOffer

__all__ = (
    "STALE_AFTER_DAYS",
    "Price",
    "ReservedRatio",
    "SpotRatio",
    "price_of_cpu_core",
    "price_of_gpu",
    "reserved_ratio",
    "spot_ratio",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """A real offer: the median one on demand, with the spread of the market around it.

    Attributes:
        usd_per_device_h: on-demand USD per device-hour (GPU, or CPU core).
        low_usd_per_device_h: the cheapest provider's median offer (one provider: cheapest offer).
        high_usd_per_device_h: the dearest provider's likewise.
        providers: how many providers stand behind the spread.
        as_of: the date as its source gives it, or why there is none.
        stale: older than STALE_AFTER_DAYS, or undated.
        reserved_1y_usd_per_device_h: only where this very offer lists it; likewise 3y.
    """

    usd_per_device_h: float
    low_usd_per_device_h: float
    high_usd_per_device_h: float
    providers: int
    provider: str
    instance: str
    region: str
    source: str
    as_of: str
    stale: bool
    note: str = ""
    reserved_1y_usd_per_device_h: float | None = None
    reserved_3y_usd_per_device_h: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReservedRatio:
    """A reserved hour's price over the same instance's on-demand price; `share` from 0 to 1."""

    years: int
    share: float
    low_share: float
    high_share: float
    provider: str
    source: str
    as_of: str
    stale: bool
    note: str


def price_of_gpu(name: str, today: dt.date) -> Price | None:
    """The median on-demand offer for a GPU (NVML name or listed alias); None: no price is known.

    Each provider counts once, by its own median over regions and sizes, so that a long price list
    weighs no more than a short one. Fresh offers are preferred to stale ones, and both to rows
    whose note says that they are no real quote.
    """
    known = labels(name)
    return _price([o for o in gpu_offers() if o.label in known], today)


def price_of_cpu_core(today: dt.date) -> Price | None:
    """The median on-demand price of one vCPU of a current compute-optimised instance."""
    return _price(cpu_offers(), today)


def reserved_ratio(name: str, years: int, today: dt.date) -> ReservedRatio | None:
    """What one or three years of commitment cost over on demand, where a list carries both.

    None: no list at hand has a reserved price for this device; ask for one, do not assume it.
    """
    named = labels(name)
    rows = [(_share(o, years), o) for o in gpu_offers() if o.label in named]
    known = [(share, offer) for share, offer in rows if share is not None]
    if not known:
        return None
    middle = median_low([share for share, _ in known])
    offer = next(offer for share, offer in known if share == middle)
    return ReservedRatio(
        years=years,
        share=middle,
        low_share=min(share for share, _ in known),
        high_share=max(share for share, _ in known),
        provider=offer.provider,
        source=offer.source,
        as_of=offer.as_of,
        stale=offer.stale(today),
        note=offer.note,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SpotRatio:
    """A spot hour's price over the same offer's on-demand price; `share` from 0 to 1.

    The middle of the providers that list both, each by its own median; `low`, `high` their ends.
    """

    share: float
    low_share: float
    high_share: float
    providers: int
    provider: str
    source: str
    as_of: str
    stale: bool
    note: str


def spot_ratio(name: str, today: dt.date) -> SpotRatio | None:
    """What a spot hour costs over on demand; None where no list at hand has both."""
    known = labels(name)
    pool = _best([o for o in gpu_offers() if o.label in known and _spot_share(o)], today)
    by_provider: dict[str, list[DeviceOffer]] = {}
    for offer in pool:
        by_provider.setdefault(offer.provider, []).append(offer)
    if not by_provider:
        return None
    middles = [
        sorted(group, key=_spot_share)[(len(group) - 1) // 2] for group in by_provider.values()
    ]
    middles.sort(key=_spot_share)
    chosen = middles[(len(middles) - 1) // 2]
    return SpotRatio(
        share=_spot_share(chosen),
        low_share=_spot_share(middles[0]),
        high_share=_spot_share(middles[-1]),
        providers=len(middles),
        provider=chosen.provider,
        source=chosen.source,
        as_of=chosen.as_of,
        stale=chosen.stale(today),
        note=chosen.note,
    )


def _spot_share(offer: DeviceOffer) -> float:
    return (offer.spot_usd_per_device_h or 0.0) / offer.usd_per_device_h


def _share(offer: DeviceOffer, years: int) -> float | None:
    reserved = {1: offer.reserved_1y_usd_per_device_h, 3: offer.reserved_3y_usd_per_device_h}
    usd = reserved.get(years)
    return None if usd is None else usd / offer.usd_per_device_h


def _price(offers: Sequence[DeviceOffer], today: dt.date) -> Price | None:
    pool = _best(offers, today)
    if not pool:
        return None
    by_provider: dict[str, list[DeviceOffer]] = {}
    for offer in pool:
        by_provider.setdefault(offer.provider, []).append(offer)
    middles = [_middle(group) for group in by_provider.values()]
    chosen = _middle(middles if len(middles) > 1 else pool)
    spread = [o.usd_per_device_h for o in (middles if len(middles) > 1 else pool)]
    return Price(
        usd_per_device_h=chosen.usd_per_device_h,
        low_usd_per_device_h=min(spread),
        high_usd_per_device_h=max(spread),
        providers=len(by_provider),
        provider=chosen.provider,
        instance=chosen.instance,
        region=chosen.region,
        source=chosen.source,
        as_of=chosen.as_of,
        stale=chosen.stale(today),
        note=chosen.note,
        reserved_1y_usd_per_device_h=chosen.reserved_1y_usd_per_device_h,
        reserved_3y_usd_per_device_h=chosen.reserved_3y_usd_per_device_h,
    )


def _best(offers: Sequence[DeviceOffer], today: dt.date) -> Sequence[DeviceOffer]:
    """The most trustworthy group of offers that is not empty."""
    for group in (
        [o for o in offers if not o.stale(today) and not o.suspect()],
        [o for o in offers if not o.stale(today)],
        [o for o in offers if not o.suspect()],
    ):
        if group:
            return group
    return offers


def _middle(offers: Sequence[DeviceOffer]) -> DeviceOffer:
    """The offer in the middle by price: a real one, no average."""
    return sorted(offers, key=lambda o: (o.usd_per_device_h, o.instance))[(len(offers) - 1) // 2]
