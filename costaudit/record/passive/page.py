"""One answer of a metrics route → a page of canonical quantities, in detail."""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.facts.metric_map import metric_names, spelled, stem
from costaudit.facts.quantities import Page
from costaudit.record.meters.json_loads import READERS
from costaudit.record.meters.metric_sums import summed
from costaudit.record.meters.prometheus_text import family, read_exposition

if TYPE_CHECKING:
    from costaudit.record.servers.fetch import Reply
    from costaudit.record.servers.found import MetricsSource

_LORA = "vllm:lora_requests_info"
_START = "process_start_time_seconds"
_BESIDE = {_LORA, _START}  # read here, for they are no quantities of the map
_ADAPTERS = {"lora.running": "running_lora_adapters", "lora.waiting": "waiting_lora_adapters"}
_DIGITS = 6


def page_of(reply: Reply, source: MetricsSource, t_s: float) -> Page:
    """The quantities of an answer; damaged lines are left out."""
    if source.format != "prometheus":
        return Page(t_s=t_s, quantities=READERS[source.format](reply.json()))
    names = metric_names(*source.servers, version=source.version)

    def wants(name: str) -> bool:
        wire = spelled(name)
        return stem(wire) in names or stem(family(wire)) in names or wire in _BESIDE

    exposition = read_exposition(reply.text(), keep=wants)
    return Page(t_s=t_s, quantities=summed(exposition.series, names, source.labels, detailed=True))
