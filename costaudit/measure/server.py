"""What a server's own metrics say of a span of time, from recorded scrapes alone.

Deltas only: lifetime totals hold everybody's past. A total that went down is a restart, and the
span is worth nothing. Means come from a histogram's sum and count, never from its buckets: their
edges are coarse. Unknown is None, and `why` says why; 0 of 0 queries is unknown, not a share of 0.

The scrapes are the rows of the meter "server": quantities by their canonical names (see
`facts.metric_map`), histograms as `NAME.sum` and `NAME.count`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from costaudit.measure.scrapes import Scrapes, Window

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from costaudit.recording.rows import Gauge


@dataclass(frozen=True, slots=True, kw_only=True)
class Own:
    """What our own probes had of a span, by the server's usage: to be taken off its totals.

    `unseen_output_tokens`: the most that may have been generated beyond `output_tokens` for those
    of our requests that did not come to their end.
    """

    requests: int
    prompt_tokens: int
    output_tokens: int
    unseen_output_tokens: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Latencies:
    """Mean seconds that the server itself measured; None: it does not, or nothing ended."""

    ttft_s: float | None = None
    itl_s: float | None = None
    tpot_s: float | None = None
    e2e_s: float | None = None
    queue_s: float | None = None
    prefill_s: float | None = None
    decode_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSpan:
    """A span of a server's life, from its metrics; None where they do not tell.

    Attributes:
        from_s, to_s: first and last scrape used, seconds of the recording.
        restarted: some total went down; everything else is None then.
        prompt_tokens, generated_tokens, requests: of everybody; `foreign` of others than us.
        computed_prompt_tokens: without those from the prefix cache.
        kv_usage_peak_share, kv_usage_mean_share: of the scrapes.
        waiting_peak, running_peak, running_mean: requests, of the scrapes.
        waiting_by_reason: highest number seen, by reason.
        prefix_hit_share: hits over queries; None where nothing was asked of the cache.
        decode_batch: sequences in a step that decodes, generated tokens over steps.
        tokens_per_decode_step: of one sequence; above 1 under speculation.
        draft_accept_share: accepted over drafted tokens.
        why: reasons, by field.
    """

    from_s: float
    to_s: float
    scrapes: int
    restarted: bool = False
    requests: float | None = None
    prompt_tokens: float | None = None
    generated_tokens: float | None = None
    computed_prompt_tokens: float | None = None
    foreign: Mapping[str, float] = field(default_factory=dict)
    preemptions: float | None = None
    kv_usage_peak_share: float | None = None
    kv_usage_mean_share: float | None = None
    running_peak: float | None = None
    running_mean: float | None = None
    waiting_peak: float | None = None
    waiting_by_reason: Mapping[str, float] = field(default_factory=dict)
    prefix_hit_share: float | None = None
    decode_batch: float | None = None
    tokens_per_decode_step: float | None = None
    draft_accept_share: float | None = None
    latencies: Latencies = field(default_factory=Latencies)
    why: Mapping[str, str] = field(default_factory=dict)


def server_span(
    gauges: Iterable[Gauge], *, from_s: float, to_s: float, own: Own | None = None
) -> ServerSpan:
    """What the server says of the time between its scrapes nearest around `from_s` and `to_s`.

    The last scrape at or before `from_s` begins it, the first at or after `to_s` ends it (else the
    nearest there is), so that nothing of the span is lost.
    """
    series = Scrapes(gauges)
    begin, end = series.around(from_s, to_s)
    scrapes = series.count(begin, end)
    if end <= begin:
        why = "fewer than two scrapes of the server's metrics around this span"
        return ServerSpan(from_s=begin, to_s=end, scrapes=scrapes, why={"": why})
    if restarted := series.restarted(begin, end):
        why = f"the server was restarted: {restarted} went down"
        return ServerSpan(from_s=begin, to_s=end, scrapes=scrapes, restarted=True, why={"": why})
    return _told(Window(series, begin, end), scrapes, own)


def _told(window: Window, scrapes: int, own: Own | None) -> ServerSpan:
    prompt, generated = window.tokens("prompt"), window.tokens("generation")
    requests = window.delta("requests.completed_total", "latency.e2e.count", "req.n.count")
    totals = {"prompt_tokens": prompt, "generated_tokens": generated, "requests": requests}
    hit_share, hit_why = _hit_share(window)
    steps = window.delta("batch.iteration_tokens.count", "batch.exec_count")
    drafted = window.delta("spec.draft_tokens_total")
    kv = window.levels("kv.usage_fraction") or _share(window)
    running, waiting = window.levels("requests.running"), window.levels("requests.waiting")
    return ServerSpan(
        from_s=window.begin,
        to_s=window.end,
        scrapes=scrapes,
        requests=requests,
        prompt_tokens=prompt,
        generated_tokens=generated,
        computed_prompt_tokens=window.delta(
            "tokens.prompt_computed_total", "req.prompt_computed_tokens.sum"
        ),
        foreign=_foreign(totals, own),
        preemptions=window.delta("preemptions_total", "req.preemptions.sum"),
        kv_usage_peak_share=max(kv, default=None),
        kv_usage_mean_share=_mean(kv),
        running_peak=max(running, default=None),
        running_mean=_mean(running),
        waiting_peak=max(waiting, default=None),
        waiting_by_reason=window.by_reason(),
        prefix_hit_share=hit_share,
        decode_batch=_over(generated, steps),
        tokens_per_decode_step=_per_step(window, generated, requests),
        draft_accept_share=_over(window.delta("spec.accepted_tokens_total"), drafted),
        latencies=_latencies(window),
        why={"prefix_hit_share": hit_why} if hit_why else {},
    )


def _foreign(totals: Mapping[str, float | None], own: Own | None) -> dict[str, float]:
    """Others' share of the totals, at least; below 0 where some of our requests never ran."""
    if own is None:
        return {}
    ours = {
        "prompt_tokens": own.prompt_tokens,
        "generated_tokens": own.output_tokens,
        "requests": own.requests,
    }
    left = {name: total - ours[name] for name, total in totals.items() if total is not None}
    if (tokens := left.get("generated_tokens", 0.0)) > 0:
        left["generated_tokens"] = max(0.0, tokens - own.unseen_output_tokens)
    return left


