"""The metrics of a made vLLM, with the names and the buckets of the real one (0.32)."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from dataclasses import dataclass, field

from costaudit.facts.metric_map import metric_names
from costaudit.facts.quantities import Page
from costaudit.record.meters.metric_sums import summed
from costaudit.record.meters.prometheus_text import Series

NAMES = metric_names("vllm-v1", "vllm-v0")
_S = (0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240)
_N = tuple(d * 10**e for e in range(5) for d in (1, 2, 5))
EDGES = {
    "time_to_first_token_seconds": (
        *(0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75),
        *(1, 2.5, 5, 7.5, 10, 20, 40, 80, 160),
    ),
    "inter_token_latency_seconds": (
        *(0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75),
        *(1, 2.5, 5, 7.5, 10, 20, 40, 80),
    ),
    "e2e_request_latency_seconds": _S,
    "request_queue_time_seconds": _S,
    "request_prefill_time_seconds": _S,
    "request_decode_time_seconds": _S,
    "request_inference_time_seconds": _S,
    "iteration_tokens_total": (1, 8, *(2**n for n in range(4, 15))),
    "request_prompt_tokens": _N,
    "request_generation_tokens": _N,
}
_PLAIN = (
    *("generation_tokens_total", "prompt_tokens_total", "num_preemptions_total"),
    *("prefix_cache_queries_total", "prefix_cache_hits_total"),
)


@dataclass(kw_only=True)
class Metrics:
    """Totals as they grow; `computed` and `success` are parts told by a label."""

    counters: Counter[str] = field(default_factory=Counter)
    sums: Counter[str] = field(default_factory=Counter)
    buckets: dict[str, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))

    def observe(self, name, value):
        """One more in a histogram."""
        self.sums[name] += value
        self.buckets[name][bisect_left(EDGES[name], value)] += 1

    def page(self, t_s, gauges):
        """All of them, with these gauges."""
        plain = {**gauges, **{name: self.counters[name] for name in _PLAIN}}
        waiting, done = gauges["num_requests_waiting"], self.counters["success"]
        series = [_series(name, value) for name, value in plain.items()]
        series += [
            _series("num_requests_waiting_by_reason", waiting, reason="capacity"),
            _series("request_success_total", done, finished_reason="length"),
            _series(
                "prompt_tokens_by_source_total", self.counters["computed"], source="local_compute"
            ),
        ]
        series += [one for name in EDGES for one in self._histogram(name)]
        return Page(t_s=t_s, quantities=summed(series, NAMES, {}, detailed=True))

    def _histogram(self, name):
        counts, up_to = self.buckets[name], 0
        yield _series(f"{name}_sum", self.sums[name])
        yield _series(f"{name}_count", counts.total())
        for place, edge in enumerate(EDGES[name]):
            up_to += counts[place]
            yield _series(f"{name}_bucket", up_to, le=str(float(edge)))
        yield _series(f"{name}_bucket", counts.total(), le="+Inf")


def _series(name, value, **labels):
    return Series(name=f"vllm:{name}", labels={"engine": "0", **labels}, value=float(value))
