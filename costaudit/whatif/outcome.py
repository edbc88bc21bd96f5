"""What the what-if engine says happens in a scenario."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from costaudit.whatif.latency import Gaps

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class KvOutcome:
    """KV memory over the window, in tokens; shares are 0 to 1."""

    usage_peak_share: float
    waste_share: float  # reserved but never written, of what was reserved (time-weighted)
    preemptions: int
    recomputed_tokens: int
    prefix_hit_share: float  # of prompt tokens, served from the prefix cache
    max_concurrency: int  # largest number of sequences that ran together


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Result of one simulated window; times in seconds of a replica, summed over replicas.

    `busy_terms_s` splits the busy seconds by the step time's terms; it sums to `busy_s`.
    `window_s` = `busy_s` + `queue_idle_s` + `demand_idle_s`. `ttft_s` and `e2e_s` hold every
    request in the order of the traffic, `tpot_s` and `longest_gap_s` those of more than one
    token; a request's time outside the steps is in TTFT and E2E. A speculative step that yields
    several tokens is one gap.

    Attributes:
        mixed_s: busy seconds of steps in which prompts rode along with decoding rows.
        recompute_s: part of `prefill_s` that went to tokens computed before a preemption.
        gaps: between the tokens of a request, all requests pooled.
    """

    prompt_tokens: int
    output_tokens: int
    requests: int
    steps: int
    window_s: float
    busy_s: float
    prefill_s: float
    decode_s: float
    queue_idle_s: float
    demand_idle_s: float
    padded_prefill_tokens: int
    padded_decode_rows: int
    duplicate_prefill_tokens: int
    kv: KvOutcome
    ttft_s: tuple[float, ...] = ()
    tpot_s: tuple[float, ...] = ()
    busy_terms_s: Mapping[str, float] = field(default_factory=dict)
    e2e_s: tuple[float, ...] = ()
    longest_gap_s: tuple[float, ...] = ()
    gaps: Gaps = field(default_factory=Gaps)
    mixed_s: float = 0.0
    recompute_s: float = 0.0
