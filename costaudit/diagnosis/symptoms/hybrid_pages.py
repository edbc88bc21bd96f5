"""A few requests fill the KV cache, far beyond their tokens.

Why       Hybrid models (Mamba, sliding windows) and long `max_model_len` give each request a fixed,
          large share of the pool, whatever its length.
Signature Requests wait for memory while the KV usage per running request is three times or more
          what its tokens need.
Not       Prompts that are long enough to fill the cache.
Sources   MiaAI-Lab/GLM-5.3-Flash-EXL3-2x-DGX-Sparks#43, #122 (a prompt of 2.4k held 25.5 % of the
          pool); vllm-project/vllm#8031.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.diagnosis import queueing, signs
from costaudit.diagnosis.queueing import Why
from costaudit.diagnosis.symptom import Answer, CannotTell, DoesNotShow, Shows, Symptom
from costaudit.measure.window import RUNNING, WAITING

if TYPE_CHECKING:
    from costaudit.measure.window import Window

BEYOND = 3.0  # times what the tokens need; blocks are rounded up, and outputs still grow
FEW = 4.0  # requests in the batch; the symptom is that there are so few


def judge(w: Window) -> Answer:
    """KV per request against its tokens."""
    found, usage, needed = queueing.queue(w), signs.kv(w), signs.kv_needed(w)
    if found is None or usage is None or needed is None:
        return CannotTell(because="the server does not export KV usage, its size and lengths")
    few = 0 < found.batch <= FEW
    if found.why is not Why.MEMORY or not few or needed <= 0:
        return DoesNotShow(why="requests did not wait for memory, or many fit in")
    if usage.mean < BEYOND * needed:
        return DoesNotShow(why="the KV cache is as full as its tokens are many")
    evidence = (
        signs.seen(w, "kv.usage_fraction", "mean KV usage", usage.mean, "share"),
        signs.seen(w, "req.prompt_tokens", "what the tokens need", needed, "share"),
        signs.seen(w, RUNNING, "mean batch", found.batch),
        signs.seen(w, WAITING, "mean queue", found.length),
    )
    return Shows(evidence=evidence, cost_share=found.lost)


SYMPTOM = Symptom(
    id="hybrid-pages",
    title="A few requests hold the whole KV cache, far beyond their tokens",
    cause="each request gets a large fixed share of the KV cache (a hybrid model's pages times "
    "max_model_len)",
    judge=judge,
    actions=("shorter-context", "smaller-kv"),
    advice="smaller pages and fewer speculative drafts shrink the share of one request",
    steps=("kv-pool-size", "kv-block-size"),
)
