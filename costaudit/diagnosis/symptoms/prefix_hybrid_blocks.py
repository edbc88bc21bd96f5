"""No prefix is ever found, because the cache's blocks are longer than what prompts share.

Why       Hybrid models raise the block of the cache to 528 to 8,320 tokens, and only full blocks
          are kept.
Signature Tokens were asked of the cache, none was found, and the block has 528 tokens or more.
Not       Blocks of usual size (16 to 64), or some hits.
Sources   vllm-project/vllm#40696, #48401, PR #48402 (0 of 10,608 tokens, then 43 %), #45238.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.diagnosis import signs
from costaudit.diagnosis.symptom import Answer, CannotTell, DoesNotShow, Shows, Symptom

if TYPE_CHECKING:
    from costaudit.measure.window import Window

LARGE_BLOCK = 528.0  # tokens


def judge(w: Window) -> Answer:
    """Queries without hits at a large block."""
    queries, hits = w.grown("prefix.queries_total"), w.grown("prefix.hits_total")
    block = w.knob("kv_block_size_tokens")
    if queries is None or hits is None or not isinstance(block, (int, float)):
        return CannotTell(because="the server does not export prefix hits, or its block size")
    if queries <= 0:
        return CannotTell(because="nothing was asked of the prefix cache")
    if hits > 0 or block < LARGE_BLOCK:
        return DoesNotShow(why="the cache is hit, or its blocks are small")
    evidence = (
        signs.seen(w, "prefix.queries_total", "asked of the cache", queries, "tokens"),
        signs.seen(w, "kv.block_size_tokens", "tokens of a block", block),
    )
    return Shows(evidence=evidence, cost_share=0.1)


SYMPTOM = Symptom(
    id="prefix-hybrid-blocks",
    title="The prefix cache finds nothing: its blocks are longer than shared prefixes",
    cause="this model's cache keeps only whole blocks of hundreds of tokens or more",
    judge=judge,
    actions=("smaller-prefix-blocks",),
    advice="share prefixes longer than a block, or do not count on prefix caching with this model",
    steps=("prefix-caching", "kv-block-size"),
)
