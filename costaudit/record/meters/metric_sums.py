"""A page's series → one number per canonical quantity."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from costaudit.facts.metric_map import RANK_LABELS, MetricName, Over, spelled, stem
from costaudit.facts.quantities import Quantity

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from costaudit.record.meters.prometheus_text import Series

_BUCKETED = {"latency.ttft", "latency.itl", "latency.queue"}
_PARTS = {"_sum": "sum", "_count": "count", "_bucket": "le"}
# In detail: labels whose values stand for themselves, and those that number ranks or replicas.
TOLD_APART = (
    "finished_reason",
    "err",
    "reason",
    "source",
    "cache_source",
    "mode",
    "stage",
    "method",
    "sleep_state",
)
REPLICAS = ("engine", "dp_rank", "ReplicaId")
_BY_REPLICA = {
    "requests.running",
    "requests.waiting",
    "kv.usage_fraction",
    "tokens.generation_total",
}
_MOST_NAMES = 20_000  # a page of vLLM's has some 500; the rest of a hostile page is left out


def summed(
    series: Iterable[Series],
    names: Mapping[str, tuple[MetricName, ...]],
    labels: Mapping[str, str],
    *,
    detailed: bool = False,
) -> dict[str, Quantity]:
    """The quantities on a page, each from the first of its names that the page has.

    `labels` restricts series that have such a label to those that agree (one of many models).
    `detailed` adds all buckets, and the parts by label and by replica (see `facts.quantities`).
    """
    found: dict[str, dict[MetricName, list[float]]] = {}
    units: dict[str, tuple[str, bool]] = {}
    for one in series:
        if not _agrees(one, labels) or not math.isfinite(one.value):
            continue
        for name, part in meant(one.name, names):
            for quantity in _quantities(name, one, part, detailed=detailed):
                if quantity not in found and len(found) >= _MOST_NAMES:
                    continue
                factor = name.factor if part in {"", "sum"} else 1.0
                found.setdefault(quantity, {}).setdefault(name, []).append(one.value * factor)
                unit = name.unit if part in {"", "sum"} else "count"
                units[quantity] = (unit, bool(part) or name.kind == "counter")
    result = {}
    for quantity, by_name in found.items():
        first = _first(by_name, names)
        values = by_name[first]
        value = max(values) if first.over is Over.MAX and not units[quantity][1] else sum(values)
        unit, total = units[quantity]
        result[quantity] = Quantity(value=value, unit=unit, total=total, native=first.native)
    return result


def _first(
    found: Mapping[MetricName, object], names: Mapping[str, tuple[MetricName, ...]]
) -> MetricName:
    """Of several names of one quantity, the one that the table has first."""
    if len(found) == 1:
        return next(iter(found))
    return next(name for some in names.values() for name in some if name in found)


def meant(
    wire: str, names: Mapping[str, tuple[MetricName, ...]]
) -> Iterable[tuple[MetricName, str]]:
    """The table's names that a name on the wire is of, and which part of a histogram it is."""
    wire = spelled(wire)
    for name in names.get(stem(wire), ()):
        if name.kind in {"gauge", "counter"}:
            yield name, ""
    for ending, part in _PARTS.items():
        if wire.endswith(ending):
            for name in names.get(stem(wire.removesuffix(ending)), ()):
                if name.kind in {"histogram", "summary"}:
                    yield name, part


def _quantities(name: MetricName, one: Series, part: str, *, detailed: bool) -> Iterable[str]:
    """What the series' number is called; nothing where it is not of this quantity, or not kept."""
    if any(one.labels.get(label) != value for label, value in name.labels.items()):
        return
    base = name.canonical
    if name.split:
        base = f"{base}.{one.labels.get(name.split, 'other')}"
    edge = one.labels.get("le", "")
    if part == "le" and (not edge or not (detailed or base in _BUCKETED)):
        return
    ending = f".le.{edge}" if part == "le" else f".{part}" if part else ""
    yield base + ending
    if not detailed:
        return
    told = [one.labels[label] for label in TOLD_APART if one.labels.get(label)]
    if told and not name.split:
        yield f"{base}.{told[0]}{ending}"
    if base in _BY_REPLICA:
        rank = "/".join(one.labels[label] for label in REPLICAS if one.labels.get(label))
        if rank:
            yield f"{base}@{rank}"


def _agrees(one: Series, labels: Mapping[str, str]) -> bool:
    ranks = all(one.labels.get(label, "0") in {"0", ""} for label in RANK_LABELS)
    return ranks and all(one.labels.get(key, value) == value for key, value in labels.items())
