"""What the what-if engine says happens in a scenario."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

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
    """Result of one simulated window; times in device-seconds of one replica.

    `busy_terms_s` splits the busy seconds by the step time's terms; it sums to `busy_s`.
    `window_s` = `busy_s` + `queue_idle_s` + `demand_idle_s`.
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
