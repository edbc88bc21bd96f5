"""What a device-hour costs on the market, with the source and the date of every price.

The tables are `data/gpu_prices.csv` and `data/cpu_prices.csv`: list prices without discounts.
A price is a fact with a date, so everything here asks for today: older than `STALE_AFTER_DAYS`, or
of unknown date, is stale and says so. No price known is None, never a guess.
"""

from __future__ import annotations

import csv
import datetime as dt
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import median_low
from typing import TYPE_CHECKING

from costaudit.facts.gpus import gpu_spec, gpu_specs

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

STALE_AFTER_DAYS = 180
_DATA = Path(__file__).parent / "data"
# Notes of rows that are no offer one could take: test fixtures, known outliers, drifted lists.
_SUSPECT = ("fixture", "outlier", "hand-kept")


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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Offer:
    provider: str
    instance: str
    label: str
    region: str
    usd_per_device_h: float
    reserved_1y_usd_per_device_h: float | None
    reserved_3y_usd_per_device_h: float | None
    source: str
    as_of: str
    note: str

    def stale(self, today: dt.date) -> bool:
        try:
            age = today - dt.date.fromisoformat(self.as_of)
        except ValueError:
            return True
        return age.days > STALE_AFTER_DAYS

    def suspect(self) -> bool:
        return any(word in self.note for word in _SUSPECT)


def price_of_gpu(name: str, today: dt.date) -> Price | None:
    """The median on-demand offer for a GPU (NVML name or listed alias); None: no price is known.

    Each provider counts once, by its own median over regions and sizes, so that a long price list
    weighs no more than a short one. Fresh offers are preferred to stale ones, and both to rows
    whose note says that they are no real quote.
    """
    labels = _labels(name)
    return _price([o for o in _gpu_offers() if o.label in labels], today)


def price_of_cpu_core(today: dt.date) -> Price | None:
    """The median on-demand price of one vCPU of a current compute-optimised instance."""
    return _price(_cpu_offers(), today)


def reserved_ratio(name: str, years: int, today: dt.date) -> ReservedRatio | None:
    """What one or three years of commitment cost over on demand, where a list carries both.

    None: no list at hand has a reserved price for this device; ask for one, do not assume it.
    """
    labels = _labels(name)
    rows = [(_share(o, years), o) for o in _gpu_offers() if o.label in labels]
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


def _share(offer: _Offer, years: int) -> float | None:
    reserved = {1: offer.reserved_1y_usd_per_device_h, 3: offer.reserved_3y_usd_per_device_h}
    usd = reserved.get(years)
    return None if usd is None else usd / offer.usd_per_device_h


def _labels(name: str) -> frozenset[str]:
    """Price labels of a device; a name that is such a label itself stands for itself."""
    spec = gpu_spec(name)
    if spec is not None:
        return frozenset(spec.priced_as)
    known = {label for spec in gpu_specs() for label in spec.priced_as}
    return frozenset({name} & known)


def _price(offers: Sequence[_Offer], today: dt.date) -> Price | None:
    pool = _best(offers, today)
    if not pool:
        return None
    by_provider: dict[str, list[_Offer]] = {}
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


def _best(offers: Sequence[_Offer], today: dt.date) -> Sequence[_Offer]:
    """The most trustworthy group of offers that is not empty."""
    for group in (
        [o for o in offers if not o.stale(today) and not o.suspect()],
        [o for o in offers if not o.stale(today)],
        [o for o in offers if not o.suspect()],
    ):
        if group:
            return group
    return offers


def _middle(offers: Sequence[_Offer]) -> _Offer:
    """The offer in the middle by price: a real one, no average."""
    return sorted(offers, key=lambda o: (o.usd_per_device_h, o.instance))[(len(offers) - 1) // 2]


@cache
def _gpu_offers() -> tuple[_Offer, ...]:
    return tuple(_offers(_rows("gpu_prices.csv"), label="gpu", devices="gpus"))


@cache
def _cpu_offers() -> tuple[_Offer, ...]:
    return tuple(_offers(_rows("cpu_prices.csv"), label="cpu", devices="vcpus"))


def _rows(name: str) -> list[dict[str, str]]:
    with (_DATA / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _offers(rows: Iterable[Mapping[str, str]], *, label: str, devices: str) -> Iterable[_Offer]:
    for row in rows:
        per_device = {
            key: float(row.get(key) or 0.0) / float(row[devices])
            for key in ("on_demand_usd_h", "reserved_1y_usd_h", "reserved_3y_usd_h")
        }
        if per_device["on_demand_usd_h"] > 0:  # 0 is a placeholder, not a gift
            yield _Offer(
                provider=row["provider"],
                instance=row["instance"],
                label=row[label],
                region=row["region"],
                usd_per_device_h=per_device["on_demand_usd_h"],
                reserved_1y_usd_per_device_h=per_device["reserved_1y_usd_h"] or None,
                reserved_3y_usd_per_device_h=per_device["reserved_3y_usd_h"] or None,
                source=row["source"],
                as_of=row["as_of"],
                note=row["note"],
            )
