"""Offers of device-hours: the rows behind `prices`, each with what is wrong with it.

The tables are `data/gpu_prices.csv` and `data/cpu_prices.csv`: list prices without discounts.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from costaudit.facts.gpus import gpu_spec, gpu_specs
from costaudit.facts.table import number, rows, stale

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Mapping

# Notes of rows that are no offer one could take: test fixtures, known outliers, drifted lists.
_SUSPECT = ("fixture", "outlier", "hand-kept")
_NO_SPOT = "not a real spot quote"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceOffer:
    """One row, per device (GPU, or CPU core); None where the list has no such price."""

    provider: str
    instance: str
    label: str
    region: str
    devices: int
    usd_per_device_h: float
    spot_usd_per_device_h: float | None
    reserved_1y_usd_per_device_h: float | None
    reserved_3y_usd_per_device_h: float | None
    source: str
    as_of: str
    note: str

    def stale(self, today: dt.date) -> bool:
        """Older than STALE_AFTER_DAYS, or undated."""
        return stale(self.as_of, today)

    def suspect(self) -> bool:
        """Its note says that it is no offer one could take."""
        return any(word in self.note for word in _SUSPECT)

    def flags(self, today: dt.date) -> tuple[str, ...]:
        """What a reader should know before trusting this row."""
        said = []
        if self.stale(today):
            said.append("stale")
        if self.suspect():
            said.append("placeholder")
        if _NO_SPOT in self.note:
            said.append("no real spot price")
        return tuple(said)


def labels(name: str) -> frozenset[str]:
    """Price labels of a device; a name that is such a label itself stands for itself."""
    spec = gpu_spec(name)
    if spec is not None:
        return frozenset(spec.priced_as)
    known = {label for spec in gpu_specs() for label in spec.priced_as}
    return frozenset({name} & known)


@cache
def gpu_offers() -> tuple[DeviceOffer, ...]:
    """All GPU rows that carry an on-demand price."""
    return tuple(_offers(rows("gpu_prices.csv"), label="gpu", devices="gpus"))


@cache
def cpu_offers() -> tuple[DeviceOffer, ...]:
    """All CPU rows, per core as billed."""
    return tuple(_offers(rows("cpu_prices.csv"), label="cpu", devices="vcpus"))


def _offers(
    table: Iterable[Mapping[str, str]], *, label: str, devices: str
) -> Iterable[DeviceOffer]:
    for row in table:
        count = int(row[devices])
        on_demand = number(row["on_demand_usd_h"])
        if on_demand is None:
            continue
        spot = number(row.get("spot_usd_h"))
        if spot is not None and (spot >= on_demand or _NO_SPOT in row["note"]):
            spot = None  # a list that copies one column into the other
        yield DeviceOffer(
            provider=row["provider"],
            instance=row["instance"],
            label=row[label],
            region=row["region"],
            devices=count,
            usd_per_device_h=on_demand / count,
            spot_usd_per_device_h=_per(spot, count),
            reserved_1y_usd_per_device_h=_per(number(row.get("reserved_1y_usd_h")), count),
            reserved_3y_usd_per_device_h=_per(number(row.get("reserved_3y_usd_h")), count),
            source=row["source"],
            as_of=row["as_of"],
            note=row["note"],
        )


def _per(usd: float | None, count: int) -> float | None:
    return None if usd is None else usd / count
