"""Counters of a recording: what a like run counts again, to the token or the byte."""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.target.work import weight_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from costaudit.measure.derive import Derived
    from costaudit.recording.recording import Recording
    from costaudit.recording.rows import Sample

COUNTERS: Mapping[str, str] = {
    "kv_bytes_per_token": "KV cache of one token, as the tensors hold it",
    "weight_bytes_per_step": "weights that a decode step of one sequence reads, by the shape",
    "prompt_tokens": "of a mean request",
    "output_tokens": "of a mean request",
    "computed_tokens": "rows of all steps, padding and finished rows included, per request",
    "recomputed_tokens": "of shared prefixes that were computed before, per request",
    "cache_hit_tokens": "prompt tokens served from the prefix cache, per request",
    "engine_steps": "forward passes of the workload, per request",
    "preemptions": "over the run",
    "kv_waste_share": "of reserved KV memory, without a live token",
    "kernel_launches": "per engine step",
    "peak_allocated_bytes": "highest that the allocator held",
}


def counters_of(
    recording: Recording, derived: Derived, window: Sequence[Sample]
) -> dict[str, float]:
    """The counters that this recording can tell; one that it cannot is left out."""
    metrics, requests = derived.metrics, derived.requests
    found: dict[str, float | None] = {
        "kv_bytes_per_token": metrics.kv.bytes_per_token,
        "prompt_tokens": sum(r.prompt_tokens for r in requests) / len(requests),
        "output_tokens": sum(r.output_tokens for r in requests) / len(requests),
        "preemptions": metrics.kv.preemptions,
        "kv_waste_share": metrics.kv.waste_share,
        "kernel_launches": _launches(recording),
        "peak_allocated_bytes": _peak_allocated(recording),
        "cache_hit_tokens": _cache_hits(recording),
    }
    if metrics.target.shape is not None:
        per_step = weight_bytes(metrics.target.shape, 1, derived.precision.param_bytes)
        found["weight_bytes_per_step"] = per_step
    if window:
        found |= _computed(window, len(requests))
        found["recomputed_tokens"] = _recomputed(derived)
    return {name: float(value) for name, value in found.items() if value is not None}


def _computed(window: Sequence[Sample], requests: int) -> dict[str, float]:
    """Rows and steps of one round."""
    first = min(sample.round for sample in window)
    once = [sample for sample in window if sample.round == first]
    rows = sum(s.prefill_tokens + s.decode_seqs for s in once)
    return {
        "computed_tokens": rows / requests,
        "engine_steps": sum(s.steps for s in once) / requests,
    }


def _recomputed(derived: Derived) -> float | None:
    """Without a prefix cache each request computes its prefix, though the group's first did."""
    caching = derived.metrics.target.knobs.get("prefix_caching")
    if caching is None or caching.value is not False:
        return None
    seen: set[int] = set()
    again = 0
    for row in derived.requests:
        if row.prefix_id in seen:
            again += row.prefix_tokens
        elif row.prefix_id is not None:
            seen.add(row.prefix_id)
    return again / len(derived.requests)


def _cache_hits(recording: Recording) -> float | None:
    told = [a.cached_tokens for a in recording.answers("replay") if a.ok]
    known = [tokens for tokens in told if tokens is not None]
    return sum(known) / len(known) if known and len(known) == len(told) else None


def _launches(recording: Recording) -> float | None:
    fact = recording.facts().get("kernels", {}).get("launches_per_step")
    value = fact.value if fact is not None else None
    return float(value) if isinstance(value, (int, float)) else None


def _peak_allocated(recording: Recording) -> float | None:
    peaks = [g.value for g in recording.gauges("torch.memory") if g.name == "allocated_peak"]
    return max(peaks) if peaks else None
