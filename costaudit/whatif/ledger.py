"""What a simulated window adds up to."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from costaudit.whatif.kv_pool import shareable_tokens
from costaudit.whatif.outcome import KvOutcome, Outcome
from costaudit.whatif.steptime import TERMS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from costaudit.target.load import StepLoad
    from costaudit.whatif.line import Live


@dataclass(slots=True, kw_only=True)
class Ledger:
    """Sums of one window; seconds of one replica, tokens of all requests."""

    block_tokens: int  # grain of a shareable prefix
    terms_s: dict[str, float] = field(default_factory=lambda: dict.fromkeys(TERMS, 0.0))
    steps: int = 0
    prefill_s: float = 0.0
    queue_idle_s: float = 0.0
    demand_idle_s: float = 0.0
    requests: int = 0
    prompt_tokens: int = 0
    output_tokens: int = 0
    hit_tokens: int = 0
    duplicate_tokens: int = 0
    padded_tokens: int = 0
    padded_rows: int = 0
    preemptions: int = 0
    recomputed_tokens: int = 0
    max_concurrency: int = 0
    peak_share: float = 0.0
    reserved_token_s: float = 0.0
    written_token_s: float = 0.0
    ttft_s: dict[int, float] = field(default_factory=dict)
    tpot_s: dict[int, float] = field(default_factory=dict)
    _seen: dict[int | None, int] = field(default_factory=dict)

    def spend(self, terms: Mapping[str, float], load: StepLoad, steps: int) -> float:
        """Add `steps` steps of this load; their seconds.

        Where prompts ride along with decoding rows, prefill bears its own compute and decode
        the rest, which it would have cost anyway.
        """
        total = 0.0
        sums = self.terms_s
        for term, seconds in terms.items():
            sums[term] += seconds
            total += seconds
        self.steps += steps
        if load.prefill_tokens:
            self.prefill_s += terms["prefill_compute"] if load.decode_seqs else total
        return total

    def served_before(self, live: Live) -> int:
        """Prompt tokens that a perfect prefix cache would hold: prefilled before for others."""
        tokens = shareable_tokens(live.request, self.block_tokens)
        key = live.request.prefix_id
        before = min(tokens, self._seen.get(key, 0))
        self._seen[key] = max(tokens, self._seen.get(key, 0))
        return before

    def admit(self, live: Live, *, hit: int, repeated: int) -> None:
        """Count a request as it enters: prefix tokens hit, and tokens prefilled before."""
        self.requests += 1
        self.prompt_tokens += live.request.prompt_tokens
        self.hit_tokens += hit
        self.duplicate_tokens += repeated - hit

    def first_token(self, live: Live, now: float) -> None:
        """Note the time to first token."""
        live.first_s = now
        self.ttft_s[live.order] = now - live.arrival_s

    def last_token(self, live: Live, now: float) -> None:
        """Note the time per output token after the first; none for a single token."""
        tokens = live.request.output_tokens
        if tokens > 1:
            self.tpot_s[live.order] = (now - live.first_s) / (tokens - 1)

    def hold(self, reserved_token_s: float, written_token_s: float) -> None:
        """Add KV memory × time, as reserved and as written."""
        self.reserved_token_s += reserved_token_s
        self.written_token_s += written_token_s

    def outcome(self) -> Outcome:
        """The window, closed."""
        busy = math.fsum(self.terms_s.values())
        reserved = self.reserved_token_s
        return Outcome(
            prompt_tokens=self.prompt_tokens,
            output_tokens=self.output_tokens,
            requests=self.requests,
            steps=self.steps,
            window_s=busy + self.queue_idle_s + self.demand_idle_s,
            busy_s=busy,
            prefill_s=self.prefill_s,
            decode_s=max(busy - self.prefill_s, 0.0),
            queue_idle_s=self.queue_idle_s,
            demand_idle_s=self.demand_idle_s,
            padded_prefill_tokens=self.padded_tokens,
            padded_decode_rows=self.padded_rows,
            duplicate_prefill_tokens=self.duplicate_tokens,
            kv=KvOutcome(
                usage_peak_share=self.peak_share,
                waste_share=1 - self.written_token_s / reserved if reserved else 0.0,
                preemptions=self.preemptions,
                recomputed_tokens=self.recomputed_tokens,
                prefix_hit_share=self.hit_tokens / max(self.prompt_tokens, 1),
                max_concurrency=self.max_concurrency,
            ),
            ttft_s=tuple(self.ttft_s[order] for order in sorted(self.ttft_s)),
            tpot_s=tuple(self.tpot_s[order] for order in sorted(self.tpot_s)),
            busy_terms_s=dict(self.terms_s),
        )


def sawtooth(tokens: int, steps: int, block_tokens: int) -> tuple[float, float]:
    """Mean tokens (reserved, written) of a cache that grows from `tokens` over `steps` steps.

    Reserved are whole blocks: the mean of b·ceil(x/b) over x = tokens … tokens + steps.
    """
    last = tokens + steps
    mean = (tokens + last) / 2
    slack = _slack_sum(last, block_tokens) - _slack_sum(tokens - 1, block_tokens)
    return mean + slack / (steps + 1), mean


def _slack_sum(tokens: int, block_tokens: int) -> int:
    """Σ over x = 1 … tokens of b·ceil(x/b) − x: whole blocks hold b(b−1)/2 each."""
    full, rest = divmod(tokens, block_tokens)
    whole = full * block_tokens * (block_tokens - 1) // 2
    return whole + rest * block_tokens - rest * (rest + 1) // 2
