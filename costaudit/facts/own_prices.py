"""What a user's own price book holds; `own_book` reads it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from costaudit.facts.table import stale

if TYPE_CHECKING:
    import datetime as dt

HOURS_PER_MONTH = 730.0  # 8760 / 12, as clouds count it


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where an own price comes from."""

    source: str
    as_of: str

    def stale(self, today: dt.date) -> bool:
        """Older than a list price may be."""
        return stale(self.as_of, today)


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnGpu:
    """USD per device-hour by way to pay; None: not said."""

    device: str
    on_demand_usd: float
    spot_usd: float | None
    reserved_1y_usd: float | None
    reserved_3y_usd: float | None
    origin: Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnToken:
    """USD per million tokens; None: not said."""

    provider: str
    model: str
    input_usd: float
    output_usd: float
    cached_usd: float | None
    batch_input_usd: float | None
    batch_output_usd: float | None
    origin: Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnUnit:
    """A provisioned unit: dollars an hour, tokens a minute, and how long one is bound."""

    provider: str
    model: str
    usd_per_unit_h: float
    input_tokens_per_min: float
    output_tokens_per_min: float
    term_months: float
    origin: Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnPrem:
    """A device of one's own; `upkeep_share` is hands and spares, of the price per year."""

    capex_usd_per_device: float
    years: float
    interest_share: float
    upkeep_share: float
    device_w: float
    pue: float
    usd_per_kwh: float
    availability_share: float
    origin: Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnSpot:
    """How far spot can be relied on."""

    availability_share: float
    interruptions_per_h: float
    lost_h_per_interruption: float
    fleet_share: float
    origin: Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnScenario:
    """Prices that could be: factors on what no contract fixes, and its weight among the others."""

    name: str
    hourly_factor: float
    spot_factor: float
    token_factor: float
    weight: float


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnPrices:
    """All that the file holds."""

    gpus: tuple[OwnGpu, ...] = ()
    tokens: tuple[OwnToken, ...] = ()
    units: tuple[OwnUnit, ...] = ()
    on_prem: OwnPrem | None = None
    spot: OwnSpot | None = None
    scenarios: tuple[OwnScenario, ...] = ()

    def gpu(self, device: str) -> OwnGpu | None:
        """The user's price of this device, by its exact name."""
        wanted = device.casefold().strip()
        return next((g for g in self.gpus if g.device.casefold() == wanted), None)


NO_OWN_PRICES = OwnPrices()
