"""A page's series → one number per canonical quantity."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from costaudit.facts.metric_map import RANK_LABELS, MetricName, Over, spelled, stem

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from costaudit.record.meters.prometheus_text import Series

_BUCKETED = {"latency.ttft", "latency.itl", "latency.queue"}
_PARTS = {"_sum": "sum", "_count": "count", "_bucket": "le"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """A canonical quantity now; `total` is a counter's, which only grows."""

    value: float
    unit: str
    total: bool = False


def summed(
    series: Iterable[Series],
    names: Mapping[str, tuple[MetricName, ...]],
    labels: Mapping[str, str],
) -> dict[str, Quantity]:
    """The quantities on a page, each from the first of its names that the page has.

    `labels` restricts series that have such a label to those that agree (one of many models).
    """
    found: dict[str, dict[MetricName, list[float]]] = {}
    units: dict[str, tuple[str, bool]] = {}
    order = {name: place for place, name in enumerate(n for some in names.values() for n in some)}
    for one in series:
        if not _agrees(one, labels) or not math.isfinite(one.value):
            continue
        for name, part in _meant(one, names):
            quantity = _quantity(name, one, part)
            if quantity:
                factor = name.factor if part in {"", "sum"} else 1.0
                found.setdefault(quantity, {}).setdefault(name, []).append(one.value * factor)
                unit = name.unit if part in {"", "sum"} else "count"
                units[quantity] = (unit, bool(part) or name.kind == "counter")
    result = {}
    for quantity, by_name in found.items():
        first = min(by_name, key=order.__getitem__)
        values = by_name[first]
        value = max(values) if first.over is Over.MAX and not units[quantity][1] else sum(values)
        unit, total = units[quantity]
        result[quantity] = Quantity(value=value, unit=unit, total=total)
    return result


def _meant(
    one: Series, names: Mapping[str, tuple[MetricName, ...]]
) -> Iterable[tuple[MetricName, str]]:
    """The table's names that this series is of, and which part of a histogram it is."""
    wire = spelled(one.name)
    for name in names.get(stem(wire), ()):
        if name.kind in {"gauge", "counter"}:
            yield name, ""
    for ending, part in _PARTS.items():
        if wire.endswith(ending):
            for name in names.get(stem(wire.removesuffix(ending)), ()):
                if name.kind in {"histogram", "summary"}:
                    yield name, part


def _quantity(name: MetricName, one: Series, part: str) -> str:
    """What the series' number is called; "" where it is not of this quantity, or not kept."""
    if any(one.labels.get(label) != value for label, value in name.labels.items()):
        return ""
    base = name.canonical
    if name.split:
        base = f"{base}.{one.labels.get(name.split, 'other')}"
    if part == "le":
        edge = one.labels.get("le", "")
        return f"{base}.le.{edge}" if base in _BUCKETED and edge else ""
    return f"{base}.{part}" if part else base


def _agrees(one: Series, labels: Mapping[str, str]) -> bool:
    ranks = all(one.labels.get(label, "0") in {"0", ""} for label in RANK_LABELS)
    return ranks and all(one.labels.get(key, value) == value for key, value in labels.items())