def _hit_share(window: Window) -> tuple[float | None, str]:
    queries, hits = window.delta("prefix.queries_total"), window.delta("prefix.hits_total")
    if queries is None and hits is not None:  # TensorRT-LLM counts hits and misses
        misses = window.delta("prefix.misses_total")
        queries = None if misses is None else hits + misses
    if queries is None or hits is None:
        cached, prompt = window.delta("tokens.prompt_cached_total"), window.tokens("prompt")
        share = _over(cached, prompt)
        return share, "" if share is not None else "the server does not count prefix-cache hits"
    if queries == 0:
        return None, "nothing was asked of the prefix cache: it is off, or there were no prompts"
    return hits / queries, ""


def _share(window: Window) -> list[float]:
    """KV usage where only its parts are told (TGI, llama.cpp, TensorRT-LLM)."""
    for used, total in (
        ("kv.tokens_used", "kv.tokens_total"),
        ("kv.blocks_used", "kv.blocks_total"),
    ):
        top, bottom = window.levels(used), window.levels(total)
        if top and bottom and bottom[-1] > 0:
            return [level / bottom[-1] for level in top]
    return []


def _per_step(window: Window, generated: float | None, requests: float | None) -> float | None:
    """Tokens per engine output of one sequence: all but each request's first, over the gaps.

    Without speculation generated − requests = number of inter-token gaps, an identity of vLLM's
    counters (ITL count = generated − requests).
    """
    gaps = window.delta("latency.itl.count")
    if generated is None or requests is None:
        return None
    return _over(generated - requests, gaps)


def _latencies(window: Window) -> Latencies:
    """Triton sums its queue over requests; its request durations leave streams out, so no E2E."""
    done = window.delta("requests.completed_total")
    return Latencies(
        ttft_s=window.mean("latency.ttft"),
        itl_s=window.mean("latency.itl"),
        tpot_s=window.mean("latency.tpot"),
        e2e_s=window.mean("latency.e2e"),
        queue_s=_first(
            window.mean("latency.queue"), _over(window.delta("latency.queue_sum"), done)
        ),
        prefill_s=window.mean("latency.prefill"),
        decode_s=window.mean("latency.decode"),
    )


def _first(*values: float | None) -> float | None:
    return next((value for value in values if value is not None), None)


def _mean(levels: Sequence[float]) -> float | None:
    return math.fsum(levels) / len(levels) if levels else None


def _over(top: float | None, bottom: float | None) -> float | None:
    return top / bottom if top is not None and bottom else None
