"""What is known of the market for one replica: device, model, own prices, the day."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from costaudit.facts.own_prices import HOURS_PER_MONTH, NO_OWN_PRICES
from costaudit.pricing.load import WEEK_DAYS
from costaudit.pricing.way import Quote

if TYPE_CHECKING:
    import datetime as dt

    from costaudit.facts.own_prices import Origin, OwnPrices
    from costaudit.pricing.load import Load

HOURS_PER_YEAR = 12 * HOURS_PER_MONTH
HOURS_PER_WEEK = 24 * WEEK_DAYS
GIVEN = "given on the command line"


@dataclass(frozen=True, slots=True, kw_only=True)
class TokensPerReplicaH:
    """What one fully used replica serves in an hour, on average over the load."""

    computed: float
    cached: float
    output: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """Everything that a way to pay is priced from.

    Attributes:
        device: NVML name or price label; kind "cpu" is priced by the core.
        devices: of one replica.
        model: hub id or served name, to find it in price lists of APIs.
        api: `provider/model` as listed, where the user chose one.
        on_demand_usd: per device-hour, as given by the user; likewise `reserved_usd`.
    """

    device: str
    kind: str
    devices: int
    model: str
    served: TokensPerReplicaH
    today: dt.date
    own: OwnPrices = NO_OWN_PRICES
    api: str | None = None
    on_demand_usd: float | None = None
    reserved_usd: float | None = None


def served_by(load: Load) -> TokensPerReplicaH:
    """Tokens of a fully used replica-hour; zero where there was no load at all."""
    used_h = sum(load.fluid) * load.window_h
    per = 1 / used_h if used_h else 0.0
    return TokensPerReplicaH(
        computed=per * sum(load.computed_tokens),
        cached=per * sum(load.cached_tokens),
        output=per * sum(load.output_tokens),
    )


def own_quote(
    identity: str, usd: float, origin: Origin, today: dt.date, unit: str = "usd_per_device_h"
) -> Quote:
    """A price out of the user's own book."""
    return Quote(
        id=identity,
        usd=usd,
        unit=unit,
        source=f"own price book: {origin.source}",
        as_of=origin.as_of,
        stale=origin.stale(today),
    )


def given_quote(identity: str, usd: float, today: dt.date) -> Quote:
    """A price of a device-hour as said by the user just now."""
    return Quote(
        id=identity,
        usd=usd,
        unit="usd_per_device_h",
        source=GIVEN,
        as_of=today.isoformat(),
        stale=False,
    )
