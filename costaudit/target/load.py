"""The load of one engine iteration: what a step has to work on, before any hardware."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class StepLoad:
    """One iteration of an engine.

    Attributes:
        prefill_tokens: new prompt tokens computed in this step, padding included.
        prefill_pairs: causal query-key pairs of those tokens, summed over the prompts of the
            step: P·C + P(P+1)/2 for P new tokens after C cached ones.
        prefill_seqs: prompts in the step (one row of logits each).
        decode_seqs: sequences that get one new token.
        decode_context_tokens: summed context (cached tokens) of the decoding sequences.
    """

    prefill_tokens: float = 0
    prefill_pairs: float = 0
    prefill_seqs: float = 0
    decode_seqs: float = 0
    decode_context_tokens: float = 0

    @property
    def rows(self) -> float:
        """Rows of activations in the step's GEMMs."""
        return self.prefill_tokens + self.decode_seqs


def prefill_load(*, new_tokens: int, cached_tokens: int = 0, seqs: int = 1) -> StepLoad:
    """`seqs` equal prompts of `new_tokens` each behind `cached_tokens` of context."""
    pairs = new_tokens * cached_tokens + new_tokens * (new_tokens + 1) // 2
    return StepLoad(prefill_tokens=seqs * new_tokens, prefill_pairs=seqs * pairs, prefill_seqs=seqs)


def decode_load(*, seqs: int, context_tokens: int) -> StepLoad:
    """`seqs` sequences with `context_tokens` of context each get one token."""
    return StepLoad(decode_seqs=seqs, decode_context_tokens=seqs * context_tokens)
