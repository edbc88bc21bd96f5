"""The steps that a window ran, each with what was wasted inside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from costaudit.bill.slices import SliceId
from costaudit.target.load import StepLoad

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """Positions `start` to `end` of one sequence, computed as prompt tokens in one step.

    Those below `repeated` were prefilled before for another request, those below `redone` were
    computed before the sequence was preempted. A single token may be both.
    """

    start: int
    end: int
    repeated: int = 0
    redone: int = 0

    def first(self, removed: AbstractSet[SliceId]) -> int:
        """Where the chunk starts without these wastes; at its end nothing is left of it."""
        start = self.start
        if SliceId.DUPLICATE_PREFILL in removed:
            start = max(start, self.repeated)
        if SliceId.PREEMPTION in removed:
            start = max(start, self.redone)
        return min(start, self.end)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRun:
    """`steps` equal steps in a row, or one with prompt tokens in it.

    Attributes:
        steps: how many; the context grows by one token per decoding row from step to step.
        chunks: the prompt tokens of the step.
        padded: are the chunks' rows padded to the longest?
        decode_seqs: decoding rows, those that have ended included.
        decode_context_tokens: columns they attend to, padding included.
        live_seqs: decoding rows whose token is wanted.
        live_context_tokens: tokens of theirs that are no padding.
    """

    steps: int
    chunks: tuple[Chunk, ...] = ()
    padded: bool = False
    decode_seqs: int = 0
    decode_context_tokens: int = 0
    live_seqs: int = 0
    live_context_tokens: int = 0

    def load(self, removed: AbstractSet[SliceId]) -> StepLoad:
        """What one step works on without these wastes; no rows: it is not run at all.

        Nothing in it is ever more than in the step as it was run, so it never takes longer.
        """
        padding = SliceId.PADDING not in removed
        firsts = [(chunk.first(removed), chunk.end) for chunk in self.chunks]
        spans = [(first, end) for first, end in firsts if first < end]
        if padding and self.padded and spans:
            width, most = max(end for _, end in spans), max(end - first for first, end in spans)
            spans = [(width - most, width)] * len(self.chunks)
        return StepLoad(
            prefill_tokens=sum(end - first for first, end in spans),
            prefill_pairs=sum(_triangle(end) - _triangle(first) for first, end in spans),
            prefill_seqs=len(spans),
            decode_seqs=self.decode_seqs if padding else self.live_seqs,
            decode_context_tokens=(
                self.decode_context_tokens if padding else self.live_context_tokens
            ),
        )


def _triangle(tokens: int) -> int:
    """Causal pairs of a sequence: every token with itself and those before it."""
    return tokens * (tokens + 1) // 2
