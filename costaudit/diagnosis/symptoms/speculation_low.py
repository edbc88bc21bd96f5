"""Speculative decoding costs more than it brings.

Why       Drafts that are refused are work for nothing; at large batches the device has no time to
          spare for drafts.
Signature Fewer than half of the drafted tokens are accepted, or a step brings fewer than 1.8 tokens
          while 16 requests or more run.
Not       Servers without speculation; a handful of drafts.
Sources   vllm-project/vllm#19254, #33497, PR #24322; sgl-project/sglang#4759.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.diagnosis import signs
from costaudit.diagnosis.symptom import Answer, CannotTell, Confidence, DoesNotShow, Shows, Symptom

if TYPE_CHECKING:
    from costaudit.measure.window import Window

ACCEPTED = 0.5
LENGTH, LARGE_BATCH = 1.8, 16.0
FEW_DRAFTED = 100  # tokens; below, a share says little


def judge(w: Window) -> Answer:
    """Acceptance, and tokens a step at large batches."""
    drafted, accepted = w.grown("spec.draft_tokens_total"), w.grown("spec.accepted_tokens_total")
    share, length = _gauge(w, "spec.accept_rate"), _gauge(w, "spec.accept_len")
    drafts, batch = w.grown("spec.drafts_total"), signs.batch_mean(w)
    if drafted is not None and accepted is not None:
        if drafted < FEW_DRAFTED:
            return DoesNotShow(why="hardly anything was drafted")
        share = accepted / drafted
        length = 1 + accepted / drafts if drafts else length
    if share is None and length is None:
        return CannotTell(because="no speculation, or the server does not count drafts")
    late = length is not None and length < LENGTH and batch is not None and batch > LARGE_BATCH
    if not late and (share is None or share >= ACCEPTED):
        return DoesNotShow(why="drafts are accepted")
    evidence = []
    if share is not None:
        where = "spec.accepted_tokens_total"
        evidence.append(signs.seen(w, where, "drafted tokens accepted", share, "share"))
    if length is not None:
        evidence.append(signs.seen(w, "spec.drafts_total", "tokens per step and sequence", length))
    if batch is not None:
        evidence.append(signs.seen(w, "requests.running", "mean batch", batch))
    cost = 0.5 * (1 - (share if share is not None else 1 / LENGTH))
    return Shows(evidence=tuple(evidence), cost_share=cost, confidence=Confidence.SURE)


def _gauge(w: Window, name: str) -> float | None:
    levels = w.levels(name)
    return levels.mean if levels is not None and levels.high > 0 else None


SYMPTOM = Symptom(
    id="speculation-low",
    title="Speculative decoding: most drafts are for nothing",
    cause="too few drafted tokens are accepted for this batch",
    judge=judge,
    actions=("less-speculation",),
    advice="a drafter made for this task, fewer drafted tokens, or none at large batches",
    steps=("speculative-decoding",),
)
