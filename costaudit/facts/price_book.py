"""The whole price book as rows of one form, to be looked at: what, where, how much, how old."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from costaudit.facts.offers import DeviceOffer, gpu_offers, labels
from costaudit.facts.provisioned import unit_prices
from costaudit.facts.spot import spot_rows
from costaudit.facts.token_prices import token_prices
from costaudit.ground.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One row. `figures` by unit, as they are listed; `flags` say what to think of it."""

    name: str
    offer: str  # provider, instance or model, region
    figures: dict[str, float | str]
    source: str
    as_of: str
    flags: tuple[str, ...]


def listed(kind: str, word: str, today: dt.date) -> tuple[Listed, ...]:
    """Rows of one kind ("gpu", "tokens", "spot", "units") that hold the word in name or offer.

    A GPU may be named as NVML does or by a price label; "H100" finds every kind of it.

    Raises:
        UsageError: there is no such kind.
    """
    kinds = {"gpu": _gpus, "tokens": _tokens, "spot": _spot, "units": _units}
    if kind not in kinds:
        raise UsageError(f"there is no price list {kind!r}", hint=did_you_mean(kind, kinds))
    wanted, exact = word.casefold(), labels(word)
    return tuple(
        row
        for row in kinds[kind](today)
        if row.name in exact or wanted in f"{row.name} {row.offer}".casefold()
    )


def _gpus(today: dt.date) -> Iterator[Listed]:
    for offer in sorted(gpu_offers(), key=lambda o: (o.label, o.usd_per_device_h)):
        yield Listed(
            name=offer.label,
            offer=f"{offer.provider} {offer.instance} {offer.region}",
            figures=_hours(offer),
            source=offer.source,
            as_of=offer.as_of,
            flags=offer.flags(today),
        )


def _hours(offer: DeviceOffer) -> dict[str, float | str]:
    """USD per device-hour by way to pay."""
    known = {
        "on demand": offer.usd_per_device_h,
        "spot": offer.spot_usd_per_device_h,
        "1y": offer.reserved_1y_usd_per_device_h,
        "3y": offer.reserved_3y_usd_per_device_h,
    }
    return {name: usd for name, usd in known.items() if usd is not None}


def _tokens(today: dt.date) -> Iterator[Listed]:
    for price in sorted(token_prices(), key=lambda p: (p.model, p.output_usd_per_1m)):
        known = {
            "input": price.input_usd_per_1m,
            "cached": price.cached_usd_per_1m,
            "output": price.output_usd_per_1m,
            "batch in": price.batch_input_usd_per_1m,
            "batch out": price.batch_output_usd_per_1m,
        }
        yield Listed(
            name=price.model,
            offer=price.provider,
            figures={name: usd for name, usd in known.items() if usd is not None},
            source=price.source,
            as_of=price.as_of,
            flags=price.flags(today),
        )


def _spot(today: dt.date) -> Iterator[Listed]:
    for row in spot_rows():
        yield Listed(
            name=row.label,
            offer=f"aws {row.instance} {row.region}",
            figures={"saving share": row.saving_share, "interrupted a month": row.band},
            source=row.source,
            as_of=row.as_of,
            flags=row.flags(today),
        )


def _units(today: dt.date) -> Iterator[Listed]:
    for price in unit_prices():
        yield Listed(
            name=price.model,
            offer=f"{price.provider} {price.region} {price.term}",
            figures={"unit-hour": price.usd_per_unit_h},
            source=price.source,
            as_of=price.as_of,
            flags=price.flags(today),
        )
