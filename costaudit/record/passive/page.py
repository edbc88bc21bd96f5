"""One answer of a metrics route → a page of canonical quantities, in detail."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from costaudit.facts.metric_map import metric_names, spelled, stem
from costaudit.facts.quantities import STARTED, Page, Quantity
from costaudit.record.meters.json_loads import READERS
from costaudit.record.meters.metric_sums import summed
from costaudit.record.meters.prometheus_text import family, read_exposition

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from costaudit.record.meters.prometheus_text import Series
    from costaudit.record.servers.fetch import Reply
    from costaudit.record.servers.found import MetricsSource

_LORA = "vllm:lora_requests_info"
_START = "process_start_time_seconds"
_BESIDE = {_LORA, _START}  # read here, for they are no quantities of the map
_DIGITS = 6


def page_of(reply: Reply, source: MetricsSource, t_s: float) -> Page:
    """The quantities of an answer; damaged lines are left out."""
    if source.format != "prometheus":
        return Page(t_s=t_s, quantities=READERS[source.format](reply.json()))
    names = metric_names(*source.servers, version=source.version)

    def wants(name: str) -> bool:
        wire = spelled(name)
        return stem(wire) in names or stem(family(wire)) in names or wire in _BESIDE

    series = read_exposition(reply.text(), keep=wants).series
    mapped = summed(series, names, source.labels, detailed=True)
    return Page(t_s=t_s, quantities={**mapped, **_beside(series)})


def _beside(series: Iterable[Series]) -> dict[str, Quantity]:
    """The start of the process, and LoRA adapters: names in labels, the newest by the value."""
    found: dict[str, Quantity] = {}
    newest = float("-inf")
    for one in series:
        name = spelled(one.name)
        if name == _START and math.isfinite(one.value):
            found[STARTED] = Quantity(value=one.value, unit="s", native=one.name)
        elif name == _LORA and one.value > newest:
            newest = one.value
            found |= {
                quantity: Quantity(value=float(count), unit="count", native=one.name)
                for quantity, count in _adapters(one.labels).items()
            }
    return found


def _adapters(labels: Mapping[str, str]) -> dict[str, int]:
    """Adapters in the batch, others that are waited for, and the most at once."""
    running, waiting = (
        set(filter(None, labels.get(f"{part}_lora_adapters", "").split(",")))
        for part in ("running", "waiting")
    )
    most = labels.get("max_lora", "")
    places = {"lora.max": int(most)} if most.isdecimal() and len(most) <= _DIGITS else {}
    return {"lora.running": len(running), "lora.waiting": len(waiting - running), **places}
